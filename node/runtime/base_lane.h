// BaseLane: the base of one replica, read for a peer's rebuild or written by our own.
//
// Purpose: carries out FreezeBase, SendBase, ThawBase (source) and WriteBase, FlushBase (target).
// Life cycle: one a replica, with its Store; a freeze that is still there at its end is thawed.
// Thread: the shard's. Ownership: one buffer a source, a slot an extent on its way. Bounds: one
// source a member, `writes_max` extents on their way in. Errors: a read or write error is told by
// the event's ok; it ends the session, not the host.
// The digest of both sides: base_digest over (lba, last lsn, present bits, CRCs), in order.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "engine/base/limits.h"
#include "engine/base/ring_buffer.h"
#include "engine/command.h"
#include "node/runtime/growing_ring.h"
#include "node/runtime/link_table.h"
#include "node/runtime/shard.h"
#include "wal/store.h"

namespace seawall::runtime {

inline constexpr std::uint64_t base_digest_start = 0x5ea3a11ba5e00001ull;
std::uint64_t base_digest(std::uint64_t before, Lba lba, Lsn last_lsn, std::uint64_t present,
                          std::span<const std::uint32_t> crcs);

class BaseLane {
 public:
  static constexpr std::size_t writes_max = 64;

  BaseLane(Shard& shard, LinkTable& links, wal::Store& store, EventSink& sink);
  ~BaseLane();
  BaseLane(const BaseLane&) = delete;
  BaseLane& operator=(const BaseLane&) = delete;

  void freeze(const command::FreezeBase& command);
  void send(const command::SendBase& command);
  void thaw(const command::ThawBase& command);
  // A new rebuild of this replica begins: its digest starts anew.
  void begin_rebuild(SessionId session);
  // Takes a reference on the blocks' slot of its own.
  void write(const command::WriteBase& command);
  void flush(const command::FlushBase& command);
  void turn(Instant now);
  [[nodiscard]] bool crowded() const { return writes_.full(); }
  [[nodiscard]] bool busy() const;     // an operation is with the Store
  [[nodiscard]] bool waiting() const;  // something waits for memory, a link or a checkpoint

 private:
  enum class Stage : std::uint8_t { freezing, idle, wanted, reading, read };
  struct Source {
    ReplicaId peer;
    SessionId session;
    Stage stage = Stage::freezing;
    bool thawed = false;  // goes as soon as its read has ended
    command::SendBase command;
    std::uint32_t sent_of_command = 0;
    Lba cursor;
    std::uint64_t sequence = 0;
    std::uint64_t digest = base_digest_start;
    wal::BaseReadOp op;
    SlotRef buffer;
    std::array<std::uint32_t, 64> crcs{};
  };
  struct Write {
    BaseLane* lane = nullptr;
    command::WriteBase command;
    wal::BaseWriteOp op;
    SlotRef slot;
    std::uint64_t digest = 0;
    bool done = false;
  };

  Source* find(ReplicaId peer, SessionId session);
  void begin_read(Source& source);
  void finish_read(Source& source);
  // False: no memory now.
  bool queue_extent(Source& source);
  void report(Source& source, bool ok, bool end);
  void report_writes();
  void begin_flush();
  void report_flush();

  Shard& shard_;
  LinkTable& links_;
  wal::Store& store_;
  EventSink& sink_;
  std::array<std::unique_ptr<Source>, 2 * limits::members_max> sources_;
  SessionId rebuild_;
  std::uint64_t rebuild_digest_ = base_digest_start;
  RingBuffer<std::unique_ptr<Write>, writes_max> writes_;
  GrowingRing<command::FlushBase> flushes_{2, 64};  // the first one is with the Store
  std::optional<Errc> flushed_;
};

}  // namespace seawall::runtime
