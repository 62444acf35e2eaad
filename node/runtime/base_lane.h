// BaseLane: the base of one replica, compared and read for a peer's rebuild, or listed and written
// by our own.
//
// Purpose: carries out FreezeBase, CompareBase, SendBase, ThawBase (source) and ReadBaseMap,
// WriteBase, FlushBase (target). Life cycle: one a replica, with its Store; a freeze that is still
// there at its end is thawed. Thread: the shard's. Ownership: one buffer a source, a slot an extent
// on its way. Bounds: one source a member, `writes_max` extents on their way in, one range of a map
// at a time on either side. Errors: a read or write error is told by the event's ok; it ends the
// session, not the host.
// Two digests: base_digest over the columns that travel, in order, and map_digest_next over all
// entries that were compared.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/limits.h"
#include "engine/base/ring_buffer.h"
#include "engine/command.h"
#include "node/runtime/base_map.h"
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
  static constexpr std::size_t scan_lines = 256;
  // Of one BaseMap: what a peer scans before it answers is bounded.
  static constexpr BlockCount range_max{4 * 1024 * 1024};

  BaseLane(Shard& shard, LinkTable& links, wal::Store& store, EventSink& sink);
  ~BaseLane();
  BaseLane(const BaseLane&) = delete;
  BaseLane& operator=(const BaseLane&) = delete;

  void freeze(const command::FreezeBase& command);
  void compare(const command::CompareBase& command);  // takes what it needs out of the slot
  void send(const command::SendBase& command);
  void thaw(const command::ThawBase& command);
  // A new rebuild of this replica begins: its digest starts anew.
  void begin_rebuild(SessionId session);
  void read_map(const command::ReadBaseMap& command);
  // Takes a reference on the blocks' slot of its own.
  void write(const command::WriteBase& command);
  void flush(const command::FlushBase& command);
  void turn(Instant now);
  [[nodiscard]] bool crowded() const { return writes_.full(); }
  [[nodiscard]] bool busy() const;     // an operation is with the Store
  [[nodiscard]] bool waiting() const;  // something waits for memory, a link or a checkpoint

 private:
  // wanted: the next difference of the range is looked for.
  enum class Stage : std::uint8_t { freezing, idle, wanted, scanning, scanned, reading, read };
  struct Source {
    ReplicaId peer;
    SessionId session;
    Stage stage = Stage::freezing;
    bool thawed = false;  // goes as soon as its operation has ended
    // The range that is compared.
    std::optional<Lsn> since;
    Lba range_end;
    Lba scanned;                  // our side is known up to here
    std::vector<MapLine> theirs;
    std::array<MapLine, scan_lines> ours{};
    MapCursor at;
    bool malformed = false;
    wal::MapReadOp scan;
    // What is sent of it.
    command::SendBase command;
    std::uint32_t sent_of_command = 0;
    std::optional<Lba> column;    // differs; not sent yet
    std::uint64_t sequence = 0;
    std::uint64_t digest = base_digest_start;
    std::uint64_t compared = 0;
    std::uint64_t map_digest = map_digest_start;
    wal::BaseReadOp op;
    SlotRef buffer;
    RecoveryTurn turn;
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
  // The own map for a source: listed, verified if it is doubtful, sent.
  struct Listing {
    enum class Stage : std::uint8_t { idle, scanning, scanned, verifying, verified, ready };
    Stage stage = Stage::idle;
    wal::MapReadOp scan;
    std::array<MapLine, map_lines_max> lines{};
    std::uint32_t verified = 0;  // lines whose data has been read
    wal::BaseReadOp read;
    SlotRef buffer;
    std::array<std::uint32_t, 64> crcs{};
  };
  // The end of a rebuild: what the own map says in the end, then the flush.
  struct Ending {
    enum class Stage : std::uint8_t { idle, scanning, scanned, flushing, flushed };
    Stage stage = Stage::idle;
    wal::MapReadOp scan;
    std::array<MapLine, scan_lines> lines{};
    std::uint64_t count = 0, digest = 0;
    Errc result = Errc::ok;
  };

  Source* find(ReplicaId peer, SessionId session);
  void turn_source(Source& source, Instant now);
  void look_on(Source& source, Instant now);
  void take_scan(Source& source);
  bool begin_read(Source& source, Instant now);
  void finish_read(Source& source);
  bool queue_column(Source& source, const wal::ExtentHeader& extent);  // false: no memory now
  void tell_rot(Errc result, Lba column);
  void report(Source& source, bool ok, bool range_done, Lba upto);
  // base_target.cc
  void report_writes();
  void turn_listing();
  bool begin_verify();
  void take_verified();
  bool send_listing();
  void end_listing(bool ok);
  void begin_ending_scan(Lba from);
  void turn_ending();

  Shard& shard_;
  LinkTable& links_;
  wal::Store& store_;
  EventSink& sink_;
  std::array<std::unique_ptr<Source>, 2 * limits::members_max> sources_;
  GrowingRing<command::FreezeBase> refused_{2, 64};
  SessionId rebuild_;
  std::uint64_t rebuild_digest_ = base_digest_start;
  RingBuffer<std::unique_ptr<Write>, writes_max> writes_;
  GrowingRing<command::ReadBaseMap> listings_{2, 64};  // the first one is under way
  Listing listing_;
  GrowingRing<command::FlushBase> flushes_{2, 64};  // the first one is under way
  Ending ending_;
};

}  // namespace seawall::runtime
