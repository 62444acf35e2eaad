#include "tests/walk/model_node.h"

#include <algorithm>

#include "engine/base/chain.h"
#include "engine/base/check.h"

namespace seawall::walk {

// --- slots ---

Slot SlotTable::lend(Payload payload) {
  payload.references = 1;
  const std::uint32_t number = next_++;
  payloads_[number] = std::move(payload);
  return Slot{number};
}

void SlotTable::reference(Slot slot) {
  if (slot != no_slot) ++payloads_.at(slot.value()).references;
}

void SlotTable::drop(Slot slot) {
  if (slot == no_slot) return;
  const auto found = payloads_.find(slot.value());
  CHECK_MSG(found != payloads_.end(), "a slot was dropped twice");
  if (--found->second.references == 0) payloads_.erase(found);
}

const Payload& SlotTable::at(Slot slot) const { return payloads_.at(slot.value()); }

// --- disk ---

void ModelDisk::cut(Lsn upto) {
  CHECK(upto >= start);
  records.resize(std::min(records.size(), static_cast<std::size_t>((upto - start).value())));
  written = std::min(written, upto);
  durable = std::min(durable, upto);
}

// What the super block keeps as of `applied` and an opening folds on top comes to the same.
RequestTables ModelDisk::requests() const {
  RequestTables tables = start_requests;
  for (const ModelRecord& record : records) tables.fold(record.header);
  return tables;
}

ReplicaFacts ModelDisk::facts(ProcessStart process) const {
  ReplicaFacts facts;
  facts.incarnation = incarnation;
  facts.replica = replica;
  facts.process_start = process;
  facts.promised = promised;
  facts.seen_epoch = seen_epoch;
  facts.seen_revision = seen_revision;
  facts.marks = Watermarks{written, durable, applied, trimmed};
  facts.last_term = term_at(written);
  facts.chain = chain_at(written);
  facts.intact = intact;
  facts.floor = floor;
  facts.marker = marker;
  facts.damage = damage;
  facts.size = size;
  facts.terms = old_terms;
  Term term = facts.terms.empty() ? Term{0} : facts.terms.back().term;
  for (Lsn lsn = start; lsn < written; ++lsn) {
    const RecordHeader& next = record(lsn.next()).header;
    if (next.term == term) continue;
    term = next.term;
    if (facts.terms.full()) facts.terms.erase_at(0);
    facts.terms.push_back(TermEntry{term, next.lsn, chain_at(lsn)});
  }
  return facts;
}

namespace {

bool covers(const RecordHeader& header, std::uint64_t block) {
  return changes_blocks(header.kind) && block >= header.lba.value() &&
         block < header.lba.value() + header.blocks.value();
}

}  // namespace

std::uint64_t ModelDisk::read(std::uint64_t block, Lsn upto) const {
  for (Lsn lsn = upto; lsn > start && lsn > applied; lsn = lsn.prev()) {
    const ModelRecord& entry = record(lsn);
    if (covers(entry.header, block)) {
      return entry.header.kind == RecordKind::write ? entry.value : 0;
    }
  }
  const auto found = base.find(block);
  return found == base.end() ? 0 : found->second.value;
}

std::vector<MapLine> ModelDisk::lines(Lba from, Lba upto, std::optional<Lsn> since) const {
  std::vector<MapLine> out;
  for (auto at = base.lower_bound(from.value()); at != base.end(); ++at) {
    const auto& [block, content] = *at;
    if (block >= upto.value()) break;
    if (since && content.last_lsn <= *since) continue;
    const auto crc = static_cast<std::uint32_t>(content.value * 2654435761u);
    const std::uint64_t present = content.value != 0 ? 1 : 0;
    out.push_back({Lba{block}, content.last_lsn,
                   column_digest(present, std::span(&crc, present))});
  }
  return out;
}

void ModelDisk::fold(Lsn upto) {
  while (applied < upto) {
    applied = applied.next();
    const ModelRecord& entry = record(applied);
    if (!changes_blocks(entry.header.kind)) continue;
    for (std::uint64_t i = 0; i < entry.header.blocks.value(); ++i) {
      const bool write = entry.header.kind == RecordKind::write;
      base[entry.header.lba.value() + i] = BaseBlock{applied, write ? entry.value : 0};
    }
  }
}

std::uint64_t digest_next(std::uint64_t digest, std::uint64_t block, const BaseBlock& content) {
  return mix64(mix64(mix64(digest, block), content.last_lsn.value()), content.value);
}

// --- node ---

void ModelNode::start(const CoreOptions& options) {
  CHECK(!alive);
  process = ProcessStart{process.value() + 1};
  memory.assign(Core::memory_bytes(), std::byte{});
  core = std::make_unique<Core>(options, memory);
  alive = true;
}

void ModelNode::stop() {
  core.reset();
  alive = false;
  wake.reset();
  slots.clear();
  supers.clear();
  flush.reset();
  completions.clear();
  facts_for_events.clear();
  if (disk.marker) disk.damage = Damage::base_untrusted;
  pins.clear();
  fold_limit = Lsn{};
  frozen = 0;
  base_open = false;
  fill_told = 0;
  base_cursors.clear();
  reads.clear();
  hold_write = hold_flush = hold_super = hold_read = false;
}

void ModelNode::crash() {
  stop();
  disk.cut(disk.written);
  disk.durable = std::min(disk.durable, disk.written);
}

void ModelNode::lose_power() {
  stop();
  disk.cut(disk.durable);
  disk.intact = false;
}

std::optional<Event> ModelNode::next_completion() {
  if (!completions.empty()) {
    Event event = completions.front();
    completions.pop_front();
    return event;
  }
  if (!supers.empty() && !hold_super) {
    const command::WriteSuper update = supers.front();
    supers.pop_front();
    if (update.promise) disk.promised = std::max(disk.promised, *update.promise);
    if (update.seen_epoch) disk.seen_epoch = *update.seen_epoch;
    if (update.seen_revision) disk.seen_revision = *update.seen_revision;
    if (update.intact) disk.intact = *update.intact;
    if (update.clear_floor) disk.floor.reset();
    if (update.clear_marker) disk.marker.reset();
    return event::SuperWritten{update.token};
  }
  if (disk.written < room_end() && !hold_write) {
    disk.written = room_end();
    return event::LogWritten{disk.written};
  }
  if (flush && !hold_flush && (disk.written >= *flush || disk.written == room_end())) {
    const Lsn upto = std::min(*flush, disk.written);
    if (upto == *flush) flush.reset();  // else the rest follows with the room
    if (upto > disk.durable) {
      disk.durable = upto;
      return event::LogDurable{upto};
    }
  }
  if (const std::optional<Event> space = make_room()) return space;
  if (!reads.empty() && !hold_read) {
    const command::ReadData read = reads.front();
    reads.pop_front();
    Payload payload;
    for (std::uint64_t i = 0; i < read.blocks.value(); ++i) {
      payload.blocks.push_back(disk.read(read.lba.value() + i, disk.head()));
    }
    return event::ReadDone{read.token, Errc::ok, slots.lend(payload)};
  }
  return std::nullopt;
}

// What the log takes now: the executor holds the rest back. Control records have a reserve.
Lsn ModelNode::room_end() const {
  if (log_records == 0) return disk.head();
  Lsn end = disk.written;
  while (end < disk.head()) {
    const bool control = !changes_blocks(disk.record(end.next()).header.kind);
    const std::uint64_t room = log_records + (control ? 8 : 0);
    if ((end.next() - disk.trimmed).value() > room) break;
    end = end.next();
  }
  return end;
}

// The log tells how full it is, folds and trims by itself.
std::optional<Event> ModelNode::make_room() {
  if (log_records == 0) return std::nullopt;
  const std::uint64_t used = (disk.written - disk.trimmed).value() * 100 / log_records;
  const auto fill = static_cast<std::uint8_t>(std::min<std::uint64_t>(used, 100) / 5 * 5);
  if (fill != fill_told) {
    fill_told = fill;
    return event::LogSpace{fill};
  }
  if (fill < 25) return std::nullopt;
  const Lsn applied = disk.applied;
  const Lsn trimmed = disk.trimmed;
  checkpoint();
  const event::Checkpointed done = trim();
  if (applied == disk.applied && trimmed == disk.trimmed) return std::nullopt;
  return done;
}

event::Checkpointed ModelNode::checkpoint() {
  if (frozen == 0 && !base_open) disk.fold(std::min(fold_limit, disk.durable));
  return event::Checkpointed{disk.applied, disk.trimmed};
}

event::Checkpointed ModelNode::trim() {
  Lsn upto = disk.applied;
  for (const auto& [pin, from] : pins) upto = std::min(upto, from.prev());
  disk.trimmed = std::max(disk.trimmed, upto);
  return event::Checkpointed{disk.applied, disk.trimmed};
}

}  // namespace seawall::walk
