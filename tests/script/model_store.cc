#include "tests/script/model_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/check.h"
#include "engine/event.h"

namespace seawall::script {

std::uint64_t digest_of(const Stamps& blocks) {
  std::vector<std::uint32_t> crcs(blocks.begin(), blocks.end());
  return digest_crcs(crcs);
}

std::vector<MapLine> lines_of(const std::vector<BaseExtent>& extents, Lba from, Lba upto,
                              std::optional<Lsn> since) {
  std::vector<MapLine> lines;
  for (const BaseExtent& extent : extents) {
    if (extent.lba < from || extent.lba >= upto) continue;
    if (since && extent.last_lsn <= *since) continue;
    const std::vector<std::uint32_t> crcs(extent.blocks.begin(), extent.blocks.end());
    lines.push_back({extent.lba, extent.last_lsn, column_digest(extent.present, crcs)});
  }
  return lines;
}

std::uint64_t digest_of(std::uint64_t before, const BaseExtent& extent) {
  std::uint64_t hash = mix64(before, extent.lba.value());
  hash = mix64(hash, extent.last_lsn.value());
  hash = mix64(hash, extent.present);
  for (const Stamp stamp : extent.blocks) hash = mix64(hash, stamp);
  return hash;
}

std::uint64_t ModelStore::chain_at(Lsn lsn) const {
  if (lsn == start_) return start_chain_;
  const auto found = records_.find(lsn);
  CHECK(found != records_.end());
  return found->second.header.chain;
}

std::optional<Term> ModelStore::term_of(Lsn lsn) const {
  if (lsn == start_) return start_term_;
  const auto found = records_.find(lsn);
  if (found == records_.end() || lsn > written_) return std::nullopt;
  return found->second.header.term;
}

ReplicaFacts ModelStore::facts(ProcessStart start) const {
  ReplicaFacts facts;
  facts.incarnation = incarnation_;
  facts.replica = replica_;
  facts.process_start = start;
  facts.promised = promised_;
  facts.seen_epoch = seen_epoch_;
  facts.seen_revision = seen_revision_;
  facts.marks = Watermarks{written_, durable_, std::max(applied_, open_cut_), trimmed_};
  facts.last_term = term_of(written_).value_or(Term{});
  facts.chain = chain_at(written_);
  facts.intact = intact;
  facts.floor = floor;
  facts.marker = marker_;
  facts.damage = damage;
  if (damage == Damage::none && !unknown().empty()) facts.damage = Damage::unknown_records;
  facts.size = size_ - missing;
  facts.terms = start_terms_;
  std::uint64_t before = start_chain_;
  for (const auto& [lsn, record] : records_) {
    if (facts.terms.empty() || facts.terms.back().term != record.header.term) {
      if (facts.terms.full()) facts.terms.erase_at(0);
      facts.terms.push_back(TermEntry{record.header.term, lsn, before});
    }
    before = record.header.chain;
  }
  return facts;
}

void ModelStore::append(const RecordHeader& header, Stamps payload) {
  CHECK(header.lsn == appended().next());
  CHECK(has_payload(header) == !payload.empty());
  const std::uint64_t before = queued_.empty() ? chain_at(written_) : queued_.back().header.chain;
  CHECK_MSG(chain_next(before, header) == header.chain, "the log verifies the chain");
  queued_.push_back({header, std::move(payload)});
}

Lsn ModelStore::write_next() {
  CHECK(!queued_.empty());
  StoredRecord record = std::move(queued_.front());
  queued_.pop_front();
  written_ = record.header.lsn;
  records_[written_] = std::move(record);
  return written_;
}

const StoredRecord* ModelStore::record(Lsn lsn) const {
  if (lsn <= trimmed_ || lsn > written_) return nullptr;
  const auto found = records_.find(lsn);
  return found == records_.end() ? nullptr : &found->second;
}

std::optional<RecordHeader> ModelStore::find(AttachmentId attachment,
                                             RequestNumber request) const {
  for (const auto& [lsn, record] : records_) {
    if (record.header.attachment == attachment && record.header.request == request) {
      return record.header;
    }
  }
  return std::nullopt;
}

RequestTables ModelStore::requests() const {
  RequestTables tables = applied_requests_;
  for (auto at = records_.upper_bound(applied_); at != records_.end(); ++at) {
    tables.fold(at->second.header);
  }
  return tables;
}

void ModelStore::rewind(Lsn to) {
  CHECK_MSG(to >= applied_, "a rewind below the base");
  CHECK(to >= start_);
  CHECK(queued_.empty());
  if (damage == Damage::regressed) damage = Damage::none;  // what is left was verified
  records_.erase(records_.upper_bound(to), records_.end());
  written_ = std::min(written_, to);
  durable_ = written_;
}

Stamps ModelStore::read(Lba lba, BlockCount blocks) const {
  Stamps out(blocks.value(), 0);
  for (std::uint64_t i = 0; i < blocks.value(); ++i) {
    const auto found = base_.find(lba.value() + i);
    if (found != base_.end()) out[i] = found->second.stamp;
  }
  const auto overlay = [&](const StoredRecord& record) {
    if (!changes_blocks(record.header.kind)) return;
    for (std::uint64_t i = 0; i < record.header.blocks.value(); ++i) {
      const std::uint64_t at = record.header.lba.value() + i;
      if (at < lba.value() || at >= lba.value() + blocks.value()) continue;
      out[at - lba.value()] = record.payload.empty() ? 0 : record.payload[i];
    }
  };
  for (auto at = records_.upper_bound(applied_); at != records_.end(); ++at) overlay(at->second);
  for (const StoredRecord& record : queued_) overlay(record);
  return out;
}

void ModelStore::update(const command::WriteSuper& update) {
  if (update.promise) {
    CHECK_MSG(*update.promise >= promised_, "a promise is never lowered");
    promised_ = *update.promise;
  }
  if (update.seen_epoch) seen_epoch_ = *update.seen_epoch;
  if (update.seen_revision) seen_revision_ = *update.seen_revision;
  if (update.floor) {
    CHECK_MSG(!floor || *update.floor >= *floor, "a floor is only ever raised");
    floor = update.floor;
  }
  if (update.clear_floor) floor.reset();
  if (update.clear_marker) {
    CHECK(marker_.has_value());
    marker_.reset();
    ++cleared_markers_;
    damage = Damage::none;
  }
  if (update.intact) intact = *update.intact;
}

void ModelStore::fold(const StoredRecord& record) {
  if (!changes_blocks(record.header.kind)) return;
  for (std::uint64_t i = 0; i < record.header.blocks.value(); ++i) {
    std::erase(bad_blocks_, record.header.lba.value() + i);
    base_[record.header.lba.value() + i] = {record.header.lsn,
                                            record.payload.empty() ? 0 : record.payload[i]};
  }
}

void ModelStore::checkpoint(Lsn upto, Lsn trim) {
  if (frozen > 0) return;
  upto = std::min({upto, fold_limit_, durable_});
  const std::vector<RecordHeader> bad = unknown();
  if (!bad.empty()) upto = std::min(upto, bad.front().lsn.prev());
  while (applied_ < upto) {
    applied_ = applied_.next();
    fold(records_.at(applied_));
    applied_requests_.fold(records_.at(applied_).header);
  }
  trim = std::min(trim, applied_);
  for (const auto& [pin, from] : pins_) {
    if (from > Lsn{0}) trim = std::min(trim, from.prev());
  }
  trimmed_ = std::max(trimmed_, trim);
}

std::vector<BaseExtent> ModelStore::extents() const {
  std::vector<BaseExtent> out;
  for (const auto& [lba, block] : base_) {
    const std::uint64_t first = lba / extent_blocks * extent_blocks;
    if (out.empty() || out.back().lba != Lba{first}) out.push_back({Lba{first}, Lsn{}, 0, {}});
    BaseExtent& extent = out.back();
    extent.last_lsn = std::max(extent.last_lsn, block.lsn);
    if (block.stamp == 0) continue;
    extent.present |= std::uint64_t{1} << (lba - first);
    extent.blocks.push_back(block.stamp);
  }
  return out;
}

void ModelStore::prepare_rebuild(const command::PrepareRebuild& rebuild, const TermTable& terms,
                                 const RequestTables& requests) {
  CHECK(queued_.empty());
  if (rebuild.floor) {
    CHECK_MSG(!floor || *rebuild.floor >= *floor, "a floor is only ever raised");
    floor = rebuild.floor;
  }
  marker_ = rebuild.marker;
  records_.clear();
  if (!rebuild.keep_base) {
    base_.clear();
    damage = Damage::none;
  }
  start_ = rebuild.marker.cut;
  start_terms_ = terms;
  applied_requests_ = requests;
  start_term_ = rebuild.cut_term;
  start_chain_ = rebuild.cut_chain;
  written_ = durable_ = applied_ = trimmed_ = fold_limit_ = start_;
  frozen = 0;
}

void ModelStore::write_extent(const BaseExtent& extent) {
  std::size_t next = 0;
  for (std::uint64_t i = 0; i < extent_blocks; ++i) {
    const bool there = (extent.present >> i & 1) != 0;
    const Stamp stamp = there ? extent.blocks.at(next++) : 0;
    if (there) base_[extent.lba.value() + i] = {extent.last_lsn, stamp};
    else base_.erase(extent.lba.value() + i);
  }
  // An entry says when its extent was emptied, too.
  if (extent.present == 0 && extent.last_lsn > Lsn{0}) {
    base_[extent.lba.value()] = {extent.last_lsn, 0};
  }
}

void ModelStore::power_fails(std::optional<Lsn> keep) {
  process_dies();
  const Lsn end = std::max(durable_, std::min(keep.value_or(durable_), written_));
  records_.erase(records_.upper_bound(end), records_.end());
  written_ = end;
  durable_ = end;  // what an opening has read and kept is flushed before anybody acts
  intact = false;
}

std::vector<RecordHeader> ModelStore::unknown() const {
  std::vector<RecordHeader> out;
  for (const auto& [lsn, record] : records_) {
    if (lsn > applied_ && rotten(lsn)) out.push_back(record.header);
  }
  return out;
}

void ModelStore::repair(Lsn lsn, const Stamps& payload) {
  std::erase(rotten_, lsn);
  const auto found = records_.find(lsn);
  if (found == records_.end()) return;
  if (!payload.empty()) {
    CHECK_MSG(payload == found->second.payload, "bytes that do not fit its CRCs");
    return;
  }
  found->second.header.flags |= record_flag_lost;
  found->second.payload.assign(found->second.payload.size(), lost_stamp);
}

std::size_t ModelStore::repair_blocks(Lba lba, const Stamps& content) {
  std::size_t repaired = 0;
  for (std::size_t i = 0; i < content.size(); ++i) {
    const auto block = base_.find(lba.value() + i);
    if (block == base_.end() || block->second.stamp != content[i]) continue;
    repaired += std::erase(bad_blocks_, lba.value() + i);
  }
  return repaired;
}

bool ModelStore::readable(Lba lba, BlockCount blocks) const {
  const Stamps content = read(lba, blocks);
  for (std::uint64_t i = 0; i < blocks.value(); ++i) {
    const std::uint64_t at = lba.value() + i;
    if (content[i] == lost_stamp) return false;
    std::optional<Lsn> newest;
    for (const auto& [lsn, record] : records_) {
      const RecordHeader& header = record.header;
      const bool covers = changes_blocks(header.kind) && at >= header.lba.value() &&
                          at < header.lba.value() + header.blocks.value();
      if (lsn > applied_ && covers) newest = lsn;
    }
    if (newest ? rotten(*newest)
               : std::find(bad_blocks_.begin(), bad_blocks_.end(), at) != bad_blocks_.end()) {
      return false;
    }
  }
  return true;
}

void ModelStore::regress(Lsn to) {
  CHECK(queued_.empty());
  CHECK(to >= applied_);
  records_.erase(records_.upper_bound(to), records_.end());
  written_ = durable_ = to;
}

std::string ModelStore::pin_text() const {
  std::string out;
  for (const auto& [pin, from] : pins_) out += fmt::format(" {}", from.value());
  return out.empty() ? " none" : out;
}

std::string ModelStore::history() const {
  std::string out;
  if (start_ > Lsn{0}) out += fmt::format(" base..{}", start_.value());
  Term term;
  Lsn first;
  const auto close = [&](Lsn last) {
    if (term == Term{}) return;
    out += first == last ? fmt::format(" {}@{}", first.value(), term.value())
                         : fmt::format(" {}..{}@{}", first.value(), last.value(), term.value());
  };
  for (const auto& [lsn, record] : records_) {
    if (record.header.term == term) continue;
    if (lsn > Lsn{0}) close(lsn.prev());
    term = record.header.term;
    first = lsn;
  }
  close(written_);
  if (records_.empty() && start_ == Lsn{0}) out += " empty";
  out += fmt::format(" durable={} applied={} trimmed={}", durable_.value(), applied_.value(),
                     trimmed_.value());
  if (floor) out += fmt::format(" floor={}@{}", floor->lsn.value(), floor->term.value());
  if (marker_) out += fmt::format(" marker(cut={})", marker_->cut.value());
  if (!intact) out += " not_intact";
  return out;
}

std::string ModelStore::content() const {
  std::string out;
  const Stamps all = read(Lba{0}, size_);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] == 0) continue;
    if (all[i] == lost_stamp) {
      out += fmt::format(" {}=lost", i);
      continue;
    }
    const bool named = names != nullptr && names->contains(all[i]);
    out += fmt::format(" {}={}", i, named ? names->at(all[i]) : fmt::format("#{}", all[i]));
  }
  return out.empty() ? " zeroes" : out;
}

std::string ModelStore::image() const {
  std::string out = fmt::format("promised={} seen={}.{} start={}", promised_.value(),
                                seen_epoch_.value(), seen_revision_.value(), start_.value());
  out += history() + content() + fmt::format(" queued={}", queued_.size());
  for (const auto& [lsn, record] : records_) out += fmt::format(" {:x}", record.header.chain);
  for (const auto& [lba, block] : base_) {
    out += fmt::format(" {}:{}:{}", lba, block.lsn.value(), block.stamp);
  }
  return out;
}

}  // namespace seawall::script
