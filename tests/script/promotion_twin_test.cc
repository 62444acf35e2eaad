// The election against a twin written from protocol.md section 5.4, and against what it is for: no
// promotion may lose what could have completed.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <tuple>
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
  std::optional<ReplicaId> target;  // of a planned move
  ReplicaId incumbent;
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
  facts.target = c.target;
  facts.incumbent = c.incumbent;
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

std::size_t needed_of(const Configuration& config) {
  return config.policy == Policy::in_sync
             ? 1
             : config.members.size() - (config.members.size() / 2 + 1) + 1;
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
  if (count < needed_of(c.config)) return std::nullopt;
  return Choice{PromotionKind::promote, winner.replica, lost_power};
}

// "with the target as the only candidate": could `who` lead, by those whose all it holds?
bool could_lead(const Case& c, const std::vector<ReplicaFacts>& reports, ReplicaId who) {
  const auto found = std::find_if(reports.begin(), reports.end(),
                                  [&](const ReplicaFacts& r) { return r.replica == who; });
  if (found == reports.end() || below_floor_or_marked(*found)) return false;
  if (c.config.policy == Policy::in_sync && !c.config.in_sync.contains(who)) return false;
  const auto intact = [&](const ReplicaFacts& r) {
    return r.intact || c.config.write_cache == WriteCache::none;
  };
  if (!intact(*found)) return false;
  const Position all{found->last_term, found->marks.written};
  const auto count = std::count_if(reports.begin(), reports.end(), [&](const ReplicaFacts& r) {
    return intact(r) && Position{r.last_term, r.marks.written} <= all &&
           (!r.floor || *r.floor <= all);
  });
  return static_cast<std::size_t>(count) >= needed_of(c.config);
}

// Section 5.8: "if it does not win, the old one continues under the new epoch; if that one is gone,
// a plain failover with a higher epoch".
Choice twin_of_a_move(const Case& c, const std::vector<ReplicaFacts>& reports) {
  const bool everybody = reports.size() == c.config.members.size();
  const bool waited = everybody || c.since_enough.value() >= 200;
  if (could_lead(c, reports, *c.target)) {
    if (waited || c.config.policy == Policy::quorum) return {PromotionKind::promote, *c.target};
    return {PromotionKind::wait_for_more, {}};
  }
  if (could_lead(c, reports, c.incumbent)) {
    if (waited) return {PromotionKind::promote, c.incumbent};
    return {PromotionKind::wait_for_more, {}};
  }
  const bool over = everybody || c.since_fence.value() >= 2'000;
  return {over ? PromotionKind::move_failed : PromotionKind::wait, {}};
}

std::vector<ReplicaFacts> promised_reports(const Case& c) {
  std::vector<ReplicaFacts> reports;
  for (const ReplicaId member : c.config.members) {
    std::optional<ReplicaFacts> last;
    for (const FenceReport& r : c.reports) {
      if (r.epoch == pending && r.facts.replica == member) last = r.facts;
    }
    if (last) reports.push_back(*last);
  }
  return reports;
}

Choice twin(const Case& c) {
  const std::vector<ReplicaFacts> reports = promised_reports(c);
  for (const ReplicaFacts& r : reports) {
    if (r.seen_revision > c.record_revision) return {PromotionKind::record_too_old, {}};
  }
  if (c.target) return twin_of_a_move(c, reports);
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

ReplicaId any_member(const Configuration& config) {
  return config.members[any_in<std::size_t>(0, config.members.size())];
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
  if (one_in(3)) {
    c.target = any_member(c.config);
    c.incumbent = any_member(c.config);
    c.since_fence = *rc::gen::element(Duration{0}, Duration{1'999}, Duration{2'000});
  }
  return c;
}

RC_GTEST_PROP(PromotionTwin, P57_P59_P61_P63_P66_P67_the_choice_is_the_twins, ()) {
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
RC_GTEST_PROP(PromotionTwin, P56_P60_P62_P66_P157_no_promotion_loses_what_could_complete, ()) {
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
  if (one_in(3)) {
    c.target = any_member(c.config);
    c.incumbent = any_member(c.config);
  }
  const PromotionDecision decision = decide(c);
  if (decision.kind != PromotionKind::promote) return;
  if (decision.winner_position >= completed) return;
  // Lost only after a power loss of holders, never by a move, and then it is said aloud: clients
  // get EIO.
  RC_ASSERT(!c.target);
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

// --- force: sections 5.5 and 5.4, with the marked left out until single blocks can be unreadable
// ---

RC_GTEST_PROP(PromotionTwin, P68_P76_force_asks_the_named_and_the_promises_of_the_others, ()) {
  Case c = any_case();
  ForceFacts facts;
  facts.config = &c.config;
  facts.pending = pending;
  facts.record_epoch = pending;
  facts.record_revision = c.record_revision;
  facts.reports = c.reports;
  facts.old_primary_stopped = one_in(2);
  for (const ReplicaId member : c.config.members) {
    if (one_in(2)) facts.named.push_back(member);
  }
  if (facts.named.empty()) facts.named.push_back(c.config.members[0]);
  const PromotionDecision decision = decide_force(facts);

  const std::vector<ReplicaFacts> reports = promised_reports(c);
  std::optional<ReplicaFacts> best;
  std::size_t named = 0;
  bool too_old = false;
  for (const ReplicaFacts& r : reports) {
    too_old = too_old || r.seen_revision > c.record_revision;
    if (!facts.named.contains(r.replica)) continue;
    ++named;
    if (r.marker || r.damage == Damage::base_untrusted) continue;
    const auto rank = [](const ReplicaFacts& each) {
      return std::tuple(each.last_term, each.marks.written, each.marks.durable,
                        ~each.replica.value());
    };
    if (!best || rank(r) > rank(*best)) best = r;
  }
  const bool others = reports.size() == c.config.members.size() || facts.old_primary_stopped;
  if (too_old) {
    RC_ASSERT(decision.kind == PromotionKind::record_too_old);
  } else if (named < facts.named.size() || !others) {
    RC_ASSERT(decision.kind == PromotionKind::wait);
  } else if (!best) {
    RC_ASSERT(decision.kind == PromotionKind::impossible);
  } else {
    RC_ASSERT(decision.kind == PromotionKind::promote);
    RC_ASSERT(decision.winner == best->replica);
    RC_ASSERT(decision.config.members == facts.named);
    RC_ASSERT(decision.config.min_in_sync <= facts.named.size());
    RC_ASSERT(decision.config.min_in_sync >= 1);
  }
}

}  // namespace
}  // namespace seawall
