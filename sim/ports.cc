#include "sim/ports.h"

#include <algorithm>
#include <utility>

namespace seawall::sim {

namespace {
constexpr std::int64_t million = 1'000'000;
}

Micros SimClock::local(Micros time) const {
  const auto drift = static_cast<std::int64_t>(time) * drift_ppm_ / million;
  return offset_ + time + static_cast<Micros>(drift);
}

Micros SimClock::when(Instant instant) const {
  const Micros wanted = instant.value() * ms;
  if (local(scheduler_.now()) >= wanted) return scheduler_.now();
  const auto ahead = static_cast<std::int64_t>(wanted - offset_);
  auto time =
      static_cast<Micros>(ahead / (million + drift_ppm_) * million +
                          ahead % (million + drift_ppm_) * million / (million + drift_ppm_));
  while (local(time) < wanted) ++time;
  return std::max(time, scheduler_.now());
}

void SimTimers::wake_at(runtime::TimerUser& user, Instant at) {
  Armed& armed = armed_[&user];
  if (armed.task.sequence != 0 && armed.at == at) return;
  scheduler_.cancel(armed.task);  // one deadline a user: this one
  armed.at = at;
  const Micros late = lateness_max_ == 0 ? 0 : prng_.below(lateness_max_ + 1);
  armed.task = scheduler_.at(clock_.when(at) + late, owner_, [this, &user] {
    armed_.erase(&user);
    user.on_timer(clock_.now());
  });
}

void SimTimers::cancel(runtime::TimerUser& user) {
  const auto it = armed_.find(&user);
  if (it == armed_.end()) return;
  scheduler_.cancel(it->second.task);
  armed_.erase(it);
}

void SimBlocking::run(std::function<void()> work, std::function<void()> done) {
  const Micros before = prng_.below(longest_ + 1);
  const Micros after = prng_.below(longest_ + 1);
  trace_.add(TraceRecord{scheduler_.now(), What::blocking, node_, before + after});
  scheduler_.after(before, owner_, [this, after, work = std::move(work), done = std::move(done)] {
    if (on_work_) on_work_();
    work();
    scheduler_.after(after, owner_, done);
  });
}

}  // namespace seawall::sim
