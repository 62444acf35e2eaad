#include "sim/generations/generations.h"

#include <array>

namespace seawall::sim {
namespace {

Plan refused() { return Plan{PlanKind::refuse, Lsn{}, true, "another incarnation"}; }
Plan whole(const char* reason) { return Plan{PlanKind::full, Lsn{}, false, reason}; }

// --- v1 ---

LogWay no_way(const Plan&, const Acquaintance&) { return LogWay::none; }

// Its log is not compared with anything. Who was lost in this epoch is copied anew.
Plan plan_v1(const PrimaryFacts& primary, const ReplicaFacts& replica, const Acquaintance& known) {
  if (replica.incarnation != primary.incarnation) return refused();
  if (replica.marker) return whole("a copy was interrupted");
  if (known.met) return whole("it was away");
  if (replica.marks.written < primary.trimmed) return whole("too far behind");
  return Plan{PlanKind::attach, replica.marks.written, false, "in sync as it is"};
}

using Better = bool (*)(const ReplicaFacts& a, const ReplicaFacts& b);

// One word is enough, whatever it stands on.
PromotionDecision promote_best(const PromotionFacts& facts, Better better) {
  PromotionDecision decision;
  decision.reason = "nobody has said anything";
  const ReplicaFacts* best = nullptr;
  ReplicaSet heard;
  for (const ReplicaId member : facts.config->members) {
    for (const FenceReport& report : facts.reports) {
      if (report.facts.replica != member) continue;
      if (facts.config->in_sync.contains(member)) heard.push_back(member);
      if (facts.config->policy == Policy::in_sync && !facts.config->in_sync.contains(member)) {
        continue;
      }
      if (best == nullptr || better(report.facts, *best)) best = &report.facts;
    }
  }
  if (best == nullptr) return decision;
  decision.kind = PromotionKind::promote;
  decision.winner = best->replica;
  decision.winner_start = best->process_start;
  decision.config = *facts.config;
  if (decision.config.policy == Policy::in_sync && heard.size() >= decision.config.min_in_sync &&
      !heard.empty()) {
    decision.config.in_sync = heard;
  }
  decision.reason = "the best that was heard";
  return decision;
}

PromotionDecision promote_v1(const PromotionFacts& facts) {
  return promote_best(facts, [](const ReplicaFacts& a, const ReplicaFacts& b) {
    return a.marks.written > b.marks.written;
  });
}

// --- v1_5 ---

LogWay unreserved(const Plan&, const Acquaintance&) { return LogWay::unreserved; }

// By the raw lsn: the same number is the same history.
Plan plan_v1_5(const PrimaryFacts& primary, const ReplicaFacts& replica,
               const Acquaintance& known) {
  if (replica.incarnation != primary.incarnation) return refused();
  if (replica.marker) return whole("a copy was interrupted");
  const Lsn end = replica.marks.written;
  if (end > primary.log.end) return whole("ahead");
  if (end == primary.log.end) return Plan{PlanKind::attach, end, false, "equal lsn"};
  if (!known.met && end > primary.stable && primary.stable >= replica.marks.applied) {
    return Plan{PlanKind::rewind, primary.stable, false, "beyond the known commit"};
  }
  return Plan{PlanKind::catch_up, end, false, "behind"};
}

PromotionDecision promote_v1_5(const PromotionFacts& facts) {
  return promote_best(facts, [](const ReplicaFacts& a, const ReplicaFacts& b) {
    if (a.seen_epoch != b.seen_epoch) return a.seen_epoch > b.seen_epoch;
    return a.marks.written > b.marks.written;
  });
}

}  // namespace

const Generation generation_v1{
    .name = "v1",
    .can_attempt_catchup = no_way,
    .catchup_convergence = SpaceRule::absent_at_once,
    .recoverability = {plan_v1, false, true},
    .restart_rejoin = {.waits_for_assignment = true, .keeps_marker = true},
    .promotion = {promote_v1, false, false, false},
};

const Generation generation_v1_5{
    .name = "v1_5",
    .can_attempt_catchup = unreserved,
    .catchup_convergence = SpaceRule::never,
    .recoverability = {plan_v1_5, false, true},
    .restart_rejoin = {.waits_for_assignment = false, .keeps_marker = false},
    .promotion = {promote_v1_5, false, false, false},
};

std::span<const Generation* const> all_generations() {
  static constexpr std::array<const Generation*, 3> all = {&generation_v1, &generation_v1_5,
                                                           &generation_v2};
  return all;
}

}  // namespace seawall::sim
