// ModelNode: one replica for scripts. A real Core over a log, base and super block in memory.
//
// The model keeps whole records and one number for each block. Nothing completes by itself: the
// cluster asks for the next completion, so a script can hold back any disk. crash() loses what was
// not written, lose_power() what was not durable; super writes count when they completed.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/base_map.h"
#include "engine/core.h"

namespace seawall::walk {

struct Payload {
  std::uint64_t value = 0;  // of every block of a write; of the first block for a read
  std::vector<std::uint64_t> blocks;
  int references = 0;
  std::vector<MapLine> lines;  // of a BaseMap
};

// Slots of one process. The Core's loans must be back in the end.
class SlotTable {
 public:
  Slot lend(Payload payload);        // one reference: the Core's
  void reference(Slot slot);
  void drop(Slot slot);
  [[nodiscard]] const Payload& at(Slot slot) const;
  [[nodiscard]] bool holds(Slot slot) const { return payloads_.contains(slot.value()); }
  [[nodiscard]] std::size_t in_use() const { return payloads_.size(); }
  void clear() { payloads_.clear(); }

 private:
  std::map<std::uint32_t, Payload> payloads_;
  std::uint32_t next_ = 1;
};

struct ModelRecord {
  RecordHeader header;
  std::uint64_t value = 0;
};

struct BaseBlock {
  Lsn last_lsn;
  std::uint64_t value = 0;
  friend bool operator==(const BaseBlock&, const BaseBlock&) = default;
};

// What survives a crash.
struct ModelDisk {
  Incarnation incarnation;
  ReplicaId replica;
  BlockCount size{1024};
  Epoch promised, seen_epoch;
  Revision seen_revision;
  bool intact = true;
  std::optional<Floor> floor;
  std::optional<RebuildMarker> marker;
  Damage damage = Damage::none;
  TermTable old_terms;                   // of what is before the first record
  RequestTables start_requests;          // as of `start`
  Lsn start;                             // the log holds (start, start + records.size()]
  std::uint64_t start_chain = 0;
  Term start_term;
  std::vector<ModelRecord> records;      // appended
  Lsn written, durable, applied, trimmed;
  std::map<std::uint64_t, BaseBlock> base;  // by block

  [[nodiscard]] Lsn head() const { return start + LsnCount{records.size()}; }
  [[nodiscard]] const ModelRecord& record(Lsn lsn) const {
    return records.at((lsn - start).value() - 1);
  }
  [[nodiscard]] std::uint64_t chain_at(Lsn lsn) const {
    return lsn == start ? start_chain : record(lsn).header.chain;
  }
  [[nodiscard]] Term term_at(Lsn lsn) const {
    return lsn == start ? start_term : record(lsn).header.term;
  }
  void cut(Lsn upto);
  [[nodiscard]] RequestTables requests() const;
  [[nodiscard]] ReplicaFacts facts(ProcessStart process) const;
  // The block as the fold of base and log up to `upto`.
  [[nodiscard]] std::uint64_t read(std::uint64_t block, Lsn upto) const;
  void fold(Lsn upto);
  // What the base says of the blocks in [from, upto) that changed after `since`.
  [[nodiscard]] std::vector<MapLine> lines(Lba from, Lba upto, std::optional<Lsn> since) const;
};

std::uint64_t digest_next(std::uint64_t digest, std::uint64_t block, const BaseBlock& content);

// What a node is, without its Core: a value that can be put aside and taken back.
struct ModelNodeState {
  ReplicaId id;
  bool alive = false;
  ModelDisk disk;
  ProcessStart process;
  SlotTable slots;
  std::optional<Instant> wake;

  // Asked of the disk and not completed yet.
  std::deque<command::WriteSuper> supers;
  std::optional<Lsn> flush;                   // what the flush under way covers
  std::deque<Event> completions;              // small events that are ready to be delivered
  std::deque<ReplicaFacts> facts_for_events;  // what pointers in completions point to
  std::map<std::uint64_t, Lsn> pins;
  Lsn fold_limit;
  int frozen = 0;
  bool base_open = false;            // a base lane is under way: the checkpointer rests
  std::uint64_t log_records = 0;     // room of the log; 0: endless
  std::uint8_t fill_told = 0;
  // The base lane, source side, by peer: an extent is a block here.
  struct BaseCursor {
    SessionId session;
    std::vector<MapLine> ours, theirs;
    MapCursor at;
    Lba upto;
    std::uint64_t sequence = 0;
    std::uint64_t digest = 0;
    std::uint64_t compared = 0;
    std::uint64_t map_digest = map_digest_start;
  };
  std::map<std::uint64_t, BaseCursor> base_cursors;
  std::uint64_t base_digest = 0;              // target side
  bool hold_write = false, hold_flush = false, hold_super = false, hold_read = false;
  std::deque<command::ReadData> reads;
};

struct ModelNode : ModelNodeState {
  std::vector<std::byte> memory;  // keeps its place for ever: what is in it points into it
  std::unique_ptr<Core> core;

  void start(const CoreOptions& options);
  void crash();
  void lose_power();
  // The next completion of this node's disk; nullopt when nothing is ready.
  std::optional<Event> next_completion();
  // The event is fed before anything else: what is trimmed and what the Core knows never differ.
  event::Checkpointed checkpoint();
  event::Checkpointed trim();

 private:
  void stop();
  [[nodiscard]] Lsn room_end() const;
  std::optional<Event> make_room();
};

}  // namespace seawall::walk
