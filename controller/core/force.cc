#include "controller/core/force.h"

#include <algorithm>

#include "controller/core/change.h"
#include "controller/core/failover.h"

namespace seawall::controller {
namespace {

constexpr std::size_t words_max = 256;  // of who and why
constexpr std::size_t left_out_max = 64;

const NodeSeen* node_named(const NodesSeen& nodes, const std::string& name) {
  for (const auto& [id, node] : nodes) {
    if (node.record.name == name) return &node;
  }
  return nullptr;
}

const ReplicaRecord* replica_on(const VolumeRecord& record, NodeId node) {
  for (const ReplicaRecord& replica : record.replicas) {
    if (replica.node == node && record.is_member(replica.id)) return &replica;
  }
  return nullptr;
}

std::optional<Refusal> judge_words(const ForceVolume& request) {
  const auto bad = [](const std::string& text) { return text.empty() || text.size() > words_max; };
  const std::string wanted =
      "say it in 1 to " + std::to_string(words_max) + " bytes: it is recorded";
  if (bad(request.who)) {
    return refuse(RefusalCode::invalid_argument, "who", request.who.substr(0, 32), wanted);
  }
  if (bad(request.why)) {
    return refuse(RefusalCode::invalid_argument, "why", request.why.substr(0, 32), wanted);
  }
  if (request.nodes.empty()) {
    return refuse(RefusalCode::invalid_argument, "members", "",
                  "name the nodes whose replicas are to be the members from now on");
  }
  return std::nullopt;
}

// The greatest position that anybody outside the named set is known to hold, or to have held.
std::optional<Position> known_beyond(const VolumeRecord& record, const ForceOrder& order,
                                     const VolumeSeen& seen) {
  std::optional<Position> known;
  const auto note = [&known](const Position& position) {
    if (!known || position > *known) known = position;
  };
  for (const auto& [id, heard] : seen.replicas) {
    if (heard.report && heard.report->facts.floor) note(*heard.report->facts.floor);
    if (order.members.contains(id)) continue;
    if (heard.report) note(position_of(heard.report->facts));
    const bool led = heard.status && heard.status->role == Role::primary &&
                     heard.status->epoch == record.epoch && heard.status->committed;
    if (led) note(Position{heard.status->epoch, heard.status->marks.written});
  }
  return known;
}

}  // namespace

ForceJudged judge_force(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                        const ForceVolume& request, Instant now, const Options& options) {
  ForceJudged judged;
  judged.refusal = judge_words(request);
  if (judged.refusal) return judged;
  if (is_acknowledged(record, seen, nodes, Revision(0)) &&
      is_alive(nodes, record.replica(record.primary)->node, now, options)) {
    judged.refusal = refuse(RefusalCode::still_serving, "volume", record.name,
                            "it serves; force is for when no promotion is allowed");
    return judged;
  }
  if (record.left_out.size() + record.config.members.size() > left_out_max) {
    judged.refusal = refuse(RefusalCode::busy, "volume", record.name,
                            "too many replicas have been left out of it by force; copy it to a new "
                            "volume");
    return judged;
  }
  ForceOrder& order = judged.order;
  for (const std::string& name : request.nodes) {
    const NodeSeen* node = node_named(nodes, name);
    const ReplicaRecord* replica =
        node == nullptr ? nullptr : replica_on(record, node->record.id);
    if (replica == nullptr) {
      judged.refusal = refuse(RefusalCode::not_found, "members", name,
                              "name nodes that hold a member of volume " + record.name);
      return judged;
    }
    if (node->session == 0 || !is_alive(nodes, node->record.id, now, options)) {
      judged.refusal = refuse(RefusalCode::not_ready, "members", name,
                              "it is not alive, start it or leave it out");
      return judged;
    }
    if (order.members.contains(replica->id)) continue;
    std::size_t place = 0;
    while (place < order.members.size() && order.members[place] < replica->id) ++place;
    order.members.insert_at(place, replica->id);
  }
  order.operation = request.operation;
  order.who = request.who;
  order.why = request.why;
  order.asked_ms = request.asked_ms;
  order.old_primary_stopped = request.old_primary_stopped;
  return judged;
}

Change begin_force(const VolumeRecord& record, const ForceOrder& order) {
  VolumeRecord next = record.pending ? record : with_pending_epoch(record);
  next.move.reset();
  next.force = order;
  return make_change(std::move(next), "force_ordered", "");
}

PromotionDecision choose_forced(const VolumeRecord& record,
                                const std::vector<FenceReport>& reports) {
  ForceFacts facts;
  facts.config = &record.config;
  facts.pending = *record.pending;
  facts.record_epoch = record.greatest_epoch();
  facts.record_revision = record.revision;
  facts.reports = reports;
  facts.named = record.force->members;
  facts.old_primary_stopped = record.force->old_primary_stopped;
  return decide_force(facts);
}

void settle_force(const VolumeRecord& record, const VolumeSeen& seen,
                  const PromotionDecision& decision, VolumeRecord& next) {
  ForceOutcome outcome;
  outcome.order = *next.force;
  outcome.epoch = next.epoch;
  outcome.kept = decision.winner_position;
  outcome.known = known_beyond(record, outcome.order, seen);
  const ReplicaSet members = record.config.members;
  // Newcomers of a wish are not left out: they go with it.
  const auto stays = [&](const ReplicaRecord& replica) {
    return outcome.order.members.contains(replica.id) || !members.contains(replica.id);
  };
  const auto first = std::stable_partition(next.replicas.begin(), next.replicas.end(), stays);
  next.left_out.insert(next.left_out.end(), first, next.replicas.end());
  next.replicas.erase(first, next.replicas.end());
  next = without_wish(std::move(next));
  next.forced = std::move(outcome);
  next.force.reset();
}

void withdraw_force(const VolumeRecord& record, const PromotionDecision& decision, Plan& plan) {
  VolumeRecord next = record;
  next.force.reset();
  plan.order_failed = decision.reason;
  plan.deliveries.clear();
  plan.change =
      make_change(std::move(next), "force_refused", decision.reason);
}

}  // namespace seawall::controller
