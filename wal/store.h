// One replica on disk: super block, log, map and base behind one face.
//
// Life cycle: create() once, then open(); close() for a clean stop (checkpoint is the caller's
// wish). Thread: the owner's (a shard). The *_blocking calls may run elsewhere while the owner
// keeps away and idle() is true. Ownership: the Disk outlives the Store; payloads and buffers
// handed in stay with the caller and must live until the matching callback. Callbacks (Sink,
// ReadOp, ...) run from Disk completions, never inside the call that asked. Errors: a write, flush
// or sync error is sticky (on_failed, once): nothing after it is acknowledged and every later call
// fails with it. Invariants: trimmed <= applied <= fold limit; applied <= durable <= written.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "engine/base/base_map.h"
#include "engine/base/facts.h"
#include "engine/base/limits.h"
#include "engine/base/record.h"
#include "engine/base/request_table.h"
#include "engine/base/result.h"
#include "wal/disk.h"

namespace seawall::wal {

struct Geometry {
  BlockCount size;              // of the volume
  std::uint64_t log_bytes = 0;  // 0: the default of storage.md
  std::uint32_t extent_bytes = 64 * 1024;
};

struct CreateOptions {
  Incarnation incarnation;
  ReplicaId replica;
  Geometry geometry;
};

struct OpenOptions {
  Incarnation incarnation;  // a foreign one is refused
  ReplicaId replica;
  Id128<struct BootTag> boot;  // changed boot id + no clean stop = power loss
  ProcessStart process_start;
  // An earlier Store on this disk failed in this process: large payload that it had not proven
  // durable is written once more, for a flush that follows a failed one proves nothing about it.
  bool after_failure = false;
  // Folded records stay in the log until it holds more than this share of its segments (and as much
  // of what large writes may name): a replica that was away catches up from them. 0: they go at
  // once.
  std::uint8_t keep_log_percent = limits::log_kept_percent;
};

// Told in the order of the log.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void on_written(Lsn upto) = 0;
  virtual void on_durable(Lsn upto) = 0;
  virtual void on_failed(Error error) = 0;
  virtual void on_super_written(std::uint64_t token) = 0;
  virtual void on_checkpointed(Lsn applied, Lsn trimmed) = 0;
  // Records at or below `trimmed` (which is at or below `applied`) will go. Told before anything is
  // given up: what is pinned later lies beyond it, what was pinned before is kept.
  virtual void on_trim(Lsn applied, Lsn trimmed) = 0;
  virtual void on_log_space(std::uint8_t fill_percent) = 0;
};

struct SuperUpdate {  // only what is set changes
  std::optional<Epoch> promised, seen_epoch;
  std::optional<Revision> seen_revision;
  std::optional<Floor> floor;
  bool clear_floor = false;
  bool clear_marker = false;
  std::optional<bool> intact;
};

struct ReadOp {
  Lba lba;
  BlockCount blocks;              // at most 1 MiB
  std::span<std::byte> into;      // 4096-aligned
  std::span<std::uint32_t> crcs;  // out: CRC32C of each block, verified against log or map
  Errc result = Errc::ok;         // corrupt, io_error ...
  void (*done)(ReadOp&) = nullptr;
  void* owner = nullptr;
  std::uintptr_t scratch[8] = {};
};

// Records [from, ...] as they are in the log, for a peer's stream.
struct LogReadOp {
  Lsn from, upto;                   // wanted range, inclusive
  std::span<std::byte> into;        // payloads, in order, 4096-aligned
  std::span<RecordHeader> headers;  // out
  std::span<std::uint32_t> crcs;    // out: of all payload blocks, in order
  std::uint32_t count = 0;          // records delivered (>= 1 unless result is an error)
  // not_found: trimmed; corrupt: the payload of the first record is unreadable (count is 1, and
  // headers[0] names it), or with a count of 0 the place itself is.
  Errc result = Errc::ok;
  void (*done)(LogReadOp&) = nullptr;
  void* owner = nullptr;
  std::uintptr_t scratch[8] = {};
};

struct ExtentHeader {  // one mapped extent of the frozen base
  Lba lba;
  Lsn last_lsn;
  std::uint64_t present = 0;  // bit i: block i is there, else it is zero
};

// The next extent that begins at or after `from`, holes that were once written included (present =
// 0).
struct BaseReadOp {
  Lba from;
  ExtentHeader header;            // out
  std::span<std::byte> into;      // one extent: the present blocks, packed in order
  std::span<std::uint32_t> crcs;  // out, packed likewise
  bool end = false;               // out: nothing at or after `from`
  Errc result = Errc::ok;
  void (*done)(BaseReadOp&) = nullptr;
  void* owner = nullptr;
  std::uintptr_t scratch[8] = {};
};

// What the map says of the extents that begin in [from, upto), without their data.
struct MapReadOp {
  Lba from, upto;
  std::optional<Lsn> since;   // only what changed after it
  std::span<MapLine> into;
  std::uint32_t count = 0;    // out
  Lba scanned;                // out: all before it was looked at; `upto` unless `into` is full
  Errc result = Errc::ok;     // corrupt: a page that says nothing any more
  void (*done)(MapReadOp&) = nullptr;
  void* owner = nullptr;
  std::uintptr_t scratch[8] = {};
};

// The column replaces what is there, entry and all; last lsn 0: no entry stays.
struct BaseWriteOp {
  ExtentHeader header;
  std::span<const std::byte> from;
  std::span<const std::uint32_t> crcs;
  Errc result = Errc::ok;
  void (*done)(BaseWriteOp&) = nullptr;
  void* owner = nullptr;
  std::uintptr_t scratch[8] = {};
};

// The newest record that is in the base: what a rebuild from this base starts behind.
struct FoldedPoint {
  Lsn lsn;
  Term term;                // 0: nothing was ever folded
  std::uint64_t chain = 0;  // chain at lsn
};

// The payload of one unknown record; none: nobody has it, the record is lost.
struct RecordRepair {
  Lsn lsn;
  std::span<const std::byte> payload;
};

struct StoreStats {
  std::uint64_t batches = 0, records = 0, flushes = 0, log_bytes = 0, base_bytes = 0,
                checkpoints = 0, super_writes = 0;
};

class Store {
 public:
  static Status create_blocking(Disk& disk, const CreateOptions& options);
  static Result<std::unique_ptr<Store>> open_blocking(Disk& disk, const OpenOptions& options,
                                                      Sink& sink);
  virtual ~Store() = default;

  // Current facts: watermarks, term table, chain, promise ... always what is durable for the parts
  // that are in the super block, and what is completed for the log.
  virtual const ReplicaFacts& facts() const = 0;
  // The request tables as opening, a rewind or the preparation of a rebuild left them: those of the
  // super block, as of `applied`, and the retained log folded on top. Later records are not in it.
  virtual const RequestTables& requests() const = 0;
  // Records whose header verifies and whose payload does not, oldest first, at most unknown_max:
  // what the opening found beyond `applied`, and what read_log() has come upon since.
  static constexpr std::size_t unknown_max = 1024;
  virtual std::span<const RecordHeader> unknown() const { return {}; }
  virtual StoreStats stats() const = 0;
  // What this opening found, and how far the super block is by now.
  virtual Opening opening() const { return {}; }
  virtual FoldedPoint folded() const = 0;

  // --- hot path ---
  // Queues a record; header.lsn is the next one. The payload (blocks * 4096 bytes, 4096-aligned)
  // stays valid until on_written(lsn). False: the log or the queue is full, try again after
  // on_log_space.
  [[nodiscard]] virtual bool append(const RecordHeader& header, std::span<const std::byte> payload,
                                    std::span<const std::uint32_t> crcs) = 0;
  // Everything appended so far shall become durable; on_durable tells. Flushes are shared.
  virtual void flush() = 0;
  // Forms and submits the next batch and flush from what is queued. Once a loop turn.
  virtual void pump(Instant now) = 0;
  virtual void read(ReadOp& op) = 0;
  virtual void read_log(LogReadOp& op) = 0;
  virtual void write_super(const SuperUpdate& update, std::uint64_t token) = 0;

  // --- checkpoint, trim ---
  virtual void set_fold_limit(Lsn upto) = 0;  // records up to here are stable
  virtual void request_checkpoint() = 0;
  virtual void pin(std::uint64_t pin, Lsn from) = 0;  // records >= from are kept
  virtual void unpin(std::uint64_t pin) = 0;
  // Earliest time at which pump() must run again for age-driven work; nullopt: idle.
  virtual std::optional<Instant> wake_at() const = 0;

  // --- rebuild ---
  virtual void freeze_base() = 0;  // the checkpointer rests until thaw_base(); nests by count
  virtual void thaw_base() = 0;
  virtual bool frozen() const = 0;  // true once no checkpoint is under way
  virtual std::uint64_t extents_mapped() const = 0;
  virtual void read_base(BaseReadOp& op) = 0;
  virtual void read_map(MapReadOp& op) = 0;
  // The map may say other than the data does: a checkpoint that a crash ended wrote in place.
  // Verify (read_base) before calling anything equal.
  virtual bool base_doubtful() const = 0;
  // Target of a rebuild, between prepare_rebuild_blocking and flush_base: the checkpointer rests,
  // so no base block can cover what the log lane brought. Refused once a checkpoint has run behind
  // it.
  virtual void write_base(BaseWriteOp& op) = 0;
  // Ends the base lane: blocks and map are durable, and the checkpointer folds the log lane.
  virtual void flush_base(void (*done)(void*, Errc), void* owner) = 0;

  // --- rare, blocking, with idle() ---
  virtual bool idle() const = 0;
  virtual void quiesce() = 0;  // no new batch or checkpoint starts; idle() will come true
  virtual Status rewind_blocking(Lsn to) = 0;
  // Marker and floor durable, then the log is forgotten and starts anew at marker.cut + 1;
  // `requests` are the tables as of the cut. Without `keep_base` the base is forgotten, too.
  virtual Status prepare_rebuild_blocking(const RebuildMarker& marker,
                                          const std::optional<Floor>& floor, Term cut_term,
                                          std::uint64_t cut_chain, const TermTable& terms,
                                          const RequestTables& requests, bool keep_base) = 0;
  // Bytes that fit the record's CRCs go where bad ones are; what does not fit is left out. A lost
  // record gets its flag in a fresh segment. Durable, read back and verified; unknown() is new.
  virtual Status repair_log_blocking(std::span<const RecordRepair> repairs) = 0;
  // Each block that fits our own CRC (of log or map) goes where a bad one is. Returns how many
  // fitted: they can be read now.
  virtual Result<std::size_t> repair_blocks_blocking(Lba lba,
                                                     std::span<const std::byte> blocks) = 0;
  virtual Status close_blocking(bool clean) = 0;

  // A read has come upon entries of the map that do not verify: no bytes can be judged by them.
  virtual bool map_is_rotten() const { return false; }
  // The base is given up: said in the super block, then the store fails and opens as untrusted.
  virtual void distrust_base() {}
};

}  // namespace seawall::wal
