// RecoveryGate: how much of a shard's disks and links recoveries may take, by what clients feel.
//
// Purpose: protocol.md 6.8. Every read for another replica (a column of a base, a chunk of a
// backlog) takes a turn here first. At most `at_once` turns run at a time, in the order in which
// they were asked for, and their bytes pay from one purse, refilled at a rate. The rate halves when
// the p99 of client writes leaves its bound and grows when it keeps it or nobody writes; it never
// falls below `rate_min`, so that every recovery makes progress. Quiet: without recoveries.
// Life cycle: one a shard, outlives its lanes; a turn ends with its RecoveryTurn. Thread: its own.
// Units: bytes, milliseconds. Bounds: `waiting_max` turns that wait; who finds no place asks again.
// Errors: none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/base/bounded_vector.h"
#include "engine/base/check.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"
#include "engine/core.h"

namespace seawall::runtime {

struct RecoveryLimits {
  std::uint32_t at_once = 4;
  std::uint64_t rate_min = 8 * limits::MiB;      // a second
  std::uint64_t rate_max = 4096 * limits::MiB;
  std::uint32_t factor = 2;       // of the quiet p99 ...
  Duration bound_least{5};        // ... but a bound below this is never asked for
  Duration window{500};           // of one judgement
  std::uint32_t samples_least = 20;
};

class RecoveryTurn;

class RecoveryGate {
 public:
  static constexpr std::size_t waiting_max = 256;

  explicit RecoveryGate(const RecoveryLimits& limits = {})
      : limits_(limits), rate_(limits.rate_max) {}
  RecoveryGate(const RecoveryGate&) = delete;
  RecoveryGate& operator=(const RecoveryGate&) = delete;

  // A client's write took so long, from the log's append to its completion.
  void note_write(Duration took, Instant now);

  [[nodiscard]] std::uint64_t rate() const { return rate_; }
  [[nodiscard]] Duration quiet() const { return Duration{quiet_x8_ / 8}; }
  [[nodiscard]] Duration bound() const;
  [[nodiscard]] std::uint32_t running() const { return running_; }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

 private:
  friend class RecoveryTurn;
  struct Waiter {
    const RecoveryTurn* turn = nullptr;
    Instant asked;  // last
  };
  bool enter(const RecoveryTurn& turn, std::uint64_t bytes, Instant now);
  void leave(const RecoveryTurn& turn, bool running);
  void look(Instant now);
  void judge();
  void refill(Instant now);

  RecoveryLimits limits_;
  std::uint64_t rate_;
  std::int64_t credit_ = 0;  // thousandths of a byte; what a turn takes beyond it is owed
  Instant refilled_;
  std::uint32_t running_ = 0;
  BoundedVector<Waiter, waiting_max> waiting_;
  // The window under way. Bucket i counts writes of i milliseconds, the last one all longer ones.
  Instant window_end_;
  std::array<std::uint32_t, 256> took_{};
  std::uint32_t samples_ = 0;
  std::uint64_t used_ = 0;      // bytes of the turns that began in it
  bool recovered_ = false;      // some turn ran in it
  std::uint64_t quiet_x8_ = 0;  // eight times the quiet p99
};

// One lane's turn: none, waiting or running. Its end gives the place back.
class RecoveryTurn {
 public:
  RecoveryTurn() = default;
  ~RecoveryTurn() { end(); }
  RecoveryTurn(const RecoveryTurn&) = delete;
  RecoveryTurn& operator=(const RecoveryTurn&) = delete;

  // True: it runs, and `bytes` are paid. False: ask again soon; who does not loses its place.
  bool begin(RecoveryGate& gate, std::uint64_t bytes, Instant now) {
    CHECK(!running_);
    gate_ = &gate;
    running_ = gate.enter(*this, bytes, now);
    return running_;
  }
  void end() {
    if (gate_ != nullptr) gate_->leave(*this, running_);
    gate_ = nullptr;
    running_ = false;
  }
  [[nodiscard]] bool running() const { return running_; }

 private:
  RecoveryGate* gate_ = nullptr;
  bool running_ = false;
};

// How long the writes of one volume's clients take: fed with the commands of every step. A write
// that waits to enter the log is not measured: recoveries have no part in that.
class ForegroundWatch {
 public:
  // `primary`: whether this replica is one; records that others send are nobody's writes here.
  void after_step(bool primary, const Commands& commands, Instant now, RecoveryGate& gate);

 private:
  struct Open {
    AttachmentId attachment;
    RequestNumber request;
    Instant since;
  };
  BoundedVector<Open, 256> open_;  // full: it begins anew
};

}  // namespace seawall::runtime
