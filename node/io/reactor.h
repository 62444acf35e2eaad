// One thread, one io_uring: the loop of a shard.
//
// A pass: collect completions and mailbox, run their callbacks, fire due timers, let the owner take
// its turn, flush what was queued in this pass, submit everything with one system call - and sleep
// in that call only when nothing is left to do. An idle reactor costs nothing.
//
// Life cycle: create() anywhere, then run()/pass() always on one thread (the ring is bound to the
// first that calls them). Before destruction every operation must have completed: drain().
// Thread: post() and stop() from any thread, everything else from the loop's.
// Ownership: operations are embedded in their owners, which stay alive until `done` ran.
// Invariants: no callback runs inside a call that asked for it; callbacks run after collection.
// Errors: a ring that the kernel refuses is an Error at create(); one that breaks later is fatal.
#pragma once

#include <liburing.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/base/result.h"
#include "node/io/timer_heap.h"
#include "node/runtime/ports.h"

namespace seawall::io {

// One operation of the kernel, or one deferred call. `result` is bytes, a descriptor or -errno.
struct RingOp {
  void (*done)(RingOp& op, std::int32_t result, std::uint32_t flags) = nullptr;
  void* owner = nullptr;
};

// What the owner of a loop does once a pass: drain its hosts, pump its logs.
class TurnUser {
 public:
  virtual ~TurnUser() = default;
  virtual void on_turn(Instant now) = 0;
};

// Something that gathered output during a pass and hands it to the ring at its end.
class Flushable {
 public:
  virtual ~Flushable() = default;
  virtual void on_flush() = 0;

 private:
  friend class Reactor;
  bool flush_queued_ = false;
};

struct ReactorOptions {
  unsigned entries = 1024;          // submission ring; the completion ring is 8 times as long
  std::size_t mailbox_max = 4096;   // messages of other threads
};

// The time that everybody on a loop sees: read anew before each callback and each turn, and the
// same within one, so that no difference of two moments is ever negative.
class LoopClock final : public runtime::Clock {
 public:
  Instant now() const override { return now_; }

 private:
  friend class Reactor;
  Instant now_;
};

struct ReactorStats {
  std::uint64_t passes = 0, sleeps = 0, completions = 0, messages = 0, submitted = 0;
};

class Reactor final : public runtime::Timers {
 public:
  static Result<std::unique_ptr<Reactor>> create(const runtime::Clock& clock,
                                                 const ReactorOptions& options = {});
  ~Reactor() override;
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // --- the loop's thread ---
  void run(TurnUser& user);                       // until stop()
  void pass(TurnUser& user, Duration wait_max);   // one pass, which sleeps at most so long
  // Passes until nothing is in flight; false when `limit` went by first.
  bool drain(TurnUser& user, Duration limit);

  // A free entry: the caller prepares it with io_uring_prep_* and then names its operation, for
  // preparing resets the user data.
  io_uring_sqe* entry();
  void submit(io_uring_sqe* entry, RingOp& op);
  // Calls op.done with `result` in the next pass.
  void defer(RingOp& op, std::int32_t result);
  // The next pass follows without sleeping.
  void again() { again_ = true; }
  // Calls user.on_flush() once at the end of this pass.
  void flush_later(Flushable& user);
  void forget_flush(Flushable& user);

  void wake_at(runtime::TimerUser& user, Instant at) override;
  void cancel(runtime::TimerUser& user) override;

  std::size_t in_flight() const { return in_flight_; }
  const ReactorStats& stats() const { return stats_; }
  Instant now() const { return loop_clock_.now(); }
  const LoopClock& clock() const { return loop_clock_; }
  // Reads the clock for what follows; never backwards.
  void refresh();

  // --- any thread ---
  // False when the mailbox is full: the caller answers "busy" or drops, it never waits here.
  [[nodiscard]] bool post(std::function<void()> message);
  void stop();
  bool stopping() const { return stop_.load(std::memory_order_acquire); }

 private:
  struct Completion {
    RingOp* op;
    std::int32_t result;
    std::uint32_t flags;
  };

  Reactor(const runtime::Clock& clock, const ReactorOptions& options);
  Status open_ring();
  void enable();
  void arm_mailbox();
  void signal();
  static void on_mailbox(RingOp& op, std::int32_t result, std::uint32_t flags);
  void enter(Duration wait_max);
  void collect();
  void dispatch();
  void fire_timers();
  void flush();

  const runtime::Clock& clock_;
  const ReactorOptions options_;
  io_uring ring_{};
  bool ring_open_ = false;
  bool enabled_ = false;
  bool again_ = false;
  int event_fd_ = -1;

  LoopClock loop_clock_;
  std::size_t in_flight_ = 0;          // operations of others; the mailbox's read does not count
  TimerHeap timers_;
  std::vector<Completion> deferred_;   // for the next pass
  std::vector<Completion> batch_;      // of this pass
  std::vector<Flushable*> flushes_, flushing_;
  ReactorStats stats_;

  RingOp mailbox_op_;
  bool mailbox_armed_ = false;
  std::uint64_t mailbox_count_ = 0;    // where the kernel puts the eventfd's value
  std::atomic<bool> signalled_{false};
  std::atomic<bool> stop_{false};
  std::mutex mailbox_mutex_;
  std::vector<std::function<void()>> mailbox_;
  std::vector<std::function<void()>> messages_;
};

}  // namespace seawall::io
