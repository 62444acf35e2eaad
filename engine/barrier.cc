#include "engine/barrier.h"

#include "engine/base/check.h"
#include "engine/base/mutant.h"

namespace seawall {

std::optional<Lsn> BarrierLog::answered(const message::BarrierDone& done) {
  while (!open_.empty() && open_.front().id < done.id) open_.pop_front();
  if (open_.empty() || open_.front().id != done.id) return std::nullopt;
  const Asked asked = open_.pop_front();
  if (!done.ok && !MUTANT(M09)) return std::nullopt;
  if (MUTANT(M11)) return done.durable;
  if (done.durable < asked.target) return std::nullopt;
  return done.durable;
}

std::optional<Lsn> BarrierPlan::due(Lsn own_durable) const {
  if (!wanted_ || (last_ && *wanted_ <= *last_)) return std::nullopt;
  if (before_last_ && own_durable < *before_last_) return std::nullopt;
  return wanted_;
}

std::uint64_t BarrierPlan::issue(Lsn target, Instant now) {
  CHECK(!last_ || target > *last_);
  before_last_ = last_;
  last_ = target;
  last_at_ = now;
  return next_id();
}

}  // namespace seawall
