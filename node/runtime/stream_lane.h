// StreamLane: records of the own log, read and queued on peers' links as Append frames.
//
// Purpose: carries out StreamLog, one at a time a peer; the same frames as live records.
// Life cycle: one a replica, with its Store. Thread: the shard's. Ownership: a read buffer while a
// read runs, a slot a record until its frame has left. Bounds: four streams a
// member, one buffer each; a stream does not begin while its link has `queued_max` bytes to send,
// or while the pool has no room.
// Errors: a read error ends the stream with ok = false.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "engine/base/limits.h"
#include "engine/command.h"
#include "node/runtime/growing_ring.h"
#include "node/runtime/link_table.h"
#include "node/runtime/shard.h"
#include "wal/store.h"

namespace seawall::runtime {

class StreamLane {
 public:
  static constexpr std::size_t queued_max = 4 * limits::MiB;

  StreamLane(Shard& shard, LinkTable& links, wal::Store& store, EventSink& sink);
  StreamLane(const StreamLane&) = delete;
  StreamLane& operator=(const StreamLane&) = delete;

  void start(const command::StreamLog& command);
  // Begins what waits and queues what has been read. Once a loop turn.
  void turn(Instant now);
  [[nodiscard]] bool reading() const;
  [[nodiscard]] bool waiting() const;

 private:
  static constexpr std::size_t records_max = 256;
  enum class Stage : std::uint8_t { idle, waiting, reading, read };
  struct Stream {
    StreamLane* lane = nullptr;
    Stage stage = Stage::idle;
    command::StreamLog command;
    wal::LogReadOp op;
    SlotRef buffer;
    RecoveryTurn turn;
    std::array<RecordHeader, records_max> headers;
    std::array<std::uint32_t, records_max> crcs;
  };

  void begin(Stream& stream, Instant now);
  void finish(Stream& stream, Instant now);
  // Queues as many as the pool has room for; returns the last one queued, `from - 1` for none.
  Lsn queue_frames(Stream& stream, Instant now);

  Shard& shard_;
  LinkTable& links_;
  wal::Store& store_;
  EventSink& sink_;
  // A session that ended may leave its read behind, so there are more than peers.
  std::array<std::unique_ptr<Stream>, 4 * limits::members_max> streams_;
  GrowingRing<command::StreamLog> refused_{4, 256};
};

}  // namespace seawall::runtime
