// The election against a twin written from protocol.md section 5.4, and against what it is for: no
// promotion may lose what could have completed.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/promotion.h"
#include "engine/quorum.h"
#include "tests/script/any_in.h"

namespace seawall {
namespace {

using script::any_in;

constexpr Epoch pending{9};

struct Case {
  Configuration config;
  std::vector<FenceReport> reports;
  Revision record_revision{5};
  Duration since_fence{0}, since_enough{0};
};

PromotionDecision decide(const Case& c) {
  PromotionFacts facts;
  facts.config = &c.config;
  facts.pending = pending;
  facts.record_epoch = pending;
  facts.record_revision = c.record_revision;
  facts.reports = c.reports;
  facts.since_fence = c.since_fence;
  facts.since_enough = c.since_enough;
  return decide_promotion(facts);
}

// --- the twin: sentences of section 5.4, one after the other ---

struct Choice {
  PromotionKind kind;
  ReplicaId winner;
  bool after_power_loss = false;
};

bool below_floor_or_marked(const ReplicaFacts& r) {
  const Position last{r.last_term, r.marks.written};
  return r.marker.has_value() || r.damage == Damage::base_untrusted ||
         (r.floor && last < *r.floor);
}

std::optional<Choice> elect(const Case& c, const std::vector<ReplicaFacts>& reports,
                            bool all_alike) {
  const auto intact = [&](const ReplicaFacts& r) {
    return r.intact || c.config.write_cache == WriteCache::none || all_alike;
  };
  std::vector<ReplicaFacts> candidates;
  for (const ReplicaFacts& r : reports) {
    const bool in_set = c.config.policy == Policy::quorum || c.config.in_sync.contains(r.replica);
    if (intact(r) && in_set && !below_floor_or_marked(r)) candidates.push_back(r);
  }
  if (candidates.empty()) return std::nullopt;
  std::sort(candidates.begin(), candidates.end(), [](const ReplicaFacts& a, const ReplicaFacts& b) {
    if (a.last_term != b.last_term) return a.last_term > b.last_term;
    if (a.marks.written != b.marks.written) return a.marks.written > b.marks.written;
    if (a.marks.durable != b.marks.durable) return a.marks.durable > b.marks.durable;
    return a.replica < b.replica;
  });
  const ReplicaFacts& winner = candidates.front();
  const Position best{winner.last_term, winner.marks.written};
  std::size_t count = 0;
  bool lost_power = false;
  for (const ReplicaFacts& r : reports) {
    if (!intact(r)) continue;
    const bool gave_up = below_floor_or_marked(r);
    const Position last{r.last_term, r.marks.written};
    if (gave_up && (last > best || (r.floor && *r.floor > best))) continue;
    ++count;
    lost_power = lost_power || (!r.intact && c.config.write_cache == WriteCache::writeback);
  }
  const std::size_t needed = c.config.policy == Policy::in_sync
                                 ? 1
                                 : c.config.members.size() - (c.config.members.size() / 2 + 1) + 1;
  if (count < needed) return std::nullopt;
  return Choice{PromotionKind::promote, winner.replica, lost_power};
}

Choice twin(const Case& c) {
  std::vector<ReplicaFacts> reports;
  for (const ReplicaId member : c.config.members) {
    std::optional<ReplicaFacts> last;
    for (const FenceReport& r : c.reports) {
      if (r.epoch == pending && r.facts.replica == member) last = r.facts;
    }
    if (last) reports.push_back(*last);
  }
  for (const ReplicaFacts& r : reports) {
    if (r.seen_revision > c.record_revision) return {PromotionKind::record_too_old, {}};
  }
  const bool everybody = reports.size() == c.config.members.size();
  if (const auto choice = elect(c, reports, false)) {
    if (everybody || c.since_enough.value() >= 200) return *choice;
    return {PromotionKind::wait_for_more, {}};
  }
  if (const auto choice = elect(c, reports, true)) {
    if (everybody || c.since_fence.value() >= 30'000) return *choice;
    return {PromotionKind::wait_for_settle, {}};
  }
  return {everybody ? PromotionKind::impossible : PromotionKind::wait, {}};
}

// --- generators ---

bool one_in(int n) { return any_in(0, n) == 0; }

Position any_position() {
  return Position{Term{any_in<std::uint64_t>(1, 4)},
                  Lsn{any_in<std::uint64_t>(1, 6)}};
}

FenceReport report_of(ReplicaId replica, const Position& last) {
  FenceReport report;
  report.epoch = pending;
  report.facts.replica = replica;
  report.facts.process_start = ProcessStart{replica.value() * 7};
  report.facts.last_term = last.term;
  report.facts.marks.written = last.lsn;
  report.facts.marks.durable = Lsn{any_in<std::uint64_t>(0, last.lsn.value() + 1)};
  report.facts.intact = true;
  return report;
}

Configuration any_config() {
  Configuration config;
  config.policy = *rc::gen::element(Policy::quorum, Policy::in_sync);
  const auto members = any_in<std::size_t>(1, 6);
  for (std::size_t i = 1; i <= members; ++i) {
    config.members.push_back(ReplicaId{i});
    if (!one_in(3)) config.in_sync.push_back(ReplicaId{i});
  }
  if (config.in_sync.empty()) config.in_sync.push_back(ReplicaId{1});
  config.min_in_sync = static_cast<std::uint8_t>(any_in<std::size_t>(1, members + 1));
  if (one_in(4)) config.write_cache = WriteCache::none;
  return config;
}

Case any_case() {
  Case c;
  c.config = any_config();
  for (const ReplicaId member : c.config.members) {
    if (one_in(4)) continue;
    FenceReport report = report_of(member, any_position());
    report.facts.intact = !one_in(4);
    if (one_in(4)) report.facts.floor = any_position();
    if (one_in(5)) report.facts.marker = RebuildMarker{};
    if (one_in(8)) report.facts.damage = Damage::base_untrusted;
    if (one_in(8)) report.epoch = Epoch{8};  // of an earlier pending epoch: void
    if (one_in(12)) report.facts.seen_revision = Revision{6};
    c.reports.push_back(report);
  }
  c.since_fence = *rc::gen::element(Duration{0}, Duration{29'999}, Duration{30'000});
  c.since_enough = *rc::gen::element(Duration{0}, Duration{199}, Duration{200});
  return c;
}

RC_GTEST_PROP(PromotionTwin, P57_P59_P61_P63_P67_the_choice_is_the_twins, ()) {
  const Case c = any_case();
  const PromotionDecision decision = decide(c);
  const Choice expected = twin(c);
  RC_ASSERT(decision.kind == expected.kind);
  if (decision.kind != PromotionKind::promote) return;
  RC_ASSERT(decision.winner == expected.winner);
  RC_ASSERT(decision.after_power_loss == expected.after_power_loss);
}

RC_GTEST_PROP(PromotionTwin, P63_any_order_of_reports_gives_the_same_choice, ()) {
  Case c = any_case();
  const PromotionDecision first = decide(c);
  for (std::size_t i = c.reports.size(); i > 1; --i) {
    std::swap(c.reports[i - 1], c.reports[any_in<std::size_t>(0, i)]);
  }
  const PromotionDecision second = decide(c);
  RC_ASSERT(first.kind == second.kind);
  RC_ASSERT(first.winner == second.winner);
  RC_ASSERT(first.config == second.config);
}

// What a write quorum (or the whole in-sync set) holds, or held and gave up with a floor, survives
// every decision to promote, whichever reports are there.
RC_GTEST_PROP(PromotionTwin, P56_P60_P62_P157_no_promotion_loses_what_could_complete, ()) {
  Case c;
  c.config = any_config();
  const Position completed{Term{2}, Lsn{4}};
  std::vector<ReplicaId> holders;
  if (c.config.policy == Policy::in_sync) {
    holders.assign(c.config.in_sync.begin(), c.config.in_sync.end());
  } else {
    holders.assign(c.config.members.begin(), c.config.members.end());
    while (holders.size() > write_quorum(c.config.members.size())) {
      holders.erase(holders.begin() +
                    any_in<std::ptrdiff_t>(0, static_cast<std::ptrdiff_t>(holders.size())));
    }
  }
  bool power_lost = false;
  for (const ReplicaId member : c.config.members) {
    if (one_in(3)) continue;  // silent
    const bool holder = std::count(holders.begin(), holders.end(), member) > 0;
    const Position beyond = *rc::gen::element(completed, Position{Term{2}, Lsn{5}},
                                              Position{Term{3}, Lsn{5}});
    const Position below = *rc::gen::element(Position{Term{1}, Lsn{5}}, Position{Term{2}, Lsn{3}},
                                             Position{Term{1}, Lsn{1}});
    FenceReport report = report_of(member, holder ? beyond : below);
    if (holder && one_in(4)) {  // in a rebuild: anything, and the floor of what it gave up
      report = report_of(member, any_position());
      report.facts.floor = beyond;
      report.facts.marker = RebuildMarker{};
    } else if (holder && one_in(4) && c.config.write_cache == WriteCache::writeback) {
      report = report_of(member, below);  // the unflushed tail went with the power
      report.facts.intact = false;
      power_lost = true;
    }
    c.reports.push_back(report);
  }
  c.since_fence = *rc::gen::element(Duration{0}, Duration{30'000});
  c.since_enough = Duration{200};
  const PromotionDecision decision = decide(c);
  if (decision.kind != PromotionKind::promote) return;
  if (decision.winner_position >= completed) return;
  // Lost only after a power loss of holders, and then it is said aloud: clients get EIO.
  RC_ASSERT(power_lost);
  RC_ASSERT(decision.after_power_loss);
}

RC_GTEST_PROP(PromotionTwin, P42_the_new_set_is_who_qualified_or_as_it_was, ()) {
  const Case c = any_case();
  const PromotionDecision decision = decide(c);
  if (decision.kind != PromotionKind::promote || c.config.policy == Policy::quorum) return;
  RC_ASSERT(decision.config.in_sync.contains(decision.winner));
  for (const ReplicaId id : decision.config.in_sync) RC_ASSERT(c.config.in_sync.contains(id));
  RC_ASSERT(decision.config.in_sync.size() >= c.config.min_in_sync ||
            decision.config.in_sync == c.config.in_sync);
  Configuration same = decision.config;
  same.in_sync = c.config.in_sync;
  RC_ASSERT(same == c.config);
}

}  // namespace
}  // namespace seawall
