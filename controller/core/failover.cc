#include "controller/core/failover.h"

#include <algorithm>
#include <vector>

#include "controller/core/change.h"
#include "controller/core/force.h"
#include "controller/core/openings.h"
#include "engine/base/mutant.h"
#include "engine/promotion.h"
#include "engine/quorum.h"

namespace seawall::controller {

namespace {

// A primary that leaves waits for the others for so long: their grants to it run out first.
constexpr Duration hand_over_wait{3 * limits::lease_ms};

}  // namespace

const ReplicaStatus* fresh_status(const ReplicaRecord& replica, const VolumeSeen& seen,
                                  const NodesSeen& nodes, Instant now, const Options& options) {
  const ReplicaSeen* heard = seen.find(replica.id);
  if (heard == nullptr || !heard->status) return nullptr;
  const auto node = nodes.find(replica.node);
  if (node == nodes.end() || node->second.session == 0) return nullptr;
  if (heard->status_session != node->second.session) return nullptr;
  if (now > heard->status_at + options.suspicion) return nullptr;
  return &*heard->status;
}

namespace {

struct Probe {
  bool enough = false;   // members that answer suffice for a promotion
  bool granted = false;  // one of them still grants to the primary of the present epoch
};

Probe probe_members(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                    Instant now, const Options& options) {
  Probe probe;
  std::size_t answers = 0;
  for (const ReplicaRecord& replica : record.replicas) {
    if (!record.is_member(replica.id) || replica.id == record.primary) continue;
    const ReplicaStatus* status = fresh_status(replica, seen, nodes, now, options);
    if (status == nullptr || status->log_failed) continue;
    if (is_doubted(replica, seen.find(replica.id))) continue;  // its report would not count
    // From before the question it is no answer: a grant may have been given since.
    if (!seen.suspected_since || seen.find(replica.id)->status_at < *seen.suspected_since) continue;
    if (status->epoch == record.epoch && status->grants_primary.value_or(false)) {
      probe.granted = true;
    }
    const bool may_vote =
        record.config.policy == Policy::quorum || record.config.in_sync.contains(replica.id);
    if (may_vote) ++answers;
  }
  const std::size_t needed = record.config.policy == Policy::quorum
                                 ? read_quorum(record.config.members.size())
                                 : std::size_t{1};
  probe.enough = answers >= needed;
  return probe;
}

FailoverReason suspect(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                       Instant now, const Options& options, const char* text) {
  if (!options.generation->promotion.probes) return FailoverReason{true, text, ""};
  const Probe probe = probe_members(record, seen, nodes, now, options);
  if (probe.granted) {
    return FailoverReason{false, "", "the primary is silent, but its replicas still hear it", true};
  }
  if (!probe.enough) {
    return FailoverReason{false, "",
                          "the primary is silent, and too few replicas could replace it", true};
  }
  return FailoverReason{true, text, "", true};
}

// A reason that the primary's own side gives; empty: none.
std::string own_reason(const VolumeRecord& record, const VolumeSeen& seen, const NodeSeen& node,
                       const ReplicaStatus* status) {
  // A start of the primary's process is a new epoch, however fast it was (trap 41).
  if (node.session != 0 && node.record.process_start != record.primary_node_start &&
      !MUTANT(M23)) {
    return "primary_restarted";
  }
  if (seen.failover_epoch == record.epoch) return "primary_asks";
  if (status == nullptr || status->epoch != record.epoch) return "";
  if (status->log_failed) return "primary_log_failed";
  if (status->role == Role::stepped_down) return "primary_stepped_down";
  // It has the assignment and is not what it says: it refused, and that word was lost.
  if (status->role == Role::replica) return "primary_not_in_office";
  return "";
}

}  // namespace

bool is_cut_off(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                Instant now, const Options& options) {
  if (record.state != VolumeState::ready || record.pending) return false;
  const bool quorum = record.config.policy == Policy::quorum;
  std::size_t lost = 0;
  for (const ReplicaRecord& replica : record.replicas) {
    if (!record.is_member(replica.id) || replica.id == record.primary) continue;
    const ReplicaStatus* status = fresh_status(replica, seen, nodes, now, options);
    if (status == nullptr || status->log_failed || status->epoch != record.epoch) continue;
    if (!status->grants_primary) continue;  // it cannot say
    if (*status->grants_primary) return false;
    if (quorum || record.config.in_sync.contains(replica.id)) ++lost;
  }
  const std::size_t needed = quorum ? write_quorum(record.config.members.size())
                                    : std::max<std::size_t>(1, record.config.min_in_sync);
  return lost >= needed;
}

FailoverReason failover_reason(const VolumeRecord& record, const VolumeSeen& seen,
                               const NodesSeen& nodes, Instant now, const Options& options) {
  CHECK(!record.pending);
  const ReplicaRecord* primary = record.replica(record.primary);
  CHECK(primary != nullptr);  // a ready record without a pending epoch has been assigned
  const auto node = nodes.find(primary->node);
  if (node == nodes.end()) return suspect(record, seen, nodes, now, options, "primary_unknown");
  const ReplicaStatus* status = fresh_status(*primary, seen, nodes, now, options);
  const std::string own = own_reason(record, seen, node->second, status);
  if (!own.empty()) {
    if (now < seen.failover_not_before) {
      return FailoverReason{false, "", "the last failover was a moment ago"};
    }
    return FailoverReason{true, own, ""};
  }
  if (!is_alive(nodes, primary->node, now, options)) {
    return suspect(record, seen, nodes, now, options, "primary_silent");
  }
  // Its node is there, but has not named it for as long as silence would take.
  const ReplicaSeen* heard = seen.find(primary->id);
  const bool named =
      heard != nullptr && heard->status && now <= heard->status_at + options.suspicion;
  if (node->second.session != 0 && !named &&
      (heard == nullptr || now > heard->sent.at + options.suspicion)) {
    return suspect(record, seen, nodes, now, options, "primary_missing");
  }
  return FailoverReason{};
}

void plan_probe(const VolumeRecord& record, const VolumeSeen& seen, Instant now,
                const Options& options, Plan& plan) {
  if (seen.suspected_since && now < seen.probed_at + options.resend) return;
  for (const ReplicaRecord& replica : record.replicas) {
    if (!record.is_member(replica.id) || replica.id == record.primary) continue;
    plan.deliveries.push_back(
        Delivery{replica.node, control::Probe{record.id}, std::nullopt, std::nullopt});
  }
}

namespace {

void deliver_fences(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                    Instant now, const Options& options, Plan& plan) {
  for (const ReplicaRecord& replica : record.replicas) {
    if (!record.is_member(replica.id)) continue;
    const ReplicaSeen* heard = seen.find(replica.id);
    if (heard != nullptr && heard->report) continue;
    if (!is_due(mark_of(seen, replica.id), nodes, replica.node, record.version(), now,
                options.resend)) {
      continue;
    }
    plan.deliveries.push_back(Delivery{
        replica.node,
        control::Fence{FenceRequest{record.id, replica.id, *record.pending, record.revision}},
        replica.id, std::nullopt});
  }
}

// Members that have not reported and may yet do so: only for them is a better report waited for.
bool more_may_come(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                   Instant now, const Options& options) {
  for (const ReplicaRecord& replica : record.replicas) {
    if (!record.is_member(replica.id)) continue;
    const ReplicaSeen* heard = seen.find(replica.id);
    if (heard != nullptr && heard->report) continue;
    if (is_alive(nodes, replica.node, now, options)) return true;
  }
  return false;
}

std::string fields_of(const PromotionDecision& decision) {
  return "primary=" + std::to_string(decision.winner.value()) +
         " term=" + std::to_string(decision.winner_position.term.value()) +
         " lsn=" + std::to_string(decision.winner_position.lsn.value()) +
         (decision.after_power_loss ? " after_power_loss=1" : "");
}

}  // namespace

namespace {

std::vector<FenceReport> usable_reports(const VolumeRecord& record, const VolumeSeen& seen,
                                        bool without_asker) {
  std::vector<FenceReport> reports;
  for (const auto& [replica, heard] : seen.replicas) {
    if (!heard.report || !record.is_member(replica)) continue;
    if (heard.status && heard.status->log_failed) continue;  // its disk cannot carry a primary
    if (without_asker && replica == record.primary) continue;
    // An operator who forces has the word: a doubted copy may be all that is left.
    if (!record.force && is_doubted(*record.replica(replica), heard, *heard.report)) continue;
    reports.push_back(*heard.report);
  }
  return reports;
}

// An older generation's word: what was said in passing, behind no promise.
std::vector<FenceReport> positions_of_heartbeats(const VolumeRecord& record,
                                                 const VolumeSeen& seen, const NodesSeen& nodes,
                                                 Instant now, const Options& options) {
  std::vector<FenceReport> reports;
  for (const ReplicaRecord& replica : record.replicas) {
    const ReplicaStatus* status = fresh_status(replica, seen, nodes, now, options);
    if (status == nullptr || status->log_failed || !record.is_member(replica.id)) continue;
    FenceReport report;
    report.volume = record.id;
    report.epoch = *record.pending;
    report.facts.replica = replica.id;
    report.facts.process_start = nodes.at(replica.node).record.process_start;
    report.facts.seen_epoch = status->epoch;
    report.facts.marks = status->marks;
    reports.push_back(report);
  }
  return reports;
}

// A planned move has one candidate; the primary that asked to be replaced wins again only if nobody
// else can: a report that is set aside is one that has not come.
PromotionDecision choose(const VolumeRecord& record, const VolumeSeen& seen, PromotionFacts facts,
                         const Promotion& promotion) {
  const std::vector<FenceReport> all = usable_reports(record, seen, false);
  if (record.force) return choose_forced(record, all);
  if (record.move) {
    facts.target = record.move->target;
    facts.incumbent = record.primary;
    facts.reports = all;
    return promotion.decide(facts);
  }
  const bool asked = record.epoch != Epoch(0) && seen.failover_epoch == record.epoch;
  if (asked || primary_leaves(record)) {
    const std::vector<FenceReport> others = usable_reports(record, seen, true);
    facts.reports = others;
    const PromotionDecision decision = promotion.decide(facts);
    // Who grants reports a lease later than the primary itself, and one report may be enough.
    const bool others_may_come = primary_leaves(record) && facts.since_fence < hand_over_wait;
    if (decision.kind == PromotionKind::promote || decision.kind == PromotionKind::wait_for_more ||
        others_may_come) {
      return decision;
    }
  }
  facts.reports = all;
  return promotion.decide(facts);
}

void plan_assignment(const VolumeRecord& record, const VolumeSeen& seen,
                     const PromotionDecision& decision, bool fences, Plan& plan) {
  CHECK(record.replica(decision.winner) != nullptr);
  VolumeRecord next = record;
  next.epoch = *record.pending;
  next.pending.reset();
  next.config = decision.config;
  next.primary = decision.winner;
  next.winner_start = decision.winner_start;
  next.winner_position = decision.winner_position;
  next.after_power_loss = decision.after_power_loss;
  next.primary_node_start =
      fences ? seen.find(decision.winner)->report_node_start : decision.winner_start;
  if (next.force) settle_force(record, seen, decision, next);
  if (next.move && next.move->target != next.primary) {
    plan.order_failed = "the replica there did not win, the old primary goes on";
  }
  next.move.reset();
  plan.change = make_change(std::move(next), "assigned", fields_of(decision));
  plan.deliveries.clear();
}

}  // namespace

void plan_fencing(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                  Instant now, const Options& options, Plan& plan) {
  CHECK(record.pending);
  if (options.generation->promotion.fences) {
    deliver_fences(record, seen, nodes, now, options, plan);
  }
  PromotionFacts facts;
  facts.config = &record.config;
  facts.pending = *record.pending;
  facts.record_epoch = record.greatest_epoch();
  facts.record_revision = record.revision;
  facts.since_fence = now - seen.pending_since;
  facts.since_enough = seen.enough_since ? now - *seen.enough_since : Duration(0);
  if (seen.enough_since && !more_may_come(record, seen, nodes, now, options)) {
    facts.since_enough = Duration(limits::choice_wait_ms_max);
  }
  const Promotion& promotion = options.generation->promotion;
  PromotionDecision decision;
  if (promotion.fences) {
    decision = choose(record, seen, facts, promotion);
  } else {
    const auto said = positions_of_heartbeats(record, seen, nodes, now, options);
    facts.reports = said;
    decision = promotion.decide(facts);
  }
  plan.waiting = decision.reason;
  plan.reports_enough = decision.kind == PromotionKind::wait_for_more;
  if (decision.kind == PromotionKind::promote) {
    plan_assignment(record, seen, decision, promotion.fences, plan);
  } else if (decision.kind == PromotionKind::impossible && record.force) {
    withdraw_force(record, decision, plan);
  } else if (decision.kind == PromotionKind::move_failed) {
    plan.order_failed = "neither the replica there nor the old primary could lead";
    plan.change = make_change(with_pending_epoch(record), "fencing", "reason=move_failed");
    plan.deliveries.clear();
  }
}

}  // namespace seawall::controller
