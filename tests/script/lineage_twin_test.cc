// Common point and recovery plan against whole logs, compared record by record.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/base/chain.h"
#include "engine/lineage.h"
#include "engine/recovery_plan.h"
#include "tests/script/any_in.h"

namespace seawall {
namespace {

using script::any_in;

struct Log {
  std::vector<RecordHeader> records;  // records[i] has lsn i + 1

  void add(Term term, std::uint64_t content) {
    RecordHeader header;
    header.lsn = Lsn{records.size() + 1};
    header.term = term;
    header.payload_digest = content;
    header.blocks = BlockCount{1};
    header.chain = chain_next(records.empty() ? chain_of_empty_log : records.back().chain, header);
    records.push_back(header);
  }
  [[nodiscard]] Lsn end() const { return Lsn{records.size()}; }
  [[nodiscard]] std::uint64_t chain() const {
    return records.empty() ? chain_of_empty_log : records.back().chain;
  }
  // The table of the log, without its oldest `forgotten` entries.
  [[nodiscard]] TermTable terms(std::size_t forgotten) const {
    TermTable out;
    std::uint64_t before = chain_of_empty_log;
    for (const RecordHeader& record : records) {
      if (out.empty() || out.back().term != record.term) {
        out.push_back({record.term, record.lsn, before});
      }
      before = record.chain;
    }
    for (; forgotten > 0 && out.size() > 1; --forgotten) out.erase_at(0);
    return out;
  }
};

// Two logs as elections leave them: a common beginning, then tails of terms that the other one does
// not have, or a longer piece of the same term.
struct Pair {
  Log a, b;
};

Pair any_pair() {
  Pair pair;
  std::uint64_t term = 1;
  const auto common = any_in(0, 6);
  for (int i = 0; i < common; ++i) {
    if (any_in(0, 3) == 0) ++term;
    pair.a.add(Term{term}, static_cast<std::uint64_t>(i));
  }
  pair.b = pair.a;
  const bool a_goes_on = any_in(0, 2) == 0;  // in the last common term
  std::uint64_t a_term = a_goes_on && common > 0 ? term : term + 1;
  std::uint64_t b_term = term + 2;
  const auto a_more = any_in(0, 5);
  const auto b_more = any_in(0, 5);
  for (int i = 0; i < a_more; ++i) {
    if (any_in(0, 4) == 0) a_term += a_term <= term ? term + 1 - a_term : 2;
    if (a_term == b_term) a_term += 1;
    pair.a.add(Term{a_term}, 1000);
  }
  for (int i = 0; i < b_more; ++i) {
    if (any_in(0, 4) == 0) b_term += 1;
    b_term += 100;  // never a term of a
    pair.b.add(Term{b_term}, 2000);
  }
  if (any_in(0, 2) == 0) std::swap(pair.a, pair.b);
  return pair;
}

Lsn twin_common(const Log& a, const Log& b) {
  std::size_t same = 0;
  while (same < a.records.size() && same < b.records.size() &&
         a.records[same] == b.records[same]) {
    ++same;
  }
  return Lsn{same};
}

RC_GTEST_PROP(LineageTwin, P77_P78_P85_the_common_point_is_where_the_logs_part, ()) {
  const Pair pair = *rc::gen::exec(any_pair);
  const TermTable a = pair.a.terms(0);
  const TermTable b = pair.b.terms(0);
  const CommonPoint point = common_point({&a, pair.a.end(), pair.a.chain()},
                                         {&b, pair.b.end(), pair.b.chain()});
  RC_ASSERT(!point.two_histories);
  RC_ASSERT(point.lsn == std::optional(twin_common(pair.a, pair.b)));
}

RC_GTEST_PROP(LineageTwin, P85_a_forgotten_term_makes_it_unknown_never_wrong, ()) {
  const Pair pair = *rc::gen::exec(any_pair);
  const TermTable a = pair.a.terms(any_in<std::size_t>(0, 4));
  const TermTable b = pair.b.terms(any_in<std::size_t>(0, 4));
  const CommonPoint point = common_point({&a, pair.a.end(), pair.a.chain()},
                                         {&b, pair.b.end(), pair.b.chain()});
  RC_ASSERT(!point.two_histories);
  if (point.lsn) RC_ASSERT(*point.lsn == twin_common(pair.a, pair.b));
}

RC_GTEST_PROP(LineageTwin, P86_equal_terms_with_another_chain_are_two_histories, ()) {
  Log a;
  Log b;
  const auto length = any_in<std::uint64_t>(1, 6);
  for (std::uint64_t i = 0; i < length; ++i) {
    a.add(Term{3}, 1);
    b.add(Term{3}, 2);
  }
  const TermTable ta = a.terms(0);
  const TermTable tb = b.terms(0);
  const CommonPoint point =
      common_point({&ta, a.end(), a.chain()}, {&tb, b.end(), b.chain()});
  RC_ASSERT(point.two_histories);
}

// --- the plan of section 6.2, from the logs themselves ---

struct PlanCase {
  Pair pair;
  TermTable primary_terms, replica_terms;
  bool forgot = false;  // one of the tables does not reach the beginning
  PrimaryFacts primary;
  ReplicaFacts replica;
};

void draw_marker_and_damage(ReplicaFacts& replica) {
  if (any_in(0, 4) == 0) {
    replica.marker = RebuildMarker{};
    if (any_in(0, 3) > 0) replica.marker->start = Lsn{any_in<std::uint64_t>(0, 8)};
  }
  const auto damage = any_in(0, 8);
  if (damage == 0) replica.damage = Damage::base_untrusted;
  if (damage == 1) replica.damage = Damage::regressed;
  if (damage == 2) replica.damage = Damage::unknown_records;
}

void draw(PlanCase& c) {
  c.pair = any_pair();
  const auto forgotten = any_in<std::size_t>(0, 4);
  c.forgot = any_in(0, 4) == 0 && forgotten > 0;
  c.primary_terms = c.pair.a.terms(c.forgot ? forgotten : 0);
  c.primary.incarnation = Incarnation{1, 1};
  c.primary.log = {&c.primary_terms, c.pair.a.end(), c.pair.a.chain()};
  c.primary.trimmed = Lsn{any_in<std::uint64_t>(0, c.pair.a.end().value() + 1)};
  ReplicaFacts& replica = c.replica;
  replica.incarnation = any_in(0, 10) == 0 ? Incarnation{2, 2} : Incarnation{1, 1};
  replica.marks.written = c.pair.b.end();
  replica.marks.applied = Lsn{any_in<std::uint64_t>(0, c.pair.b.end().value() + 1)};
  replica.marks.durable = replica.marks.applied;
  replica.last_term = c.pair.b.records.empty() ? Term{} : c.pair.b.records.back().term;
  replica.chain = c.pair.b.chain();
  replica.terms = c.pair.b.terms(0);
  draw_marker_and_damage(replica);
  // Mostly far above every term; sometimes the replica's own last one, or below it.
  const std::uint64_t last = replica.last_term.value();
  const auto kind = any_in(0, 8);
  c.primary.epoch = Epoch{kind == 0 && last > 0 ? last : kind == 1 && last > 1 ? last - 1 : 10'000};
  replica.promised = Epoch{c.primary.epoch.value() + (any_in(0, 10) == 0 ? 1 : 0)};
}

struct Expected {
  PlanKind kind;
  std::optional<Lsn> common, since;  // where they are part of the plan
  bool alarm = false;
};

// One row of the table after the other, by what the whole logs say.
Expected twin_plan(const PlanCase& c) {
  const ReplicaFacts& it = c.replica;
  if (it.incarnation != c.primary.incarnation) return {PlanKind::refuse, {}, {}, true};
  if (it.promised.value() > c.primary.epoch.value()) return {PlanKind::refuse, {}, {}};
  const Lsn common = twin_common(c.pair.a, c.pair.b);
  if (it.damage == Damage::base_untrusted) return {PlanKind::full, {}, {}};
  if (it.marker) {
    const bool of_this_history = it.marker->start && *it.marker->start <= common;
    if (!of_this_history) return {PlanKind::full, {}, {}};
    return {PlanKind::delta, common, it.marker->start};
  }
  const bool divergent = common < c.pair.b.end();
  if (it.last_term.value() > c.primary.epoch.value()) return {PlanKind::full, {}, {}, true};
  if (divergent && it.last_term.value() == c.primary.epoch.value()) {
    return {PlanKind::full, {}, {}, true};  // P98
  }
  if (divergent && common < it.marks.applied) return {PlanKind::full, {}, {}};
  if (divergent || it.damage == Damage::regressed) return {PlanKind::rewind, common, {}};
  if (common == c.pair.a.end()) return {PlanKind::attach, common, {}};
  if (common >= c.primary.trimmed) return {PlanKind::catch_up, common, {}};
  return {PlanKind::delta, common, it.marks.applied};
}

RC_GTEST_PROP(LineageTwin, P81_P87_P88_P89_P90_P98_P182_the_plan_follows_the_table, ()) {
  PlanCase c;
  draw(c);
  const Plan plan = recovery_plan(c.primary, c.replica);
  const Expected expected = twin_plan(c);
  RC_TAG(plan_name(expected.kind));
  // Where the tables do not reach, the position is unknown: everything is compared.
  if (c.forgot && plan.kind == PlanKind::full) return;
  RC_ASSERT(std::string(plan_name(plan.kind)) == plan_name(expected.kind));
  RC_ASSERT(plan.alarm == expected.alarm);
  if (expected.common) RC_ASSERT(plan.common == *expected.common);
  if (expected.since) RC_ASSERT(plan.since == *expected.since);
}

TEST(LineageTwin, P82_the_whole_log_and_unknown_are_different_facts) {
  Log a;
  Log b;
  a.add(Term{2}, 1);
  b.add(Term{1}, 1);
  const TermTable ta = a.terms(0);
  TermTable tb = b.terms(0);
  EXPECT_EQ(common_point({&ta, a.end(), a.chain()}, {&tb, b.end(), b.chain()}).lsn, Lsn{0});
  tb[0].first_lsn = Lsn{5};  // its table does not reach the beginning
  EXPECT_EQ(common_point({&ta, a.end(), a.chain()}, {&tb, Lsn{9}, b.chain()}).lsn, std::nullopt);
}

}  // namespace
}  // namespace seawall
