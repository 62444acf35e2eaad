// Scrub: looks at every block of one replica, again and again, at a bounded rate.
//
// Purpose: what rots without a reader is found while other copies are still good. It reads as a
// client would (log, then base), 64 KiB at a time, one read in flight; where that fails it looks
// block by block and tells the Core of each bad one (BlocksRotten). Whether and from whom it is
// repaired the Core decides. Life cycle: with the Executor; a round begins `first` after the start
// and `rest` after the one before. Thread: the shard's. Ownership: a buffer of the pool while a
// read is out. Bounds: that buffer. Errors: bad blocks are events; a replica in rebuild or with an
// untrusted base is left alone. Units: milliseconds of the shard's clock.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/ids.h"
#include "node/runtime/shard.h"
#include "wal/store.h"

namespace seawall::runtime {

struct ScrubOptions {
  Duration pace{16};                 // between two reads: 4 MiB a second
  Duration first{10 * 60'000};       // after the start
  Duration rest{24 * 60 * 60'000};   // between two rounds
};

class Scrub {
 public:
  Scrub(Shard& shard, wal::Store& store, EventSink& sink, const ScrubOptions& options)
      : shard_(shard), store_(store), sink_(sink), options_(options) {}
  Scrub(const Scrub&) = delete;
  Scrub& operator=(const Scrub&) = delete;

  // Reads that have ended are judged; then, while the store is free, the next one begins.
  void finish(Instant now);
  void turn(Instant now);
  [[nodiscard]] bool reading() const { return reading_ && !done_; }
  [[nodiscard]] std::optional<Instant> wake_at(Instant now) const;

  // A round from the first block on, at once, and again until one finds nothing.
  void ask();
  [[nodiscard]] bool asked() const { return asked_; }
  [[nodiscard]] bool clean_since_asked() const { return clean_since_asked_; }
  [[nodiscard]] std::uint64_t found() const { return found_; }

 private:
  void begin();
  void end_round(Instant now);

  Shard& shard_;
  wal::Store& store_;
  EventSink& sink_;
  const ScrubOptions options_;
  std::optional<Instant> next_at_;
  std::uint64_t at_ = 0;      // next block
  std::uint64_t singly_ = 0;  // blocks that are looked at one by one
  std::uint64_t found_ = 0;
  std::uint32_t failures_ = 0;  // reads in a row that brought nothing
  bool round_is_clean_ = true;
  bool asked_ = false;
  bool clean_since_asked_ = false;
  SlotRef slot_;
  wal::ReadOp op_;
  bool reading_ = false;
  bool done_ = false;
  bool drop_ = false;
};

}  // namespace seawall::runtime
