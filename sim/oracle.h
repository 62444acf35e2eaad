// Oracle: what a client may still read, block by block, by what it did and what it was told.
//
// Purpose: judges every answer against contract 1 to 5 of protocol.md without knowing the system.
// Each write has a stamp of its own; a block remembers the versions that may be its content:
//   - a version has taken effect, or never will, when its write ended (well or with an error), when
//   a
//     read has shown it, or when its client is gone and the next one asks;
//   - a completed write, and a completed read of another version, bury every version that had taken
//     effect before they were asked. A read that was asked after a burial must not show the buried:
//     that is linearizability of the block, no flicker, and "once seen it sticks" in one rule;
//   - a burial is durable once a flush (or FUA) that was asked after it has completed. Only a loss
//     that the client was told of, and that the fault model allows, digs up what was not.
// Life cycle: one run, one volume. Thread: the run's. Ownership: owns its history.
// Units: blocks of 4 KiB; time is a counter of its own calls. Errors: a sentence for each
// violation. Bounded: versions that no read and no loss can bring back are forgotten at the next
// visit.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "sim/content.h"

namespace seawall::sim {

using OpNumber = std::uint64_t;  // of an operation of the workload; also the stamp of a write

enum class Ended : std::uint8_t {
  ok,
  failed,      // the client got an error: unknown outcome, decided by now
  unanswered,  // the client died: the outcome is open until the next one asks
};

class Oracle {
 public:
  // With `durable_completions` (writeCache none) a completed write needs no flush.
  Oracle(std::uint64_t blocks, bool durable_completions);

  void begin_write(OpNumber op, std::uint64_t lba, std::uint64_t blocks, bool zeroing, bool fua);
  void end_write(OpNumber op, Ended how);
  void begin_read(OpNumber op, std::uint64_t lba, std::uint64_t blocks);
  // Returns an empty string, or what is wrong with this answer.
  [[nodiscard]] std::string end_read(OpNumber op, Ended how, std::span<const std::byte> data);
  void begin_flush(OpNumber op);
  void end_flush(OpNumber op, Ended how);

  // A new client asks from now on: what the dead one had open has taken effect or never will.
  void client_reborn();
  // Completed, unflushed data was lost within the rules.
  void unflushed_data_was_lost();

  // What the last wrong answer meant.
  struct Wrong {
    bool lost = false;   // something completed, or durable, is not what the block shows
    bool shown = false;  // something never completed was shown and is gone, or comes back
  };
  [[nodiscard]] const Wrong& last_wrong() const { return wrong_; }

  [[nodiscard]] std::uint64_t reads_judged() const { return reads_judged_; }
  [[nodiscard]] std::uint64_t blocks() const { return blocks_.size(); }
  // For a failure report: the versions of a block.
  [[nodiscard]] std::string describe(std::uint64_t lba) const;
  // Blocks that were ever written, for the final read of everything.
  [[nodiscard]] bool ever_written(std::uint64_t lba) const { return blocks_[lba].written; }

 private:
  using Time = std::uint64_t;
  static constexpr Time never = ~Time{0};

  struct Version {
    OpNumber op = 0;
    bool zeroing = false;
    bool answered_ok = false;
    Time begun = 0;
    Time settled = never;  // it had taken effect by then, or never will
    Time seen = never;     // a read has shown it
    Time buried = never;   // the earliest burial
    bool buried_for_good = false;
    [[nodiscard]] Time effective() const { return settled < seen ? settled : seen; }
  };
  struct Block {
    std::vector<Version> versions;
    bool written = false;
  };
  struct Open {
    enum class Kind : std::uint8_t { read, write, flush } kind = Kind::read;
    std::uint64_t lba = 0, blocks = 0;
    bool zeroing = false, fua = false;
    Time begun = 0;
  };

  Time tick() { return ++now_; }
  static void bury(Version& version, Time when, bool for_good);
  void prune(Block& block) const;
  [[nodiscard]] Time oldest_read() const;
  Open close(OpNumber op, Open::Kind kind);
  void note_wrong(const Block& block, Stamp shown, const Open& open);
  std::string judge(Block& block, std::uint64_t lba, std::span<const std::byte> bytes,
                    const Open& open, Time now);

  bool durable_completions_;
  std::vector<Block> blocks_;
  std::map<OpNumber, Open> open_;
  std::vector<std::pair<std::uint64_t, OpNumber>> unanswered_;  // block, write
  Time now_ = 0;
  Time flushed_ = 0;  // a flush that was asked then has completed
  std::uint64_t reads_judged_ = 0;
  Wrong wrong_;
};

}  // namespace seawall::sim
