// Common points and plans: random histories that share a prefix, and the rows of section 6.2.
#include "engine/recovery_plan.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <vector>

#include "engine/base/chain.h"

namespace seawall {
namespace {

// A log written down record by record.
struct History {
  std::vector<std::uint64_t> terms;  // of record 1, 2, 3 ...

  void extend(std::uint64_t term, std::uint64_t count) { terms.insert(terms.end(), count, term); }
  [[nodiscard]] ReplicaFacts facts() const {
    ReplicaFacts facts;
    facts.incarnation = Incarnation{7, 7};
    facts.chain = chain_of_empty_log;
    for (std::size_t i = 0; i < terms.size(); ++i) {
      RecordHeader header;
      header.lsn = Lsn{i + 1};
      header.term = Term{terms[i]};
      if (facts.last_term != header.term) {
        facts.terms.push_back(TermEntry{header.term, header.lsn, facts.chain});
      }
      facts.last_term = header.term;
      facts.chain = chain_next(facts.chain, header);
    }
    facts.marks.written = facts.marks.durable = Lsn{terms.size()};
    return facts;
  }
};

LogView view_of(const ReplicaFacts& facts) {
  return LogView{&facts.terms, facts.marks.written, facts.chain};
}

std::uint64_t shared_prefix(const History& a, const History& b) {
  std::size_t i = 0;
  while (i < a.terms.size() && i < b.terms.size() && a.terms[i] == b.terms[i]) ++i;
  return i;
}

std::uint64_t draw(std::uint64_t low, std::uint64_t high) {
  return *rc::gen::inRange<std::uint64_t>(low, high + 1);
}

// Two replicas of one volume: a common beginning, one of them with more of its last term, then
// terms that only one of them has seen.
std::pair<History, History> random_pair() {
  History a;
  std::uint64_t term = 1;
  for (std::uint64_t left = draw(0, 4); left > 0; --left) a.extend(term++, draw(1, 5));
  History b = a;
  if (!a.terms.empty()) a.extend(a.terms.back(), draw(0, 4));
  for (std::uint64_t left = draw(0, 2); left > 0; --left) a.extend(2 * term++, draw(1, 4));
  for (std::uint64_t left = draw(0, 2); left > 0; --left) b.extend(2 * term++ + 1, draw(1, 4));
  return {a, b};
}

TEST(CommonPoint, P77_P79_P85_is_the_shared_prefix_of_both_histories) {
  EXPECT_TRUE(rc::check([] {
    const auto [a, b] = random_pair();
    const ReplicaFacts left = a.facts();
    const ReplicaFacts right = b.facts();
    const CommonPoint point = common_point(view_of(left), view_of(right));
    RC_ASSERT(!point.two_histories);
    RC_ASSERT(point.lsn == Lsn{shared_prefix(a, b)});
    RC_ASSERT(common_point(view_of(right), view_of(left)).lsn == point.lsn);
  }));
}

TEST(CommonPoint, P85_a_shortened_table_gives_the_same_point_or_none) {
  EXPECT_TRUE(rc::check([] {
    const auto [a, b] = random_pair();
    ReplicaFacts left = a.facts();
    ReplicaFacts right = b.facts();
    for (ReplicaFacts* facts : {&left, &right}) {
      for (std::uint64_t left_out = draw(0, 3); left_out > 0; --left_out) {
        if (facts->terms.size() > 1) facts->terms.erase_at(0);
      }
    }
    const CommonPoint point = common_point(view_of(left), view_of(right));
    RC_ASSERT(!point.two_histories);
    if (point.lsn) RC_ASSERT(*point.lsn == Lsn{shared_prefix(a, b)});
  }));
}

TEST(CommonPoint, P86_equal_terms_with_another_chain_are_not_one_history) {
  History history;
  history.extend(1, 5);
  const ReplicaFacts left = history.facts();
  ReplicaFacts right = history.facts();
  right.chain ^= 1;
  EXPECT_TRUE(common_point(view_of(left), view_of(right)).two_histories);
}

// The plan against a twin that knows both histories.
TEST(RecoveryPlan, P87_P88_P81_is_what_the_histories_say) {
  EXPECT_TRUE(rc::check([] {
    auto [a, b] = random_pair();
    a.extend(100, 1);  // the primary's term-start
    const ReplicaFacts own = a.facts();
    ReplicaFacts replica = b.facts();
    replica.marks.applied = Lsn{draw(0, b.terms.size())};
    const Lsn trimmed{draw(0, a.terms.size() - 1)};
    const PrimaryFacts primary{own.incarnation, Epoch{100}, view_of(own), trimmed};
    const Plan plan = recovery_plan(primary, replica);
    const Lsn common{shared_prefix(a, b)};
    PlanKind expected = PlanKind::full;
    if (common < replica.marks.written) {
      if (common >= replica.marks.applied) expected = PlanKind::rewind;
    } else {
      expected = common >= trimmed ? PlanKind::catch_up : PlanKind::delta;
    }
    RC_ASSERT(plan.kind == expected);
    if (plan.kind == PlanKind::rewind || plan.kind == PlanKind::catch_up) {
      RC_ASSERT(plan.common == common);
    }
  }));
}

struct Rows : testing::Test {
  Rows() {
    history.extend(1, 100);
    history.extend(2, 1);
    own = history.facts();
    primary = PrimaryFacts{own.incarnation, Epoch{2}, view_of(own), Lsn{50}};
    replica = own;
  }
  History history;
  ReplicaFacts own;
  PrimaryFacts primary;
  ReplicaFacts replica;
};

TEST_F(Rows, P88_at_the_head_it_attaches_live) {
  EXPECT_EQ(recovery_plan(primary, replica).kind, PlanKind::attach);
}

TEST_F(Rows, P89_another_incarnation_is_refused) {
  replica.incarnation = Incarnation{8, 8};
  EXPECT_EQ(recovery_plan(primary, replica).kind, PlanKind::refuse);
}

TEST_F(Rows, P89_an_untrusted_base_or_a_marker_without_start_is_full_whatever_the_rest_says) {
  replica.damage = Damage::base_untrusted;
  EXPECT_EQ(recovery_plan(primary, replica).kind, PlanKind::full);
  replica.damage = Damage::none;
  replica.marker.emplace();
  EXPECT_EQ(recovery_plan(primary, replica).kind, PlanKind::full);
  replica.marker->start = Lsn{10};
  EXPECT_EQ(recovery_plan(primary, replica).kind, PlanKind::delta);
}

TEST_F(Rows, P98_ahead_of_its_own_primary_is_full_and_an_alarm) {
  history.extend(2, 3);
  const Plan plan = recovery_plan(primary, history.facts());
  EXPECT_EQ(plan.kind, PlanKind::full);
  EXPECT_TRUE(plan.alarm);
}

TEST_F(Rows, P78_equal_lsn_of_another_term_is_rewound) {
  History other;
  other.extend(1, 101);
  const Plan plan = recovery_plan(primary, other.facts());
  EXPECT_EQ(plan.kind, PlanKind::rewind);
  EXPECT_EQ(plan.common, Lsn{100});
}

TEST_F(Rows, P92_P93_an_empty_replica_catches_up_only_from_a_whole_log) {
  EXPECT_EQ(recovery_plan(primary, History{}.facts()).kind, PlanKind::delta);
  primary.trimmed = Lsn{0};
  EXPECT_EQ(recovery_plan(primary, History{}.facts()).kind, PlanKind::catch_up);
}

}  // namespace
}  // namespace seawall
