#include "node/runtime/base_lane.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/base/chain.h"

namespace seawall::runtime {

std::uint64_t base_digest(std::uint64_t before, Lba lba, Lsn last_lsn, std::uint64_t present,
                          std::span<const std::uint32_t> crcs) {
  std::uint64_t digest = mix64(before, lba.value());
  digest = mix64(digest, last_lsn.value());
  digest = mix64(digest, present);
  return mix64(digest, digest_crcs(crcs));
}

BaseLane::BaseLane(Shard& shard, LinkTable& links, wal::Store& store, EventSink& sink)
    : shard_(shard), links_(links), store_(store), sink_(sink) {}

BaseLane::~BaseLane() {
  for (const auto& source : sources_) {
    if (source != nullptr) store_.thaw_base();
  }
}

BaseLane::Source* BaseLane::find(ReplicaId peer, SessionId session) {
  for (const auto& source : sources_) {
    if (source != nullptr && !source->thawed && source->peer == peer &&
        source->session == session) {
      return source.get();
    }
  }
  return nullptr;
}

void BaseLane::freeze(const command::FreezeBase& command) {
  CHECK(find(command.peer, command.session) == nullptr);
  for (auto& source : sources_) {
    if (source != nullptr) continue;
    source = std::make_unique<Source>();
    source->peer = command.peer;
    source->session = command.session;
    store_.freeze_base();
    return;
  }
  refused_.push_back(command);  // reads that never end: this session ends instead
}

void BaseLane::compare(const command::CompareBase& command) {
  Source* source = find(command.peer, command.session);
  CHECK_MSG(source != nullptr, "a base is compared while it is frozen");
  CHECK(source->stage == Stage::idle);
  const message::BaseMap& map = command.map;
  std::span<const std::byte> bytes;
  if (map.slot != no_slot) bytes = shard_.pool.bytes(map.slot);
  auto lines = get_map_lines(bytes, map.lines, map.from, map.upto);
  source->malformed = !lines.has_value();
  source->theirs = std::move(lines).value_or(std::vector<MapLine>{});
  source->since = command.since;
  source->range_end = map.upto;
  source->scanned = map.from;
  source->scan.count = 0;
  source->at = MapCursor{};
}

void BaseLane::send(const command::SendBase& command) {
  Source* source = find(command.peer, command.session);
  CHECK_MSG(source != nullptr, "a base is sent while it is frozen");
  CHECK(source->stage == Stage::idle);
  CHECK(command.extents_max > 0);
  source->command = command;
  source->sent_of_command = 0;
  source->stage = Stage::wanted;
}

void BaseLane::thaw(const command::ThawBase& command) {
  if (Source* source = find(command.peer, command.session)) source->thawed = true;
}

void BaseLane::report(Source& source, bool ok, bool range_done, Lba upto) {
  source.stage = Stage::idle;
  sink_.feed(event::BaseSent{source.peer, source.session, ok, source.sequence, range_done, upto,
                             source.digest, source.compared, source.map_digest});
}

// What cannot be sent from here is fetched from others first, and the rebuild begins anew.
void BaseLane::tell_rot(Errc result, Lba column) {
  if (result != Errc::corrupt) return;
  const std::uint64_t left = store_.facts().size.value() - column.value();
  const BlockCount blocks{std::min<std::uint64_t>(left, 16)};
  sink_.feed(event::BlocksRotten{column, blocks, store_.map_is_rotten()});
}

// The next column that differs is read; where our side is not known yet, the map is read on.
void BaseLane::look_on(Source& source, Instant now) {
  if (source.malformed) return report(source, false, false, source.scanned);
  if (!source.column.has_value()) {
    source.column = next_difference(std::span(source.ours).first(source.scan.count),
                                    source.theirs, source.scanned, source.at);
  }
  if (source.column.has_value()) {
    static_cast<void>(begin_read(source, now));
    return;
  }
  if (source.scanned >= source.range_end) {
    return report(source, true, true, source.range_end);
  }
  source.scan = wal::MapReadOp{};
  source.scan.from = source.scanned;
  source.scan.upto = source.range_end;
  source.scan.since = source.since;
  source.scan.into = source.ours;
  source.scan.owner = &source;
  source.scan.done = [](wal::MapReadOp& op) {
    static_cast<Source*>(op.owner)->stage = Stage::scanned;
  };
  source.stage = Stage::scanning;
  store_.read_map(source.scan);
}

void BaseLane::take_scan(Source& source) {
  source.stage = Stage::wanted;
  if (source.scan.result != Errc::ok) {
    tell_rot(source.scan.result, source.scanned);
    return report(source, false, false, source.scanned);
  }
  source.scanned = source.scan.scanned;
  source.at.ours = 0;
  source.compared += source.scan.count;
  for (std::uint32_t i = 0; i < source.scan.count; ++i) {
    source.map_digest = map_digest_next(source.map_digest, source.ours[i]);
  }
}

bool BaseLane::begin_read(Source& source, Instant now) {
  if (shard_.transport.queued_bytes(source.command.link) > 4 * limits::MiB) return false;
  source.buffer = SlotRef(shard_.pool, shard_.pool.take(limits::extent_bytes_max));
  if (!source.buffer) return false;
  if (!source.turn.begin(shard_.scratch.recoveries, limits::extent_bytes, now)) {
    source.buffer.reset();
    return false;
  }
  source.op = wal::BaseReadOp{};
  source.op.from = *source.column;
  source.op.into = shard_.pool.bytes(source.buffer.slot());
  source.op.crcs = source.crcs;
  source.op.owner = &source;
  source.op.done = [](wal::BaseReadOp& op) {
    static_cast<Source*>(op.owner)->stage = Stage::read;
  };
  source.stage = Stage::reading;
  store_.read_base(source.op);
  return true;
}

bool BaseLane::queue_column(Source& source, const wal::ExtentHeader& extent) {
  const auto blocks = static_cast<std::size_t>(std::popcount(extent.present));
  message::BaseBlocks message;
  SlotRef slot;
  if (blocks > 0) {
    const std::size_t bytes = blocks * limits::block_bytes;
    slot = SlotRef(shard_.pool, shard_.pool.take(bytes));
    if (!slot) return false;
    std::memcpy(shard_.pool.bytes(slot.slot()).data(), source.op.into.data(), bytes);
    std::memcpy(shard_.pool.crcs(slot.slot()).data(), source.crcs.data(),
                blocks * sizeof(std::uint32_t));
  }
  message.sequence = ++source.sequence;
  message.lba = extent.lba;
  message.last_lsn = extent.last_lsn;
  message.present = extent.present;
  message.slot = slot.slot();
  source.digest = base_digest(source.digest, extent.lba, extent.last_lsn, extent.present,
                              std::span(source.crcs).first(blocks));
  links_.send(source.command.link,
              encode(source.command.envelope, message, shard_.pool, shard_.scratch.meta));
  ++source.sent_of_command;
  return true;
}

// A column that we have no entry of goes as nothing: the extent over there becomes a hole.
void BaseLane::finish_read(Source& source) {
  if (source.op.result != Errc::ok) {
    source.buffer.reset();
    source.turn.end();
    tell_rot(source.op.result, *source.column);
    return report(source, false, false, *source.column);
  }
  wal::ExtentHeader extent = source.op.header;
  if (source.op.end || extent.lba != *source.column) extent = {*source.column, Lsn{}, 0};
  if (!queue_column(source, extent)) return;  // once more when there is memory
  source.buffer.reset();
  source.turn.end();
  source.column.reset();
  source.stage = Stage::wanted;
  if (source.sent_of_command == source.command.extents_max) {
    report(source, true, false, extent.lba + BlockCount{1});
  }
}

void BaseLane::turn_source(Source& source, Instant now) {
  if (source.stage == Stage::freezing && store_.frozen()) {
    source.stage = Stage::idle;
    const wal::FoldedPoint cut = store_.folded();
    sink_.feed(event::BaseFrozen{source.peer, source.session, true, cut.lsn, cut.term, cut.chain,
                                 store_.extents_mapped()});
  }
  // Feeding may have thawed it; the next turn sees to that.
  if (source.stage == Stage::scanned && !source.thawed) take_scan(source);
  if (source.stage == Stage::read && !source.thawed) finish_read(source);
  if (source.stage == Stage::wanted && !source.thawed) look_on(source, now);
}

void BaseLane::turn(Instant now) {
  report_writes();
  turn_listing();
  turn_ending();
  while (!refused_.empty()) {
    const command::FreezeBase refused = refused_.pop_front();
    sink_.feed(event::BaseFrozen{refused.peer, refused.session});
  }
  for (auto& source : sources_) {
    if (source == nullptr) continue;
    if (source->thawed && source->stage != Stage::reading && source->stage != Stage::scanning) {
      source.reset();
      store_.thaw_base();
      continue;
    }
    turn_source(*source, now);
  }
}

bool BaseLane::busy() const {
  if (!writes_.empty() || !flushes_.empty()) return true;
  if (listing_.stage == Listing::Stage::scanning || listing_.stage == Listing::Stage::verifying) {
    return true;
  }
  for (const auto& source : sources_) {
    if (source == nullptr) continue;
    if (source->stage == Stage::reading || source->stage == Stage::scanning) return true;
  }
  return false;
}

bool BaseLane::waiting() const {
  if (!refused_.empty()) return true;
  if (!listings_.empty() && listing_.stage != Listing::Stage::scanning &&
      listing_.stage != Listing::Stage::verifying) {
    return true;
  }
  if (ending_.stage == Ending::Stage::scanned || ending_.stage == Ending::Stage::flushed) {
    return true;
  }
  for (const auto& source : sources_) {
    if (source == nullptr) continue;
    if (source->thawed || (source->stage != Stage::idle && source->stage != Stage::reading &&
                           source->stage != Stage::scanning)) {
      return true;
    }
  }
  return false;
}

}  // namespace seawall::runtime
