#include "engine/convergence.h"

#include <algorithm>
#include <limits>

#include "engine/base/mutant.h"

namespace seawall {
namespace {

constexpr std::uint64_t per_second(std::uint64_t bytes, Duration time) {
  constexpr std::uint64_t safe = std::numeric_limits<std::uint64_t>::max() / 1'000;
  return std::min(bytes, safe) * 1'000 / std::max<std::uint64_t>(time.value(), 1);
}

// Counted in windows: numbers of this size cannot overflow.
bool in_time(std::uint64_t owed, std::uint64_t drained, std::uint64_t added, Duration window,
             const ConvergenceLimits& limits) {
  if (drained <= added) return false;
  const std::uint64_t left = owed / (drained - added);
  const std::uint64_t undisturbed = owed / drained;
  const std::uint64_t always = limits.finish.value() / std::max<std::uint64_t>(window.value(), 1);
  return left <= always || left / limits.factor <= undisturbed;
}

}  // namespace

void Convergence::note(Instant now, const StreamBytes& at, const ConvergenceLimits& limits) {
  if (at.owed() == 0) return reset();
  if (due_) return;
  due_ = now + limits.window;
  since_ = now;
  from_ = at;
}

Verdict Convergence::judge(Instant now, const StreamBytes& at, bool writers_at_floor,
                           const ConvergenceLimits& limits) {
  note(now, at, limits);
  if (!due_ || now < *due_) return Verdict::none;
  const Duration window = now - since_;
  // Estimates of old records may move: neither of the two ever counts as less than nothing.
  const std::uint64_t drained = at.sent - std::min(at.sent, from_.sent);
  const std::uint64_t added = at.goal - std::min(at.goal, from_.goal);
  due_ = now + limits.window;
  if (drained == 0 && !MUTANT(M131)) return Verdict::none;
  since_ = now;
  from_ = at;
  drain_rate_ = per_second(drained, window);
  ingest_rate_ = per_second(added, window);
  if (in_time(at.owed(), drained, added, window, limits)) {
    bad_ = 0;
    return Verdict::wins;
  }
  ++bad_;
  const bool hopeless = added > drained && writers_at_floor;
  return bad_ >= 2 || hopeless ? Verdict::lost : Verdict::slow;
}

}  // namespace seawall
