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

// The plan of section 6.2 from the logs themselves.
RC_GTEST_PROP(LineageTwin, P81_P87_P88_P89_P90_the_plan_follows_the_table, ()) {
  const Pair pair = *rc::gen::exec(any_pair);
  const Log& primary_log = pair.a;
  const TermTable terms = primary_log.terms(0);
  PrimaryFacts primary;
  primary.incarnation = Incarnation{1, 1};
  primary.epoch = Epoch{10'000};
  primary.log = {&terms, primary_log.end(), primary_log.chain()};
  primary.trimmed = Lsn{any_in<std::uint64_t>(0, primary_log.end().value() + 1)};
  ReplicaFacts replica;
  replica.incarnation = any_in(0, 10) == 0 ? Incarnation{2, 2} : Incarnation{1, 1};
  replica.promised = Epoch{any_in(0, 10) == 0 ? 10'001u : 10'000u};
  replica.marks.written = pair.b.end();
  replica.marks.applied = Lsn{any_in<std::uint64_t>(0, pair.b.end().value() + 1)};
  replica.marks.durable = replica.marks.applied;
  replica.last_term = pair.b.records.empty() ? Term{} : pair.b.records.back().term;
  replica.chain = pair.b.chain();
  replica.terms = pair.b.terms(0);
  if (any_in(0, 6) == 0) replica.marker = RebuildMarker{};
  if (any_in(0, 6) == 0) replica.damage = Damage::base_untrusted;

  const Plan plan = recovery_plan(primary, replica);
  const Lsn c = twin_common(pair.a, pair.b);
  PlanKind expected = PlanKind::full;
  if (replica.incarnation != primary.incarnation || replica.promised > primary.epoch) {
    expected = PlanKind::refuse;
  } else if (replica.marker || replica.damage == Damage::base_untrusted) {
    expected = PlanKind::full;
  } else if (c < replica.marks.written) {
    expected = c >= replica.marks.applied ? PlanKind::rewind : PlanKind::full;
  } else if (c == primary_log.end()) {
    expected = PlanKind::attach;
  } else {
    expected = c >= primary.trimmed ? PlanKind::catch_up : PlanKind::delta;
  }
  RC_ASSERT(std::string(plan_name(plan.kind)) == plan_name(expected));
  const bool has_place = expected == PlanKind::attach || expected == PlanKind::catch_up ||
                         expected == PlanKind::rewind;
  if (has_place) RC_ASSERT(plan.common == c);
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
