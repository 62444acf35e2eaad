#include "node/runtime/stream_lane.h"

#include <algorithm>
#include <cstring>

#include "node/runtime/lost_record.h"

namespace seawall::runtime {

StreamLane::StreamLane(Shard& shard, LinkTable& links, wal::Store& store, EventSink& sink)
    : shard_(shard), links_(links), store_(store), sink_(sink) {}

void StreamLane::start(const command::StreamLog& command) {
  Stream* free = nullptr;
  for (auto& stream : streams_) {
    if (stream == nullptr) stream = std::make_unique<Stream>();  // the first stream of a peer
    CHECK_MSG(stream->stage == Stage::idle || stream->command.peer != command.peer ||
                  stream->command.session != command.session,
              "one stream at a time a peer");
    if (stream->stage == Stage::idle) {
      free = stream.get();
      break;
    }
  }
  if (free == nullptr) {  // reads that never end: this session ends instead
    refused_.push_back(command);
    return;
  }
  free->lane = this;
  free->command = command;
  free->stage = Stage::waiting;
}

void StreamLane::begin(Stream& stream, Instant now) {
  const command::StreamLog& command = stream.command;
  if (shard_.transport.queued_bytes(command.link) > queued_max) return;
  // A record must fit; what is asked for beyond one buffer comes with the next command.
  stream.buffer = SlotRef(shard_.pool, shard_.pool.take(limits::record_bytes_max));
  if (!stream.buffer) return;
  if (!stream.turn.running() &&
      !stream.turn.begin(shard_.scratch.recoveries, command.max_bytes, now)) {
    stream.buffer.reset();
    return;
  }
  stream.op = wal::LogReadOp{};
  stream.op.from = command.from;
  stream.op.upto = command.upto;
  stream.op.into = shard_.pool.bytes(stream.buffer.slot());
  stream.op.headers = stream.headers;
  stream.op.crcs = stream.crcs;
  stream.op.owner = &stream;
  stream.op.done = [](wal::LogReadOp& op) {
    static_cast<Stream*>(op.owner)->stage = Stage::read;
  };
  stream.stage = Stage::reading;
  store_.read_log(stream.op);
}

Lsn StreamLane::queue_frames(Stream& stream, Instant now) {
  const command::StreamLog& command = stream.command;
  Lsn queued = command.from.prev();
  std::size_t at = 0;
  std::size_t block = 0;
  for (std::uint32_t i = 0; i < stream.op.count; ++i) {
    const RecordHeader& header = stream.headers[i];
    CHECK(header.lsn == queued.next());
    message::Append append{header, no_slot, command.committed, command.stable, now};
    SlotRef slot;
    if (has_payload(header)) {
      const std::size_t bytes = payload_bytes(header).value();
      const std::size_t blocks = header.blocks.value();
      if (i > 0 && at + bytes > command.max_bytes) break;
      const std::span crcs = std::span(stream.crcs).subspan(block, blocks);
      const bool lost = (header.flags & record_flag_lost) != 0;
      slot = SlotRef(shard_.pool, shard_.pool.take(lost ? limits::block_bytes : bytes));
      if (!slot) break;
      if (lost) {
        put_crcs_of_lost(crcs, shard_.pool, slot.slot());
      } else {
        std::memcpy(shard_.pool.bytes(slot.slot()).data(), stream.op.into.data() + at, bytes);
        std::ranges::copy(crcs, shard_.pool.crcs(slot.slot()).begin());
      }
      at += bytes;
      block += blocks;
      append.slot = slot.slot();
    }
    links_.send(command.link,
                encode(command.envelope, append, shard_.pool, shard_.scratch.meta));
    queued = header.lsn;
  }
  return queued;
}

void StreamLane::finish(Stream& stream, Instant now) {
  const command::StreamLog command = stream.command;
  const bool ok = stream.op.result == Errc::ok;
  Lsn upto = command.from.prev();
  if (ok) {
    CHECK(stream.op.count > 0);
    CHECK(stream.op.count <= records_max);
    upto = queue_frames(stream, now);
  }
  // The record that could not be read is named first: somebody else may have its payload.
  const bool named = stream.op.result == Errc::corrupt && stream.op.count == 1;
  if (named) sink_.feed(event::RecordUnknown{stream.headers[0]});
  stream.buffer.reset();
  if (ok && upto < command.from) {  // the pool is full: once more, later
    stream.stage = Stage::waiting;
    return;
  }
  stream.stage = Stage::idle;
  stream.turn.end();
  sink_.feed(event::LogStreamed{command.peer, command.session, upto, ok});
}

void StreamLane::turn(Instant now) {
  while (!refused_.empty()) {
    const command::StreamLog command = refused_.pop_front();
    sink_.feed(event::LogStreamed{command.peer, command.session, command.from.prev(), false});
  }
  for (auto& stream : streams_) {
    if (stream != nullptr && stream->stage == Stage::read) finish(*stream, now);
  }
  for (auto& stream : streams_) {
    if (stream != nullptr && stream->stage == Stage::waiting) begin(*stream, now);
  }
}

bool StreamLane::reading() const {
  for (const auto& stream : streams_) {
    if (stream != nullptr && stream->stage == Stage::reading) return true;
  }
  return false;
}

bool StreamLane::waiting() const {
  for (const auto& stream : streams_) {
    if (stream == nullptr) continue;
    // What was read inside pump() is sent by the next turn.
    if (stream->stage == Stage::waiting || stream->stage == Stage::read) return true;
  }
  return false;
}

}  // namespace seawall::runtime
