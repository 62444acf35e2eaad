// Elections: what a winner must hold, by random worlds and by the rows of the catalogue.
#include "engine/promotion.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <vector>

#include "engine/quorum.h"

namespace seawall {
namespace {

struct Election {
  Configuration config;
  std::vector<FenceReport> reports;
  std::uint64_t since_fence = 0;
  std::uint64_t since_enough = 200;

  explicit Election(std::size_t members, Policy policy = Policy::quorum) {
    for (std::size_t id = 1; id <= members; ++id) config.members.push_back(ReplicaId{id});
    config.in_sync = config.members;
    config.policy = policy;
  }
  FenceReport& report(std::uint64_t id, std::uint64_t term, std::uint64_t lsn) {
    FenceReport report;
    report.epoch = Epoch{9};
    report.facts.replica = ReplicaId{id};
    report.facts.last_term = Term{term};
    report.facts.marks.written = Lsn{lsn};
    report.facts.intact = true;
    reports.push_back(report);
    return reports.back();
  }
  [[nodiscard]] PromotionDecision decide() const {
    PromotionFacts facts;
    facts.config = &config;
    facts.pending = Epoch{9};
    facts.record_epoch = Epoch{8};
    facts.record_revision = Revision{80};
    facts.reports = reports;
    facts.since_fence = Duration{since_fence};
    facts.since_enough = Duration{since_enough};
    return decide_promotion(facts);
  }
};

// What completed is on W members; each of them may have given its log up and kept a floor.
TEST(Promotion, P56_P61_P157_the_winner_holds_all_that_completed) {
  EXPECT_TRUE(rc::check([] {
    const std::size_t count = *rc::gen::inRange<std::size_t>(1, 8);
    Election election(count);
    std::vector<std::uint64_t> held;
    for (std::uint64_t id = 1; id <= count; ++id) {
      const std::uint64_t once = *rc::gen::inRange<std::uint64_t>(0, 20);
      held.push_back(once);
      if (!*rc::gen::arbitrary<bool>()) continue;  // does not report
      const bool gave_up = *rc::gen::arbitrary<bool>();
      const std::uint64_t now = gave_up ? *rc::gen::inRange<std::uint64_t>(0, once + 1) : once;
      FenceReport& report = election.report(id, 1, now);
      if (gave_up) report.facts.floor = Floor{Term{1}, Lsn{once}};
      if (gave_up && *rc::gen::arbitrary<bool>()) report.facts.marker = RebuildMarker{};
    }
    std::sort(held.rbegin(), held.rend());
    const std::uint64_t completed = held[write_quorum(count) - 1];
    const PromotionDecision decision = election.decide();
    if (decision.kind != PromotionKind::promote) return;
    RC_ASSERT(!decision.after_power_loss);
    RC_ASSERT(decision.winner_position.lsn >= Lsn{completed});
  }));
}

TEST(Promotion, P63_the_order_of_reports_changes_nothing) {
  EXPECT_TRUE(rc::check([] {
    Election election(5);
    for (std::uint64_t id = 1; id <= 5; ++id) {
      FenceReport& report = election.report(id, *rc::gen::inRange<std::uint64_t>(1, 3),
                                            *rc::gen::inRange<std::uint64_t>(0, 4));
      report.facts.marks.durable = Lsn{*rc::gen::inRange<std::uint64_t>(0, 2)};
    }
    const PromotionDecision one = election.decide();
    std::reverse(election.reports.begin(), election.reports.end());
    const PromotionDecision other = election.decide();
    RC_ASSERT(one.kind == other.kind);
    RC_ASSERT(one.winner == other.winner);
  }));
}

TEST(Promotion, P56_one_report_of_three_is_too_few) {
  Election election(3);
  election.report(3, 1, 95);
  EXPECT_EQ(election.decide().kind, PromotionKind::wait);
}

TEST(Promotion, P58_reports_without_this_promise_are_void) {
  Election election(3);
  election.report(2, 1, 100).epoch = Epoch{8};
  election.report(3, 1, 100);
  EXPECT_EQ(election.decide().kind, PromotionKind::wait);
}

TEST(Promotion, P59_the_term_comes_before_the_lsn) {
  Election election(3);
  election.report(1, 1, 120);
  election.report(2, 3, 105);
  election.report(3, 3, 104);
  EXPECT_EQ(election.decide().kind, PromotionKind::promote);
  EXPECT_EQ(election.decide().winner, ReplicaId{2});
}

TEST(Promotion, P57_waits_a_moment_for_better_reports) {
  Election election(3);
  election.report(1, 1, 100);
  election.report(2, 1, 100);
  election.since_enough = 0;
  EXPECT_EQ(election.decide().kind, PromotionKind::wait_for_more);
  election.since_enough = limits::choice_wait_ms_max;
  EXPECT_EQ(election.decide().winner, ReplicaId{1});
}

TEST(Promotion, P57_P147_after_a_power_loss_it_settles_first_and_says_so) {
  Election election(3);
  election.report(1, 1, 100).facts.intact = false;
  election.report(2, 1, 90);
  EXPECT_EQ(election.decide().kind, PromotionKind::wait_for_settle);
  election.since_fence = limits::settle_time_ms;
  EXPECT_EQ(election.decide().kind, PromotionKind::promote);
  EXPECT_EQ(election.decide().winner, ReplicaId{1});
  EXPECT_TRUE(election.decide().after_power_loss);
}

TEST(Promotion, P144_under_write_cache_none_nobody_asks_for_the_intact_bit) {
  Election election(3);
  election.config.write_cache = WriteCache::none;
  election.report(1, 1, 100).facts.intact = false;
  election.report(2, 1, 90).facts.intact = false;
  EXPECT_EQ(election.decide().kind, PromotionKind::promote);
  EXPECT_FALSE(election.decide().after_power_loss);
}

TEST(Promotion, P67_an_outsider_of_the_in_sync_set_is_no_candidate) {
  Election election(3, Policy::in_sync);
  election.config.in_sync = {ReplicaId{2}};
  election.report(1, 1, 120);
  election.report(2, 1, 100);
  EXPECT_EQ(election.decide().winner, ReplicaId{2});
}

TEST(Promotion, P42_the_new_set_is_who_qualified_or_stays_as_it_was) {
  Election election(3, Policy::in_sync);
  election.config.min_in_sync = 2;
  election.report(1, 1, 100);
  EXPECT_EQ(election.decide().config.in_sync.size(), 3u);
  election.report(3, 1, 90);
  const Configuration next = election.decide().config;
  EXPECT_EQ(next.in_sync, (ReplicaSet{ReplicaId{1}, ReplicaId{3}}));
}

TEST(Promotion, P169_one_in_rebuild_votes_for_a_winner_that_holds_all_it_ever_held) {
  Election election(3);
  election.report(1, 2, 50);
  FenceReport& rebuilding = election.report(2, 1, 20);
  rebuilding.facts.marker = RebuildMarker{};
  rebuilding.facts.floor = Floor{Term{1}, Lsn{40}};
  EXPECT_EQ(election.decide().winner, ReplicaId{1});
  election.reports[1].facts.floor = Floor{Term{2}, Lsn{51}};
  EXPECT_EQ(election.decide().kind, PromotionKind::wait);
}

TEST(Promotion, P172_a_record_older_than_what_was_seen_promotes_nobody) {
  Election election(3);
  election.report(1, 1, 100).facts.seen_revision = Revision{81};
  election.report(2, 1, 100);
  EXPECT_EQ(election.decide().kind, PromotionKind::record_too_old);
}

TEST(Promotion, P68_all_have_reported_and_none_may_win) {
  Election election(3);
  for (std::uint64_t id = 1; id <= 3; ++id) election.report(id, 1, 9).facts.marker.emplace();
  EXPECT_EQ(election.decide().kind, PromotionKind::impossible);
}

}  // namespace
}  // namespace seawall
