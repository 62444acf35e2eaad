#include "wal/recovery.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "wal/crc32c.h"
#include "wal/large_image.h"
#include "wal/segment_image.h"

namespace seawall::wal {

const char* case_name(Case letter) {
  constexpr const char* names[case_count] = {"A", "B", "B'", "C", "E", "F", "G", "S"};
  return names[static_cast<std::size_t>(letter)];
}

Case classify(const PlaceFacts& place) {
  const Lsn proven = place.power_loss ? place.durable : std::max(place.durable, place.written);
  if (place.lsn > proven) {
    if (place.power_loss) return Case::B;
    if (place.readable || place.segment_missing) return Case::B2;
    return MUTANT(M54) ? Case::B2 : Case::C;
  }
  if (MUTANT(M53)) return Case::B2;
  if (place.header_verifies) return Case::C;
  if (place.segment_missing) return place.seen >= proven ? Case::F : Case::E;
  return place.seen >= proven ? Case::C : Case::E;
}

namespace {

struct Candidate {
  std::uint32_t slot = 0;
  SegmentHeader header;
  bool rebuilt = false;  // from its first batch: the header block is bad
};

class Walk {
 public:
  Walk(const RecoveryInput& input, LogVisitor& visitor)
      : in_(input), visitor_(visitor), image_(input.layout.segment_bytes),
        large_(input.disk, input.base, in_.layout) {}

  Result<Recovered> run();
  // Where the next walk begins; nullopt: this one has decided.
  [[nodiscard]] std::optional<LogStart> behind() const { return behind_; }

 private:
  Status read_headers();
  void rebuild_header(std::uint32_t slot);
  void choose_lineage();
  void walk_segments();
  bool walk_segment(std::size_t at);  // true: go on with the next number
  void accept(std::uint32_t slot, std::uint32_t block, const BatchView& batch);
  bool possible(const BatchView& batch) const;
  bool payload_verifies(const BatchView& batch, std::uint32_t block, bool& readable);
  bool payload_verifies(const BatchView::Record& record, std::uint32_t block, bool& readable);
  void bad_payload(std::uint32_t slot, std::uint32_t block, const BatchView& batch, bool readable);
  void end_here(std::size_t at, std::uint32_t block, bool in_segment);
  void look_behind(std::size_t at, std::uint32_t block, bool in_segment);
  bool hidden_continuation(bool& readable);
  [[nodiscard]] bool leftovers(std::size_t at, std::uint32_t block) const;
  void note_claims(const BatchView& batch);
  void find(Case letter, std::uint32_t slot, std::uint32_t block, const char* reason);
  [[nodiscard]] bool continues(std::size_t at) const;
  [[nodiscard]] std::optional<LogStart> start_behind_damage() const;
  void finish();

  const RecoveryInput& in_;
  LogVisitor& visitor_;
  SegmentImage image_;
  LargeImage large_;
  Recovered out_;
  std::vector<HeaderState> states_;
  std::vector<Candidate> segments_;  // the lineage, by number
  Lsn expected_;
  std::uint64_t chain_ = 0;
  Lsn seen_;                       // greatest record of a batch that verifies beyond the end
  bool something_behind_ = false;  // a sealed batch behind the end, in the tail segment
  bool looked_ = false;
  std::optional<LogStart> behind_;
  bool stopped_ = false;
};

void Walk::find(Case letter, std::uint32_t slot, std::uint32_t block, const char* reason) {
  out_.findings.push_back(Finding{letter, slot, block, expected_, reason});
}

Status Walk::read_headers() {
  AlignedBuffer block(block_bytes);
  for (std::uint32_t slot = 0; slot < in_.files.size(); ++slot) {
    SegmentHeader header;
    std::uint16_t version = 0;
    if (!in_.disk.read(in_.files[slot], 0, block.span())) {
      states_.push_back(HeaderState::unreadable);
      continue;
    }
    states_.push_back(decode_segment(block.span(), in_.incarnation, header, version));
    switch (states_.back()) {
      case HeaderState::foreign:
        return make_error(Errc::wrong_incarnation, "a log segment belongs to another volume", slot);
      case HeaderState::unknown_version:
        return make_error(Errc::unknown_version, "a log segment has a version not known here",
                          version);
      case HeaderState::valid:
        out_.last_number = std::max(out_.last_number, header.id.number);
        out_.last_version = std::max(out_.last_version, header.id.version);
        segments_.push_back(Candidate{slot, header});
        break;
      case HeaderState::bad:
      case HeaderState::unreadable: rebuild_header(slot); break;
      case HeaderState::empty: break;
    }
  }
  return ok();
}

// The first batch of a segment says all that its header did; the chain decides whether it counts.
void Walk::rebuild_header(std::uint32_t slot) {
  AlignedBuffer blocks(batch_header_blocks_max * block_bytes);
  if (!in_.disk.read(in_.files[slot], block_bytes, blocks.span())) return;
  BatchView batch;
  if (!BatchView::open(blocks.span(), in_.incarnation, nullptr, 1, batch)) return;
  SegmentHeader header;
  header.id = SegmentId{batch.head().number, batch.head().segment_version};
  header.first_lsn = batch.first_lsn();
  header.chain_before = batch.head().chain_before;
  out_.last_number = std::max(out_.last_number, header.id.number);
  out_.last_version = std::max(out_.last_version, header.id.version);
  segments_.push_back(Candidate{slot, header, true});
}

// Of one number the highest version counts; a later number of a lower version was given up by the
// rewind or cut that made the higher one.
void Walk::choose_lineage() {
  std::erase_if(segments_, [&](const Candidate& c) {
    return c.header.id.number < in_.super.log_start_number ||
           c.header.id.version < in_.super.log_start_version;
  });
  std::sort(segments_.begin(), segments_.end(), [](const Candidate& a, const Candidate& b) {
    if (MUTANT(M55)) {
      return std::to_string(a.header.id.number) < std::to_string(b.header.id.number);
    }
    if (a.header.id.number != b.header.id.number) return a.header.id.number < b.header.id.number;
    const std::uint64_t older = b.header.id.version;
    if (a.header.id.version != older) return a.header.id.version > older;
    return !a.rebuilt && b.rebuilt;  // a copy, and the file that it was made from
  });
  std::vector<Candidate> kept;
  std::uint64_t greatest = 0;
  for (const Candidate& c : segments_) {
    if (c.header.id.version > greatest) {
      greatest = c.header.id.version;
      kept.push_back(c);
    } else {
      find(Case::S, c.slot, 0, "stale: a higher version of this or an earlier number exists");
      out_.clear.push_back(c.slot);
    }
  }
  segments_ = std::move(kept);
}

bool Walk::continues(std::size_t at) const {
  if (at >= segments_.size()) return false;
  const SegmentHeader& header = segments_[at].header;
  const std::uint64_t number =
      at == 0 ? in_.super.log_start_number : segments_[at - 1].header.id.number + 1;
  return header.id.number == number && header.first_lsn == expected_ &&
         header.chain_before == chain_;
}

void Walk::note_claims(const BatchView& batch) {
  out_.durable = std::max(out_.durable, Lsn(batch.head().own_durable));
  out_.written = std::max(out_.written, Lsn(batch.head().own_written));
}

// The header's CRC holds, so extents out of bounds and terms that fall are a writer's bug: not a
// batch of ours.
bool Walk::possible(const BatchView& batch) const {
  Term term = out_.term;
  BatchView::Record record;
  for (auto cursor = batch.begin(); batch.next(cursor, record); term = record.header.term) {
    if (record.header.term < term || !LargeImage::possible(record, in_.layout)) return false;
  }
  return true;
}

bool Walk::payload_verifies(const BatchView& batch, std::uint32_t block, bool& readable) {
  BatchView::Record record;
  bool good = true;
  for (auto cursor = batch.begin(); batch.next(cursor, record);) {
    const bool lost = (record.header.flags & record_flag_lost) != 0;  // nobody has it: known
    if (!lost && !payload_verifies(record, block, readable)) good = false;
  }
  return good;
}

// Of the record in the batch at `block`, or in the base.
bool Walk::payload_verifies(const BatchView::Record& record, std::uint32_t block, bool& readable) {
  const bool large = !record.extents.empty();
  if (large) large_.load(record);
  bool good = true;
  for (std::size_t i = 0; i < record.crcs.size(); ++i) {
    const std::uint32_t at = block + record.payload_block + static_cast<std::uint32_t>(i);
    if (large ? !large_.readable(i) : !image_.readable(at)) {
      readable = false;
      good = false;
    } else if (crc32c(large ? large_.block(i) : image_.block(at)) != record.crcs[i]) {
      good = false;
    }
  }
  return good;
}

void Walk::accept(std::uint32_t slot, std::uint32_t block, const BatchView& batch) {
  note_claims(batch);
  visitor_.on_batch(slot, block, batch);
  BatchView::Record record;
  for (auto cursor = batch.begin(); batch.next(cursor, record);) {
    out_.term = record.header.term;
    chain_ = record.header.chain;
  }
  expected_ = batch.last_lsn().next();
  out_.tail = slot;
  out_.tail_block = block + batch.blocks();
}

// Everything behind a bad place, once: what it proves, and whether anything of ours is there.
void Walk::look_behind(std::size_t at, std::uint32_t block, bool in_segment) {
  if (looked_) return;
  looked_ = true;
  const auto visit = [&](const Candidate& c, std::uint32_t from) {
    for (std::uint32_t b = from; b < in_.layout.segment_blocks();) {
      BatchView batch;
      if (!image_.readable(b) ||
          !BatchView::open(image_.from(b), in_.incarnation, &c.header.id, b, batch)) {
        ++b;
        continue;
      }
      note_claims(batch);
      seen_ = std::max(seen_, batch.last_lsn());
      BatchView::Record record;
      for (auto cursor = batch.begin(); batch.next(cursor, record);) {
        out_.evidence_term = std::max(out_.evidence_term, record.header.term);
      }
      b += std::max<std::uint32_t>(batch.blocks(), 1);
    }
  };
  if (in_segment) visit(segments_[at], block);
  for (std::size_t i = in_segment ? at + 1 : at; i < segments_.size(); ++i) {
    image_.load(in_.disk, in_.files[segments_[i].slot]);
    visit(segments_[i], 1);
  }
  if (in_segment) image_.load(in_.disk, in_.files[segments_[at].slot]);
}

// Whether anything in the tail segment could pass for a batch behind the end, now or once it can be
// read again.
bool Walk::leftovers(std::size_t at, std::uint32_t block) const {
  for (std::uint32_t b = block; b < in_.layout.segment_blocks(); ++b) {
    BatchView batch;
    if (!image_.readable(b)) return true;
    if (BatchView::open(image_.from(b), in_.incarnation, &segments_[at].header.id, b, batch)) {
      return true;
    }
  }
  return false;
}

void Walk::bad_payload(std::uint32_t slot, std::uint32_t block, const BatchView& batch,
                       bool readable) {
  std::size_t at = 0;
  while (segments_[at].slot != slot) ++at;
  // The batch itself is intact but for its payload: it proves what it claims, and its records.
  look_behind(at, block, true);
  seen_ = std::max(seen_, batch.last_lsn());
  const Case letter = classify(PlaceFacts{.lsn = expected_,
                                          .durable = out_.durable,
                                          .written = out_.written,
                                          .seen = seen_,
                                          .power_loss = in_.power_loss,
                                          .readable = readable,
                                          .header_verifies = true});
  find(letter, slot, block, readable ? "payload does not fit its CRC" : "payload is unreadable");
  if (decision_of(letter) == Decision::end_of_log) {
    something_behind_ = true;
    stopped_ = true;
    return;
  }
  BatchView::Record record;
  for (auto cursor = batch.begin(); batch.next(cursor, record);) {
    if (record.header.lsn <= Lsn(in_.super.applied_lsn)) continue;  // the base has it
    if ((record.header.flags & record_flag_lost) != 0) continue;
    bool ignored = true;
    if (payload_verifies(record, block, ignored)) continue;
    if (out_.unknown.size() < unknown_listed_max) out_.unknown.push_back(record.header);
    out_.damage = Damage::unknown_records;
  }
  accept(slot, block, batch);
}

// A file whose header is gone may still hold the batch that continues the chain.
bool Walk::hidden_continuation(bool& readable) {
  for (std::uint32_t slot = 0; slot < in_.files.size(); ++slot) {
    if (states_[slot] != HeaderState::bad && states_[slot] != HeaderState::unreadable) continue;
    AlignedBuffer blocks(batch_header_blocks_max * block_bytes);
    if (!in_.disk.read(in_.files[slot], block_bytes, blocks.span())) {
      if (states_[slot] == HeaderState::unreadable) {
        readable = false;
        return true;
      }
      continue;
    }
    BatchView batch;
    if (!BatchView::open(blocks.span(), in_.incarnation, nullptr, 1, batch)) continue;
    if (batch.first_lsn() != expected_ || batch.head().chain_before != chain_) continue;
    note_claims(batch);
    seen_ = std::max(seen_, batch.last_lsn());
    readable = states_[slot] != HeaderState::unreadable;
    return true;
  }
  return false;
}

// The chain does not go on at this place: which case is it?
void Walk::end_here(std::size_t at, std::uint32_t block, bool in_segment) {
  stopped_ = true;
  look_behind(at, block, in_segment);
  something_behind_ = in_segment && leftovers(at, block);
  const bool later = (in_segment ? at + 1 : at) < segments_.size();
  bool readable = !in_segment || block >= in_.layout.segment_blocks() || image_.readable(block);
  const bool hidden = hidden_continuation(readable);
  const std::uint32_t slot = in_segment ? segments_[at].slot : 0;
  const Lsn proven = in_.power_loss ? out_.durable : std::max(out_.durable, out_.written);
  if (!something_behind_ && !later && !hidden && readable && expected_ > proven) {
    find(Case::A, slot, block, "the chain ends at a batch");
    return;
  }
  const Case letter = classify(PlaceFacts{.lsn = expected_,
                                          .durable = out_.durable,
                                          .written = out_.written,
                                          .seen = seen_,
                                          .power_loss = in_.power_loss,
                                          .readable = readable,
                                          .segment_missing = later && !something_behind_});
  find(letter, slot, block, readable ? "no batch here continues the chain" : "unreadable");
  if (decision_of(letter) == Decision::end_of_log) return;
  out_.damage = Damage::regressed;
  out_.broken = true;
  const Lsn old_end = std::max({proven, seen_, readable ? out_.end : expected_});
  out_.floor = Floor{std::max(out_.term, out_.evidence_term), old_end};
}

bool Walk::walk_segment(std::size_t at) {
  Candidate& segment = segments_[at];
  image_.load(in_.disk, in_.files[segment.slot]);
  if (segment.rebuilt) {
    segment.header.term = out_.term;
    out_.rebuilt.emplace_back(segment.slot, segment.header);
    find(Case::C, segment.slot, 0, "a segment header was bad, its first batch has it");
  }
  visitor_.on_segment(segment.slot, segment.header);
  out_.tail = segment.slot;
  out_.tail_block = 1;
  for (std::uint32_t block = 1; block < in_.layout.segment_blocks() && !stopped_;) {
    BatchView batch;
    const bool ours =
        image_.readable(block) &&
        BatchView::open(image_.from(block), in_.incarnation, &segment.header.id, block, batch) &&
        batch.first_lsn() == expected_ && batch.head().chain_before == chain_ &&
        block + batch.blocks() <= in_.layout.segment_blocks() && possible(batch);
    if (!ours) {
      if (continues(at + 1)) return true;
      end_here(at, block, true);
      return false;
    }
    bool readable = true;
    if (payload_verifies(batch, block, readable)) {
      accept(segment.slot, block, batch);
    } else {
      bad_payload(segment.slot, block, batch, readable);
    }
    block += batch.blocks();
  }
  return !stopped_;
}

void Walk::walk_segments() {
  for (std::size_t at = 0; !stopped_; ++at) {
    if (!continues(at)) {
      const bool full = at > 0;  // the segment before was used to its last block
      end_here(full ? at - 1 : at, full ? in_.layout.segment_blocks() : 0, full);
      return;
    }
    if (!walk_segment(at)) return;
  }
}

void Walk::finish() {
  out_.end = Lsn(expected_.value() - 1);
  out_.chain = chain_;
  out_.copy_tail = something_behind_ && out_.tail.has_value();
  // Whatever lies beyond the end must not come back: its headers go, the highest number first.
  std::size_t kept = 0;
  while (kept < segments_.size() && out_.tail && segments_[kept].slot != *out_.tail) ++kept;
  std::vector<std::uint32_t> beyond;
  for (std::size_t i = segments_.size(); i > (out_.tail ? kept + 1 : 0); --i) {
    beyond.push_back(segments_[i - 1].slot);
  }
  out_.clear.insert(out_.clear.begin(), beyond.begin(), beyond.end());
  const Lsn applied(in_.super.applied_lsn);
  const bool fold_is_open = has_flag(in_.super, super_flag_intent);
  out_.base_ahead = fold_is_open && std::max(out_.end, applied) < Lsn(in_.super.intent_cut);
  if (MUTANT(M94)) out_.base_ahead = false;
  if (out_.end < applied) {  // the base holds more than what is left of the log
    out_.restart = true;
    out_.end = applied;
    out_.term = Term(in_.super.applied_term);
    out_.chain = in_.super.applied_chain;
    if (out_.durable <= applied && (in_.power_loss || out_.written <= applied)) {
      out_.damage = Damage::none;
      out_.broken = false;
      out_.floor.reset();
    }
  }
}

// The chain is broken below `applied`, and a later segment begins below it, too: what lies between
// is in the base, and the base says which chain the rest of the log must go through.
std::optional<LogStart> Walk::start_behind_damage() const {
  const Lsn applied(in_.super.applied_lsn);
  if (!out_.broken || expected_ > applied) return std::nullopt;
  for (const Candidate& segment : segments_) {
    const SegmentHeader& header = segment.header;
    if (segment.rebuilt || header.first_lsn <= expected_) continue;
    if (header.first_lsn > applied.next()) break;
    if (header.first_lsn == applied.next() && header.chain_before != in_.super.applied_chain) break;
    return LogStart{header.first_lsn, header.chain_before, header.id};
  }
  return std::nullopt;
}

Result<Recovered> Walk::run() {
  TRY(read_headers());
  choose_lineage();
  const DiskSuper& super = in_.super;
  out_.durable = Lsn(super.durable_lsn);
  out_.written = Lsn(super.written_lsn);
  out_.evidence_term = Term(super.durable_term);
  expected_ = Lsn(super.log_start_lsn);
  chain_ = super.log_start_chain;
  if (super.log_start_lsn == super.applied_lsn + 1) out_.term = Term(super.applied_term);
  if (!segments_.empty() && continues(0)) {
    out_.term = std::max(out_.term, segments_[0].header.term);
  }
  walk_segments();
  behind_ = start_behind_damage();
  finish();
  return std::move(out_);
}

}  // namespace

Result<Recovered> recover_log(const RecoveryInput& input, LogVisitor& visitor) {
  CHECK(input.files.size() == input.layout.segment_count);
  DiskSuper super = input.super;
  const RecoveryInput from{input.disk, input.files,      input.layout, input.incarnation,
                           super,      input.power_loss, input.base};
  std::optional<LogStart> start;
  std::vector<Finding> findings;
  for (;;) {  // each time from a later segment on
    visitor.on_start();
    Walk walk(from, visitor);
    TRY_ASSIGN(Recovered recovered, walk.run());
    const std::optional<LogStart> behind = walk.behind();
    findings.insert(findings.end(), recovered.findings.begin(), recovered.findings.end());
    if (!behind) {
      recovered.starts_behind = start;
      recovered.findings = std::move(findings);
      return recovered;
    }
    start = behind;
    super.log_start_lsn = behind->lsn.value();
    super.log_start_chain = behind->chain;
    super.log_start_number = behind->segment.number;
    super.log_start_version = behind->segment.version;
  }
}

}  // namespace seawall::wal
