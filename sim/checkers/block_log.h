// BlockLog: the history of every block of a volume over a run, for the exact check at its end.
//
// Purpose: feeds zones.h. Zeroes are left out, written or shown: many operations make them, and
// leaving operations out only ever excuses a history. A loss that the client was told of begins
// every history anew: what was written before it may be back, and counts for nothing.
// Life cycle: one run, one volume. Thread: the run's. Units: time is a counter of its own calls.
// Bounded: by the requests of the run.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "sim/checkers/history.h"
#include "sim/oracle.h"

namespace seawall::sim {

class BlockLog {
 public:
  void begin(OpNumber op) { begun_[op] = ++now_; }
  void end_write(OpNumber op, std::uint64_t lba, std::uint64_t blocks, bool zeroing, Ended how);
  void end_read(OpNumber op, std::uint64_t lba, std::span<const std::byte> data, Ended how);
  void forget(OpNumber op) { begun_.erase(op); }
  // What the dead client left open has taken effect by now, or never will.
  void client_reborn();
  void loss();
  // The first block whose history is not linearizable; empty: all are.
  [[nodiscard]] std::string check() const;
  [[nodiscard]] std::uint64_t operations() const { return operations_; }

 private:
  std::uint64_t take_begin(OpNumber op);

  std::uint64_t now_ = 0;
  std::uint64_t operations_ = 0;
  OpNumber lost_upto_ = 0;  // values of these and older writes count for nothing
  OpNumber newest_ = 0;
  std::map<OpNumber, std::uint64_t> begun_;
  std::map<std::uint64_t, BlockHistory> blocks_;
  std::vector<std::pair<std::uint64_t, std::size_t>> open_;  // block, place: unanswered writes
};

}  // namespace seawall::sim
