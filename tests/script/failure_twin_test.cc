// The policy of failures against a twin that keeps every failure there ever was and reads the rules
// from the sentence: try again so often, compare everything so often, then give up.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "engine/failure_policy.h"
#include "engine/session.h"
#include "tests/script/any_in.h"

namespace seawall {
namespace {

using script::any_in;

constexpr std::size_t ends = static_cast<std::size_t>(SessionEnd::log_given_up) + 1;

std::vector<FailureKind> all_kinds() {
  std::vector<FailureKind> kinds;
  for (std::size_t i = 0; i < failure_kinds; ++i) kinds.push_back(static_cast<FailureKind>(i));
  return kinds;
}

struct Twin {
  std::vector<FailureKind> failures;  // since they were forgotten
  Escalation escalation = Escalation::none;
  bool terminal = false;

  FailureAction note(FailureKind kind) {
    failures.push_back(kind);
    std::uint32_t same = 0;
    for (const FailureKind each : failures) same += each == kind ? 1 : 0;
    std::uint32_t left = same;
    const FailureRule& rule = rule_of(kind);
    for (std::uint32_t i = 0; i < rule.retries; ++i) {
      if (--left == 0) return FailureAction::retry;
    }
    for (std::uint32_t i = 0; i < rule.escalations; ++i) {
      if (--left > 0) continue;
      if (rule.to > escalation) escalation = rule.to;
      return FailureAction::escalate;
    }
    terminal = true;
    return FailureAction::terminal;
  }
};

TEST(FailurePolicy, P121_every_kind_has_one_row_one_name_and_one_action_for_each_count) {
  std::vector<std::string> names;
  for (const FailureKind kind : all_kinds()) {
    const FailureRule& rule = rule_of(kind);
    EXPECT_EQ(rule.kind, kind);
    for (const std::string& other : names) EXPECT_NE(other, rule.name);
    names.emplace_back(rule.name);
    EXPECT_GT(rule.pause.value(), 0u) << rule.name;  // no busy loop
    // Only forward: retry, then escalate, then terminal, and all three are reached or left out.
    FailureAction before = FailureAction::retry;
    for (std::uint32_t nth = 1; nth <= 200; ++nth) {
      const FailureAction action = action_of(kind, nth);
      EXPECT_GE(action, before) << rule.name << " " << nth;
      before = action;
    }
    EXPECT_EQ(before, FailureAction::terminal) << rule.name << " is tried for ever";
  }
  EXPECT_EQ(action_of(FailureKind::gap, 1), FailureAction::retry);
  EXPECT_EQ(action_of(FailureKind::not_equal, 1), FailureAction::escalate);
  EXPECT_EQ(action_of(FailureKind::misfit, 1), FailureAction::terminal);
}

TEST(FailurePolicy,
     P121_every_end_of_a_session_is_one_kind_or_no_failure_and_every_kind_is_an_end) {
  std::vector<int> ends_of(failure_kinds, 0);
  for (std::size_t i = 0; i < ends; ++i) {
    const auto end = static_cast<SessionEnd>(i);
    EXPECT_STRNE(session_end_name(end), "?");
    const std::optional<FailureKind> kind = failure_of(end);
    if (kind) ++ends_of[static_cast<std::size_t>(*kind)];
  }
  for (const FailureKind kind : all_kinds()) {
    const int wanted = kind == FailureKind::store_failed ? 0 : 1;  // that one is the runtime's own
    EXPECT_EQ(ends_of[static_cast<std::size_t>(kind)], wanted) << rule_of(kind).name;
  }
}

TEST(FailurePolicy, P124_reachability_is_no_failure) {
  for (const SessionEnd end : {SessionEnd::transport, SessionEnd::silent, SessionEnd::superseded,
                               SessionEnd::endpoint_changed, SessionEnd::epoch_over,
                               SessionEnd::start_deadline, SessionEnd::rewound}) {
    EXPECT_FALSE(failure_of(end).has_value()) << session_end_name(end);
  }
}

TEST(FailurePolicy, P123_trimmed_corrupt_and_a_broken_contract_escalate_at_the_first_failure) {
  for (const FailureKind kind : {FailureKind::trimmed, FailureKind::log_unreadable,
                                 FailureKind::unrepaired, FailureKind::broken_contract}) {
    ReplicaFailures failures;
    EXPECT_EQ(failures.note(kind, Instant{1}).action, FailureAction::escalate);
    EXPECT_TRUE(failures.escalated()) << rule_of(kind).name;
  }
}

TEST(FailurePolicy, P122_the_pause_grows_to_its_bound_and_never_shrinks) {
  for (const FailureKind kind : all_kinds()) {
    Duration before{0};
    for (std::uint32_t nth = 1; nth <= 1000; ++nth) {
      const Duration pause = pause_of(kind, nth);
      EXPECT_GE(pause, before);
      EXPECT_LE(pause, rule_of(kind).pause_max);
      before = pause;
    }
    EXPECT_EQ(before, rule_of(kind).pause_max);
  }
  EXPECT_EQ(pause_of(FailureKind::log_full, 2), Duration{1'000});
}

TEST(FailurePolicy, P126_T19_only_the_stated_minutes_in_sync_forgive_to_the_tick) {
  const Instant since{1'000'000};
  const auto counted_after = [&](Duration in_sync) {
    ReplicaFailures failures;
    failures.note(FailureKind::gap, Instant{1});
    failures.session_ended_well();
    failures.in_sync_for(since, since + in_sync);
    return failures.count(FailureKind::gap);
  };
  EXPECT_EQ(counted_after(Duration{1'000}), 1u);  // one good second
  EXPECT_EQ(counted_after(forget_after - Duration{1}), 1u);
  EXPECT_EQ(counted_after(forget_after), 0u);
  EXPECT_EQ(counted_after(forget_after + Duration{1}), 0u);
}

TEST(FailurePolicy, P126_failures_of_another_kind_neither_cost_nor_give_back) {
  ReplicaFailures failures;
  for (int i = 0; i < 3; ++i) failures.note(FailureKind::gap, Instant{1});
  for (int i = 0; i < 5; ++i) failures.note(FailureKind::log_full, Instant{2});
  EXPECT_EQ(failures.count(FailureKind::gap), 3u);
  EXPECT_EQ(failures.note(FailureKind::gap, Instant{3}).nth, 4u);
}

TEST(FailurePolicy, P127_a_history_is_bounded_and_tells_of_runs) {
  ReplicaFailures failures;
  std::uint32_t noted = 0;
  while (!failures.terminal()) {
    failures.note(FailureKind::stalled, Instant{++noted});
    ASSERT_LT(noted, 100u);
  }
  ASSERT_EQ(failures.history().size(), 3u);
  EXPECT_EQ(failures.history()[0].action, FailureAction::retry);
  EXPECT_EQ(failures.history()[0].nth, rule_of(FailureKind::stalled).retries);
  EXPECT_EQ(failures.history()[1].action, FailureAction::escalate);
  EXPECT_EQ(failures.history()[2].action, FailureAction::terminal);
  EXPECT_EQ(failures.history()[2].at, Instant{noted});
  EXPECT_EQ(failures.terminal(), FailureKind::stalled);
  failures.forget();
  EXPECT_FALSE(failures.terminal().has_value());
  EXPECT_EQ(failures.note(FailureKind::stalled, Instant{200}).action, FailureAction::retry);
}

RC_GTEST_PROP(FailurePolicyTwin, P121_P122_P125_P127_is_what_the_whole_history_says, ()) {
  ReplicaFailures failures;
  Twin twin;
  Instant now{1};
  const auto steps = any_in(1, 201);
  for (int i = 0; i < steps; ++i) {
    now = now + Duration{any_in<std::uint64_t>(0, 400'000)};
    switch (any_in(0, 11)) {
      case 0: {
        failures.session_ended_well();
        twin.escalation = Escalation::none;
        break;
      }
      case 1: {
        const Duration lasted{any_in<std::uint64_t>(0, 2 * forget_after.value())};
        if (now < Instant{} + lasted) break;
        failures.in_sync_for(Instant{(now - (Instant{} + lasted)).value()}, now);
        if (lasted >= forget_after) twin.failures.clear();
        break;
      }
      case 2: {
        if (any_in(0, 4) != 0) break;
        failures.forget();
        twin = Twin{};
        break;
      }
      default: {
        const auto kind = static_cast<FailureKind>(any_in<std::size_t>(0, failure_kinds));
        const FailureNote note = failures.note(kind, now);
        RC_ASSERT(note.action == twin.note(kind));
        RC_ASSERT(note.kind == kind);
        RC_ASSERT(note.at == now);
        RC_ASSERT(failures.history().back() == note);
      }
    }
    RC_ASSERT(failures.escalation() == twin.escalation);
    RC_ASSERT(failures.terminal().has_value() == twin.terminal);
    RC_ASSERT(failures.history().size() <= ReplicaFailures::history_max);
  }
}

}  // namespace
}  // namespace seawall
