#include "engine/barrier.h"

#include "engine/base/check.h"
#include "engine/base/mutant.h"

namespace seawall {

std::optional<Lsn> BarrierLog::answered(const message::BarrierDone& done) {
  std::optional<Asked> found;
  for (std::size_t left = open_.size(); left > 0; --left) {
    const Asked next = open_.pop_front();
    if (next.id == done.id) found = next;
    else open_.push_back(next);
  }
  if (!found) return std::nullopt;
  const Asked asked = *found;
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

std::uint64_t BarrierPlan::issue(Lsn target) {
  CHECK(!last_ || target > *last_);
  before_last_ = last_;
  last_ = target;
  return next_id();
}

}  // namespace seawall
