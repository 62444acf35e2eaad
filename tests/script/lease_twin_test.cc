// The lease against clocks that drift apart: two monotonic clocks with any offsets, at any rates
// within the stated bound of 1/64. Wall clocks do not exist here: nothing in the engine reads one.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdint>

#include "engine/base/limits.h"
#include "engine/lease.h"
#include "tests/script/any_in.h"

namespace seawall {
namespace {

using script::any_in;

constexpr std::uint64_t even = 64 * 63 * 1000;  // rate of a clock without drift

// What a clock shows at a true time in microseconds: milliseconds, rounded down as clocks are.
struct Clock {
  std::uint64_t offset_ms = 0;
  std::uint64_t rate = even;  // parts of `even`

  [[nodiscard]] std::uint64_t at(std::uint64_t true_us) const {
    return offset_ms + true_us * rate / even / 1000;
  }
  // The first true time at which it shows `ms`.
  [[nodiscard]] std::uint64_t first(std::uint64_t ms) const {
    return ((ms - offset_ms) * 1000 * even + rate - 1) / rate;
  }
};

Configuration three(Policy policy) {
  Configuration config;
  config.policy = policy;
  for (std::uint64_t id = 1; id <= 3; ++id) config.members.push_back(ReplicaId{id});
  config.in_sync = config.members;
  return config;
}

struct Ends {
  std::uint64_t answers_until = 0;  // true time: from here on the primary answers nothing
  std::uint64_t reports_from = 0;   // true time: a replica that granted may report
};

// The message leaves at `sent`, and is answered, with a grant, at `taken`.
Ends run(Policy policy, const Clock& primary, const Clock& replica, std::uint64_t sent,
         std::uint64_t taken) {
  const Duration lease{limits::lease_ms};
  const Instant echo{primary.at(sent)};
  std::vector<Standing<Instant>> grants{{ReplicaId{1}, Instant{primary.at(taken) + 100'000}},
                                        {ReplicaId{2}, echo}};
  if (policy == Policy::in_sync) grants.push_back({ReplicaId{3}, echo});
  const auto until =
      lease_end(three(policy), std::nullopt, std::span<const Standing<Instant>>(grants), lease);
  const Instant waits_until = Instant{replica.at(taken)} + lease;
  return Ends{primary.first(until->value()), replica.first(waits_until.value())};
}

Clock any_clock() { return Clock{any_in<std::uint64_t>(0, 10'000'000), even}; }

// The replica's clock runs faster than the primary's, by up to the stated bound.
RC_GTEST_PROP(LeaseTwin, P74_T13_no_answer_leaves_once_a_granter_may_have_reported, ()) {
  Clock primary = any_clock();
  Clock replica = any_clock();
  const std::uint64_t part = any_in<std::uint64_t>(0, 1001);  // of the bound
  if (any_in(0, 2) == 0) replica.rate = even + even / 63 * part / 1000;
  else primary.rate = even - even / 64 * part / 1000;
  const std::uint64_t sent = any_in<std::uint64_t>(0, 5'000'000);
  const std::uint64_t taken = sent + any_in<std::uint64_t>(0, 3'000'000);
  const Policy policy = *rc::gen::element(Policy::quorum, Policy::in_sync);
  const Ends ends = run(policy, primary, replica, sent, taken);
  RC_ASSERT(ends.answers_until <= ends.reports_from);
}

// The bound is what holds it: a little beyond, some moment breaks it.
TEST(LeaseTwin, P74_beyond_the_stated_drift_it_does_not_hold) {
  bool broken = false;
  for (std::uint64_t sent = 0; sent < 20'000 && !broken; sent += 7) {
    const Clock fast{0, even + even / 63 + even / 200};
    const Ends ends = run(Policy::quorum, Clock{}, fast, sent, sent);
    broken = ends.answers_until > ends.reports_from;
  }
  EXPECT_TRUE(broken);
}

// The other way round costs availability only: the primary's lease ends early.
TEST(LeaseTwin, P74_a_fast_clock_of_the_primary_ends_its_lease_early) {
  const Clock fast{3'600'000, even + even / 63};
  const Ends ends = run(Policy::in_sync, fast, Clock{}, 5'000, 5'000);
  EXPECT_LT(ends.answers_until, ends.reports_from);
  EXPECT_GT(ends.answers_until, ends.reports_from - 60'000);
}

}  // namespace
}  // namespace seawall
