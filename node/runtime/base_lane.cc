#include "node/runtime/base_lane.h"

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
  UNREACHABLE("more frozen bases than members can have sessions");
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

void BaseLane::begin_read(Source& source) {
  if (shard_.transport.queued_bytes(source.command.link) > 4 * limits::MiB) return;
  source.buffer = SlotRef(shard_.pool, shard_.pool.take(limits::extent_bytes_max));
  if (!source.buffer) return;
  source.op = wal::BaseReadOp{};
  source.op.from = source.cursor;
  source.op.into = shard_.pool.bytes(source.buffer.slot());
  source.op.crcs = source.crcs;
  source.op.owner = &source;
  source.op.done = [](wal::BaseReadOp& op) {
    static_cast<Source*>(op.owner)->stage = Stage::read;
  };
  source.stage = Stage::reading;
  store_.read_base(source.op);
}

void BaseLane::report(Source& source, bool ok, bool end) {
  source.stage = Stage::idle;
  sink_.feed(event::BaseSent{source.peer, source.session, ok, source.sequence, end,
                             source.sequence, source.digest});
}

bool BaseLane::queue_extent(Source& source) {
  const wal::ExtentHeader& extent = source.op.header;
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
  source.cursor = extent.lba + BlockCount{1};  // the next extent begins behind this block
  ++source.sent_of_command;
  return true;
}

void BaseLane::finish_read(Source& source) {
  if (source.op.result != Errc::ok || source.op.end) {
    source.buffer.reset();
    report(source, source.op.result == Errc::ok, source.op.end);
    return;
  }
  if (!queue_extent(source)) return;  // once more when there is memory
  source.buffer.reset();
  if (source.sent_of_command == source.command.extents_max) {
    report(source, true, false);
  } else {
    source.stage = Stage::wanted;
  }
}

void BaseLane::begin_rebuild(SessionId session) {
  rebuild_ = session;
  rebuild_digest_ = base_digest_start;
}

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

void BaseLane::flush(const command::FlushBase& command) {
  flushes_.push_back(command);
  if (flushes_.size() == 1) begin_flush();
}

void BaseLane::begin_flush() {
  flushed_.reset();
  store_.flush_base(
      [](void* owner, Errc errc) { static_cast<BaseLane*>(owner)->flushed_ = errc; }, this);
}

void BaseLane::report_flush() {
  if (flushes_.empty() || !flushed_.has_value()) return;
  const command::FlushBase command = flushes_.pop_front();
  const bool ok = *flushed_ == Errc::ok;
  if (!flushes_.empty()) begin_flush();
  sink_.feed(event::BaseFlushed{command.session, ok});
}

// In the order of arrival, whatever the disk's: an acknowledgement covers all before it.
void BaseLane::report_writes() {
  while (!writes_.empty() && writes_.front()->done) {
    const std::unique_ptr<Write> write = writes_.pop_front();
    sink_.feed(event::BaseWritten{write->command.session, write->command.blocks.sequence,
                                  write->op.result == Errc::ok, write->digest});
  }
}

void BaseLane::turn(Instant now) {
  static_cast<void>(now);
  report_writes();
  report_flush();
  for (auto& source : sources_) {
    if (source == nullptr) continue;
    if (source->thawed && source->stage != Stage::reading) {
      source.reset();
      store_.thaw_base();
      continue;
    }
    if (source->stage == Stage::freezing && store_.frozen()) {
      source->stage = Stage::idle;
      const wal::FoldedPoint cut = store_.folded();
      sink_.feed(event::BaseFrozen{source->peer, source->session, true, cut.lsn, cut.term,
                                   cut.chain, store_.extents_mapped()});
    }
    // Feeding may have thawed it; the next turn sees to that.
    if (source->stage == Stage::read && !source->thawed) finish_read(*source);
    if (source->stage == Stage::wanted && !source->thawed) begin_read(*source);
  }
}

bool BaseLane::busy() const {
  if (!writes_.empty() || !flushes_.empty()) return true;
  for (const auto& source : sources_) {
    if (source != nullptr && source->stage == Stage::reading) return true;
  }
  return false;
}

bool BaseLane::waiting() const {
  for (const auto& source : sources_) {
    if (source == nullptr) continue;
    if (source->thawed || source->stage == Stage::wanted || source->stage == Stage::freezing ||
        source->stage == Stage::read) {
      return true;
    }
  }
  return false;
}

}  // namespace seawall::runtime
