// The ports of one simulated process: clock, timers, blocking work.
//
// Life cycle: one set a process start; the scheduler drops its tasks when the process dies. Thread:
// the run's. Ownership: users outlive their timers or cancel them. Units: the clock counts whole
// milliseconds since the start of the run, plus the node's own offset. No callback runs inside a
// call.
#pragma once

#include <functional>
#include <map>

#include "engine/base/prng.h"
#include "node/runtime/ports.h"
#include "sim/scheduler.h"
#include "sim/trace.h"

namespace seawall::sim {

class SimClock final : public runtime::Clock {
 public:
  // Clocks of two nodes have an offset of their own, and run faster or slower than the world's by
  // so many millionths.
  SimClock(const Scheduler& scheduler, Micros offset, std::int64_t drift_ppm = 0)
      : scheduler_(scheduler), offset_(offset), drift_ppm_(drift_ppm) {}
  Instant now() const override { return Instant{local(scheduler_.now()) / ms}; }
  // The scheduler's time at which now() first answers `instant`; not before the present.
  [[nodiscard]] Micros when(Instant instant) const;

 private:
  [[nodiscard]] Micros local(Micros time) const;

  const Scheduler& scheduler_;
  Micros offset_;
  std::int64_t drift_ppm_;
};

class SimTimers final : public runtime::Timers {
 public:
  SimTimers(Scheduler& scheduler, const SimClock& clock, Owner owner, Micros lateness_max,
            Prng prng)
      : scheduler_(scheduler),
        clock_(clock),
        owner_(owner),
        lateness_max_(lateness_max),
        prng_(prng) {}
  void wake_at(runtime::TimerUser& user, Instant at) override;
  void cancel(runtime::TimerUser& user) override;

 private:
  struct Armed {
    TaskId task;
    Instant at;
  };
  Scheduler& scheduler_;
  const SimClock& clock_;
  Owner owner_;
  Micros lateness_max_;
  Prng prng_;
  std::map<runtime::TimerUser*, Armed> armed_;  // looked up, never walked
};

class SimBlocking final : public runtime::Blocking {
 public:
  SimBlocking(Scheduler& scheduler, Trace& trace, std::uint32_t node, Owner owner, Micros longest,
              Prng prng)
      : scheduler_(scheduler),
        trace_(trace),
        node_(node),
        owner_(owner),
        longest_(longest),
        prng_(prng) {}
  void run(std::function<void()> work, std::function<void()> done) override;
  // Told before a piece of work runs; the fault injector may stop the disks in the middle of it.
  void set_on_work(std::function<void()> hook) { on_work_ = std::move(hook); }

 private:
  Scheduler& scheduler_;
  Trace& trace_;
  std::uint32_t node_;
  Owner owner_;
  Micros longest_;
  Prng prng_;
  std::function<void()> on_work_;
};

}  // namespace seawall::sim
