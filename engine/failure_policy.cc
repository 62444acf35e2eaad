#include "engine/failure_policy.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/mutant.h"

namespace seawall {
namespace {

constexpr Duration soon{10};
constexpr Duration second{1'000};

constexpr Escalation delta = Escalation::delta;
constexpr Escalation full = Escalation::full;

// In the order of the enum. A try costs a handshake, an escalation a comparison: so the first are
// many and the second few. What a try cannot change escalates at once, to a delta where only what
// the log lacks is in doubt; what no copying can change is terminal at once.
constexpr std::array<FailureRule, failure_kinds> table{{
    {FailureKind::stalled, "stalled", 6, 3, full, Duration{500}, Duration{30'000}, true},
    {FailureKind::gap, "gap", 8, 3, full, soon, Duration{10'000}},
    {FailureKind::divergence, "divergence", 6, 3, full, soon, Duration{10'000}, false, true},
    {FailureKind::marker, "marker", 6, 3, full, soon, Duration{10'000}},
    {FailureKind::log_failed, "log_failed", 10, 2, full, Duration{2'000}, Duration{30'000}},
    // Space comes back when somebody makes some, and a comparison begins with an empty log.
    {FailureKind::log_full, "log_full", 30, 4, full, Duration{500}, Duration{60'000}},
    {FailureKind::broken_contract, "broken_contract", 0, 3, full, second, Duration{30'000}, false,
     true},
    {FailureKind::unrepaired, "unrepaired", 0, 6, full, soon, Duration{30'000}},
    {FailureKind::trimmed, "trimmed", 0, 6, delta, soon, Duration{30'000}},
    {FailureKind::log_unreadable, "log_unreadable", 0, 6, delta, soon, Duration{30'000}},
    {FailureKind::base_failed, "base_failed", 0, 6, full, second, Duration{30'000}},
    {FailureKind::not_equal, "not_equal", 0, 4, full, second, Duration{30'000}, false, true},
    {FailureKind::misfit, "misfit", 0, 0, full, second, second, false, true},
    // Load, not harm: each costs a delta, and only hours of them without a quiet time give it up.
    {FailureKind::not_converging, "not_converging", 0, 40, delta, Duration{100}, Duration{60'000}},
    {FailureKind::log_given_up, "log_given_up", 0, 40, delta, Duration{100}, Duration{60'000}},
    {FailureKind::store_failed, "store_failed", 8, 0, full, Duration{500}, Duration{30'000}},
}};

constexpr bool is_in_order() {
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (static_cast<std::size_t>(table[i].kind) != i) return false;
    if (table[i].pause.is_zero() || table[i].pause > table[i].pause_max) return false;
  }
  return true;
}
static_assert(is_in_order(), "every kind has its row, and no row is a busy loop");

}  // namespace

const FailureRule& rule_of(FailureKind kind) {
  const auto index = static_cast<std::size_t>(kind);
  CHECK(index < table.size());
  return table[index];
}

const char* failure_action_name(FailureAction action) {
  switch (action) {
    case FailureAction::retry: return "retry";
    case FailureAction::escalate: return "escalate";
    case FailureAction::terminal: return "terminal";
  }
  return "?";
}

FailureAction action_of(FailureKind kind, std::uint32_t nth) {
  CHECK(nth > 0);
  const FailureRule& rule = rule_of(kind);
  if (nth <= rule.retries || MUTANT(M120)) return FailureAction::retry;
  return nth <= rule.retries + rule.escalations ? FailureAction::escalate
                                                : FailureAction::terminal;
}

Duration pause_of(FailureKind kind, std::uint32_t nth) {
  CHECK(nth > 0);
  const FailureRule& rule = rule_of(kind);
  const std::uint32_t doublings = std::min(nth - 1, 20u);
  return std::min(rule.pause_max, Duration{rule.pause.value() << doublings});
}

FailureNote ReplicaFailures::note(FailureKind kind, Instant now) {
  std::uint32_t& count = counts_[static_cast<std::size_t>(kind)];
  if (count < UINT32_MAX) ++count;
  const FailureNote failure{kind, action_of(kind, count), count, now};
  if (failure.action == FailureAction::escalate) {
    escalation_ = std::max(escalation_, rule_of(kind).to);
  }
  if (failure.action == FailureAction::terminal && !terminal_) terminal_ = kind;
  const bool repeats = !history_.empty() && history_.back().kind == kind &&
                       history_.back().action == failure.action;
  if (repeats) history_.pop_back();
  if (history_.full()) history_.erase_at(0);
  history_.push_back(failure);
  return failure;
}

void ReplicaFailures::in_sync_for(Instant since, Instant now) {
  if (is_forgiven(since, now) || MUTANT(M125)) counts_.fill(0);
}

void ReplicaFailures::forget() {
  counts_.fill(0);
  escalation_ = Escalation::none;
  terminal_.reset();
}

}  // namespace seawall
