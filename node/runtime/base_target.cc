// The target's half of the base lane: its map for the source, columns in, and what its map says in
// the end.
#include <algorithm>

#include "node/runtime/base_lane.h"
#include "wal/crc32c.h"

namespace seawall::runtime {

void BaseLane::begin_rebuild(SessionId session) {
  rebuild_ = session;
  rebuild_digest_ = base_digest_start;
}

// --- the own map ---

void BaseLane::read_map(const command::ReadBaseMap& command) { listings_.push_back(command); }

void BaseLane::end_listing(bool ok) {
  const command::ReadBaseMap command = listings_.pop_front();
  listing_.stage = Listing::Stage::idle;
  listing_.buffer.reset();
  sink_.feed(event::BaseMapRead{command.session, ok});
}

void BaseLane::turn_listing() {
  if (listings_.empty()) return;
  const command::ReadBaseMap& command = listings_.front();
  if (listing_.stage == Listing::Stage::idle) {
    const Lba end{store_.facts().size.value()};
    if (command.from >= end) return end_listing(false);
    listing_.scan = wal::MapReadOp{};
    listing_.scan.from = command.from;
    listing_.scan.upto = std::min(end, command.from + range_max);
    listing_.scan.since = command.since;
    listing_.scan.into = listing_.lines;
    listing_.scan.owner = this;
    listing_.scan.done = [](wal::MapReadOp& op) {
      static_cast<BaseLane*>(op.owner)->listing_.stage = Listing::Stage::scanned;
    };
    listing_.verified = 0;
    listing_.stage = Listing::Stage::scanning;
    store_.read_map(listing_.scan);
    return;
  }
  if (listing_.stage == Listing::Stage::scanned) {
    if (listing_.scan.result != Errc::ok) return end_listing(false);
    listing_.stage = store_.base_doubtful() ? Listing::Stage::verified : Listing::Stage::ready;
  }
  if (listing_.stage == Listing::Stage::verified) {
    take_verified();
    if (listing_.verified == listing_.scan.count) {
      listing_.stage = Listing::Stage::ready;
    } else if (!begin_verify()) {
      return;
    }
  }
  if (listing_.stage == Listing::Stage::ready && send_listing()) end_listing(true);
}

// What was read of the last line: a column whose data is not what its entry says equals nothing.
void BaseLane::take_verified() {
  if (!listing_.buffer) return;  // nothing was read yet
  MapLine& line = listing_.lines[listing_.verified++];
  const bool good = listing_.read.result == Errc::ok && !listing_.read.end &&
                    listing_.read.header.lba == line.lba;
  if (!good) line.digest = unreadable_column;
  listing_.buffer.reset();
}

bool BaseLane::begin_verify() {
  listing_.buffer = SlotRef(shard_.pool, shard_.pool.take(limits::extent_bytes_max));
  if (!listing_.buffer) return false;
  listing_.read = wal::BaseReadOp{};
  listing_.read.from = listing_.lines[listing_.verified].lba;
  listing_.read.into = shard_.pool.bytes(listing_.buffer.slot());
  listing_.read.crcs = listing_.crcs;
  listing_.read.owner = this;
  listing_.read.done = [](wal::BaseReadOp& op) {
    static_cast<BaseLane*>(op.owner)->listing_.stage = Listing::Stage::verified;
  };
  listing_.stage = Listing::Stage::verifying;
  store_.read_base(listing_.read);
  return true;
}

bool BaseLane::send_listing() {
  const command::ReadBaseMap& command = listings_.front();
  const std::span<const MapLine> lines =
      std::span<const MapLine>(listing_.lines).first(listing_.scan.count);
  message::BaseMap map{command.from, listing_.scan.scanned, listing_.scan.count, no_slot};
  SlotRef slot;
  if (!lines.empty()) {
    slot = SlotRef(shard_.pool, shard_.pool.take(map_payload_for(lines.size())));
    if (!slot) return false;
    put_map_lines(lines, shard_.pool.bytes(slot.slot()));
    const std::span<const std::byte> bytes = shard_.pool.bytes(slot.slot());
    const std::span<std::uint32_t> crcs = shard_.pool.crcs(slot.slot());
    for (std::size_t i = 0; i < crcs.size(); ++i) {
      crcs[i] = wal::crc32c_block(bytes.data() + i * limits::block_bytes);
    }
    map.slot = slot.slot();
  }
  links_.send(command.link, encode(command.envelope, map, shard_.pool, shard_.scratch.meta));
  return true;
}

// --- columns in ---

void BaseLane::write(const command::WriteBase& command) {
  CHECK_MSG(!writes_.full(), "more base blocks than the window holds");
  auto write = std::make_unique<Write>();
  const message::BaseBlocks& blocks = command.blocks;
  write->lane = this;
  write->command = command;
  write->op.header = {blocks.lba, blocks.last_lsn, blocks.present};
  if (blocks.slot != no_slot) {
    shard_.pool.ref(blocks.slot);
    write->slot = SlotRef(shard_.pool, blocks.slot);
    write->op.from = shard_.pool.bytes(blocks.slot);
    write->op.crcs = shard_.pool.crcs(blocks.slot);
  }
  if (command.session == rebuild_) {
    rebuild_digest_ = base_digest(rebuild_digest_, blocks.lba, blocks.last_lsn, blocks.present,
                                  write->op.crcs);
  }
  write->digest = rebuild_digest_;
  write->op.owner = write.get();
  write->op.done = [](wal::BaseWriteOp& op) { static_cast<Write*>(op.owner)->done = true; };
  Write& queued = *writes_.push_back(std::move(write));
  store_.write_base(queued.op);
}

// In the order of arrival, whatever the disk's: an acknowledgement covers all before it.
void BaseLane::report_writes() {
  while (!writes_.empty() && writes_.front()->done) {
    const std::unique_ptr<Write> write = writes_.pop_front();
    sink_.feed(event::BaseWritten{write->command.session, write->command.blocks.sequence,
                                  write->op.result == Errc::ok, write->digest});
  }
}

// --- the end ---

void BaseLane::flush(const command::FlushBase& command) { flushes_.push_back(command); }

void BaseLane::begin_ending_scan(Lba from) {
  ending_.scan = wal::MapReadOp{};
  ending_.scan.from = from;
  ending_.scan.upto = Lba{store_.facts().size.value()};
  ending_.scan.since = flushes_.front().since;
  ending_.scan.into = ending_.lines;
  ending_.scan.owner = this;
  ending_.scan.done = [](wal::MapReadOp& op) {
    static_cast<BaseLane*>(op.owner)->ending_.stage = Ending::Stage::scanned;
  };
  ending_.stage = Ending::Stage::scanning;
  store_.read_map(ending_.scan);
}

// The map as it is now, all columns in it; then the flush. A map that cannot be read has no digest.
void BaseLane::turn_ending() {
  if (flushes_.empty()) return;
  if (ending_.stage == Ending::Stage::idle) {
    ending_.count = 0;
    ending_.digest = map_digest_start;
    return begin_ending_scan(Lba{0});
  }
  if (ending_.stage == Ending::Stage::scanned) {
    const wal::MapReadOp& scan = ending_.scan;
    const bool ok = scan.result == Errc::ok;
    ending_.count += scan.count;
    for (std::uint32_t i = 0; i < scan.count; ++i) {
      ending_.digest = map_digest_next(ending_.digest, ending_.lines[i]);
    }
    if (!ok) ending_.digest = 0;
    if (ok && scan.scanned < scan.upto) return begin_ending_scan(scan.scanned);
    ending_.stage = Ending::Stage::flushing;
    store_.flush_base(
        [](void* owner, Errc errc) {
          auto& ending = static_cast<BaseLane*>(owner)->ending_;
          ending.result = errc;
          ending.stage = Ending::Stage::flushed;
        },
        this);
  }
  if (ending_.stage != Ending::Stage::flushed) return;
  const command::FlushBase command = flushes_.pop_front();
  ending_.stage = Ending::Stage::idle;
  sink_.feed(event::BaseFlushed{command.session, ending_.result == Errc::ok, ending_.count,
                                ending_.digest});
}

}  // namespace seawall::runtime
