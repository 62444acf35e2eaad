#include "controller/core/plan.h"

#include <algorithm>

#include "controller/core/change.h"
#include "controller/core/failover.h"
#include "controller/core/fields.h"
#include "controller/core/move.h"
#include "controller/core/openings.h"
#include "controller/core/troubles.h"
#include "engine/base/limits.h"
#include "engine/config_change.h"

namespace seawall::controller {
namespace {

constexpr std::uint64_t slow_resends = 10;

Plan plan_creating(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                   Instant now, const Options& options) {
  Plan plan;
  plan.waiting = "its replicas are being made";
  std::size_t made = 0;
  const Duration resend = slow_resend(options);
  std::string failure;
  for (const ReplicaRecord& replica : record.replicas) {
    const ReplicaSeen* heard = seen.find(replica.id);
    if (heard != nullptr && heard->created) {
      ++made;
      continue;
    }
    if (heard != nullptr && !heard->create_error.empty() && failure.empty()) {
      const auto at = nodes.find(replica.node);
      failure = "node " + (at == nodes.end() ? std::string("?") : at->second.record.name) +
                " cannot make its replica: " + heard->create_error;
    }
    if (!is_due(mark_of(seen, replica.id), nodes, replica.node, record.version(), now, resend)) {
      continue;
    }
    plan.deliveries.push_back(make_create(record, replica));
  }
  if (made == record.replicas.size()) {
    VolumeRecord next = with_pending_epoch(record);
    next.state = VolumeState::ready;
    plan.change = make_change(std::move(next), "ready", "replicas=" + std::to_string(made));
    return plan;
  }
  if (failure.empty() && now >= seen.creating_since + options.create_limit) {
    failure = std::to_string(record.replicas.size() - made) + " of " +
              std::to_string(record.replicas.size()) + " replicas were not made in time";
  }
  if (!failure.empty()) {  // undone whole: nothing half-made stays behind
    VolumeRecord next = record;
    next.state = VolumeState::deleting;
    next.reason = failure;
    plan.deliveries.clear();
    plan.change = make_change(std::move(next), "create_failed", "made=" + std::to_string(made));
  }
  return plan;
}

Plan plan_deleting(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                   Instant now, const Options& options) {
  Plan plan;
  plan.waiting = "its replicas are being deleted";
  VolumeRecord next = record;
  erase_deleted(next.replicas, seen);
  if (next.replicas.empty()) {
    Change change = make_change(std::move(next), "deleted", "");
    change.next.reset();
    plan.change = std::move(change);
    return plan;
  }
  if (next.replicas.size() != record.replicas.size()) {
    const std::string left = std::to_string(next.replicas.size());
    plan.change = make_change(std::move(next), "replicas_deleted", "left=" + left);
    return plan;
  }
  deliver_deletes(record, record.replicas, seen, nodes, now, options, plan);
  return plan;
}

// The new addresses of nodes that have moved; nullopt when none has.
std::optional<Change> plan_endpoints(const VolumeRecord& record, const NodesSeen& nodes) {
  VolumeRecord next = record;
  std::string moved;
  for (ReplicaRecord& replica : next.replicas) {
    const auto at = nodes.find(replica.node);
    if (at == nodes.end() || at->second.session == 0) continue;
    if (at->second.record.data_address == replica.address) continue;
    replica.address = at->second.record.data_address;
    replica.endpoint = EndpointVersion(replica.endpoint.value() + 1);
    moved += (moved.empty() ? "replica=" : ",") + std::to_string(replica.id.value());
  }
  if (moved.empty()) return std::nullopt;
  return make_change(std::move(next), "endpoints", std::move(moved));
}

// Has this replica taken the record's assignment in this session of its node?
bool has_assignment(const VolumeRecord& record, const ReplicaSeen* heard, std::uint64_t session) {
  if (heard == nullptr || !heard->status || heard->status_session != session) return false;
  if (heard->sent.session != session) return false;  // its process may have forgotten
  return heard->status->role != Role::none && heard->status->epoch == record.epoch &&
         heard->status->revision == record.revision;
}

// Those whom a force left out hear once a session that they are no members: an old primary among
// them then serves no more.
void deliver_farewells(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                       Plan& plan) {
  for (const ReplicaRecord& replica : record.left_out) {
    const auto at = nodes.find(replica.node);
    if (at == nodes.end() || at->second.session == 0) continue;
    if (mark_of(seen, replica.id).session == at->second.session) continue;
    plan.deliveries.push_back(
        Delivery{replica.node, make_assign(record), replica.id, std::nullopt});
  }
}

void deliver_assignments(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                         Instant now, const Options& options, Plan& plan) {
  for (const ReplicaRecord& replica : record.replicas) {
    const auto at = nodes.find(replica.node);
    if (at == nodes.end() || at->second.session == 0) continue;
    if (!record.is_member(replica.id) && !is_made(seen, nodes, replica)) continue;
    const ReplicaSeen* heard = seen.find(replica.id);
    if (has_assignment(record, heard, at->second.session)) continue;
    if (!is_due(mark_of(seen, replica.id), nodes, replica.node, record.version(), now,
                options.resend)) {
      continue;
    }
    plan.deliveries.push_back(
        Delivery{replica.node, make_assign(record), replica.id, std::nullopt});
  }
  deliver_farewells(record, seen, nodes, plan);
  for (const AttachmentRecord& attachment : record.attachments) {
    const auto at = nodes.find(attachment.node);
    if (at == nodes.end() || at->second.session == 0) continue;
    const auto view = seen.views.find(attachment.generation);
    if (view != seen.views.end() && view->second.session == at->second.session &&
        view->second.version == record.version()) {
      continue;  // a session is reliable, and nothing shows that a view has arrived
    }
    plan.deliveries.push_back(Delivery{attachment.node, make_view(record, attachment), std::nullopt,
                                       attachment.generation});
  }
}

void plan_proposal(const VolumeRecord& record, const VolumeSeen& seen, Plan& plan) {
  if (!seen.proposal) return;
  const ConfigProposal& proposal = *seen.proposal;
  const ReplicaRecord* from = record.replica(seen.proposal_from);
  plan.proposal_answered = true;
  if (from == nullptr) return;  // a stranger: no answer
  switch (judge_proposal(record, proposal, from->id)) {
    case Verdict::accept: {
      std::string fields = "cause=" + std::to_string(proposal.cause.value()) + " " +
                           change_fields(proposal.wanted);
      plan.change = make_change(with_configuration(record, proposal.wanted), "configured",
                                std::move(fields));
      return;
    }
    case Verdict::done_already:
      plan.deliveries.push_back(Delivery{from->node, make_assign(record), from->id, std::nullopt});
      return;
    case Verdict::refuse:
      plan.deliveries.push_back(Delivery{
          from->node,
          control::Refuse{
              ConfigRefusal{record.id, proposal.epoch, proposal.base, record.revision}},
          std::nullopt, std::nullopt});
      return;
  }
}

Plan plan_ready(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                Instant now, const Options& options) {
  Plan plan;
  if (is_outdated(record, seen)) {
    // Restored from a backup, or a foreign store: it may decide nothing (trap 64).
    plan.waiting = "a replica has seen a newer record than the store holds";
    return plan;
  }
  plan.change = plan_endpoints(record, nodes);
  if (!plan.change) plan.change = plan_doubts(record, seen);
  if (plan.change) return plan;
  if (record.pending) {
    plan_fencing(record, seen, nodes, now, options, plan);
    return plan;
  }
  const FailoverReason reason = failover_reason(record, seen, nodes, now, options);
  plan.suspects = reason.suspects;
  if (reason.wanted) {
    plan.change = make_change(with_pending_epoch(record), "fencing", "reason=" + reason.text);
    return plan;
  }
  plan.waiting = reason.waiting;
  if (reason.suspects) plan_probe(record, seen, now, options, plan);
  if (record.move) {
    plan_drain(record, seen, nodes, now, options, plan);
    if (plan.change) return plan;
  }
  plan_proposal(record, seen, plan);
  plan_wish(record, seen, nodes, now, options, plan);
  if (!plan.change) plan.change = plan_troubles(record, seen, nodes, now, options);
  if (!plan.change) deliver_assignments(record, seen, nodes, now, options, plan);
  return plan;
}

}  // namespace

Plan plan_volume(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                 Instant now, const Options& options) {
  switch (record.state) {
    case VolumeState::creating: return plan_creating(record, seen, nodes, now, options);
    case VolumeState::deleting: return plan_deleting(record, seen, nodes, now, options);
    case VolumeState::ready: return plan_ready(record, seen, nodes, now, options);
  }
  UNREACHABLE("a volume has one of three states");
}

bool is_due(const SentMark& sent, const NodesSeen& nodes, NodeId node, const Version& version,
            Instant now, Duration resend) {
  const auto at = nodes.find(node);
  if (at == nodes.end() || at->second.session == 0) return false;
  if (sent.session != at->second.session || sent.version != version) return true;
  return now >= sent.at + resend;
}

SentMark mark_of(const VolumeSeen& seen, ReplicaId replica) {
  const ReplicaSeen* heard = seen.find(replica);
  return heard == nullptr ? SentMark{} : heard->sent;
}

// Revisions rise with every change, so that an epoch minted from an old record hides nothing.
bool is_outdated(const VolumeRecord& record, const VolumeSeen& seen) {
  if (!seen.newer) return false;
  return record.revision < seen.newer->revision || record.greatest_epoch() < seen.newer->epoch;
}

Change make_change(VolumeRecord next, const char* type, std::string fields) {
  CHECK(is_known_event(type));  // or whoever follows the stream would stop at it
  next.revision = Revision(next.revision.value() + 1);
  ChangeEvent event{next.id, next.greatest_epoch(), next.revision, type, std::move(fields)};
  return Change{std::move(next), std::move(event)};
}

VolumeRecord with_pending_epoch(VolumeRecord record) {
  record.pending = Epoch(record.greatest_epoch().value() + 1);
  record.move.reset();  // whoever goes on with it puts it back
  return record;
}

Delivery make_create(const VolumeRecord& record, const ReplicaRecord& replica) {
  return Delivery{
      .node = replica.node,
      .message = control::CreateReplica{.operation = operation_of(record, replica.id, true),
                                        .volume = record.id,
                                        .volume_name = record.name,
                                        .incarnation = record.incarnation,
                                        .replica = replica.id,
                                        .size = record.size,
                                        .log_bytes = record.log_bytes,
                                        .extent_bytes = limits::extent_bytes},
      .replica = replica.id,
      .attachment = std::nullopt};
}

Duration slow_resend(const Options& options) {
  return Duration(options.resend.value() * slow_resends);
}

void erase_deleted(std::vector<ReplicaRecord>& replicas, const VolumeSeen& seen) {
  std::erase_if(replicas, [&seen](const ReplicaRecord& replica) {
    const ReplicaSeen* heard = seen.find(replica.id);
    return heard != nullptr && heard->deleted;
  });
}

void deliver_deletes(const VolumeRecord& record, const std::vector<ReplicaRecord>& going,
                     const VolumeSeen& seen, const NodesSeen& nodes, Instant now,
                     const Options& options, Plan& plan) {
  const Duration resend = slow_resend(options);
  for (const ReplicaRecord& replica : going) {
    if (!is_due(mark_of(seen, replica.id), nodes, replica.node, record.version(), now, resend)) {
      continue;
    }
    plan.deliveries.push_back(Delivery{
        .node = replica.node,
        .message = control::DeleteReplica{.operation = operation_of(record, replica.id, false),
                                          .volume = record.id,
                                          .replica = replica.id},
        .replica = replica.id,
        .attachment = std::nullopt});
  }
}

control::Assign make_assign(const VolumeRecord& record) {
  CHECK(!record.pending);
  control::Assign assign;
  Assignment& assignment = assign.assignment;
  assignment.volume = record.id;
  assignment.incarnation = record.incarnation;
  assignment.epoch = record.epoch;
  assignment.revision = record.revision;
  assignment.primary = record.primary;
  assignment.config = record.config;
  assignment.wish = record.wish;
  for (const ReplicaRecord& replica : record.replicas) {
    assignment.endpoints.push_back(PeerEndpoint{replica.id, replica.endpoint, replica.word});
    assign.addresses.push_back(
        control::ReplicaAddress{replica.id, replica.node, replica.endpoint, replica.address});
  }
  for (const AttachmentRecord& attachment : record.attachments) {
    assignment.attachments.push_back(AttachmentGrant{attachment.generation, attachment.node});
  }
  assignment.size = record.size;
  assignment.winner_start = record.winner_start;
  assignment.winner_position = record.winner_position;
  assignment.after_power_loss = record.after_power_loss;
  assignment.forced = record.forced && record.forced->epoch == record.epoch;
  assignment.drains = record.move.has_value();
  assign.volume_name = record.name;
  return assign;
}

control::AttachmentView make_view(const VolumeRecord& record, const AttachmentRecord& attachment) {
  control::AttachmentView view;
  view.volume = record.id;
  view.volume_name = record.name;
  view.incarnation = record.incarnation;
  view.attachment = attachment.generation;
  view.epoch = record.epoch;
  view.revision = record.revision;
  view.primary = record.primary;
  view.size = record.size;
  view.io_timeout_ms = record.io_timeout_ms;
  view.holder_start = attachment.node_start;
  for (const ReplicaRecord& replica : record.replicas) {
    view.addresses.push_back(
        control::ReplicaAddress{replica.id, replica.node, replica.endpoint, replica.address});
  }
  return view;
}

std::uint64_t operation_of(const VolumeRecord& record, ReplicaId replica, bool creates) {
  std::uint64_t mixed = record.id.hi ^ (record.id.lo * 0x9e3779b97f4a7c15ULL);
  mixed ^= replica.value() * 2 + (creates ? 1 : 0);
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
  return mixed ^ (mixed >> 31);
}

bool is_acknowledged(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                     Revision revision) {
  if (record.pending || record.epoch == Epoch(0)) return false;
  const ReplicaRecord* primary = record.replica(record.primary);
  const ReplicaSeen* heard = seen.find(record.primary);
  if (primary == nullptr || heard == nullptr || !heard->status) return false;
  const auto node = nodes.find(primary->node);
  if (node == nodes.end() || node->second.session == 0) return false;
  if (heard->status_session != node->second.session) return false;
  const ReplicaStatus& status = *heard->status;
  return status.role == Role::primary && status.serving && status.epoch == record.epoch &&
         status.revision >= revision;
}

// Its barrier has gone before (protocol.md section 3): what is judged here is whether the step is
// one, taken from the record that the primary saw.
Verdict judge_proposal(const VolumeRecord& record, const ConfigProposal& proposal, ReplicaId from) {
  if (record.state != VolumeState::ready || record.pending) return Verdict::refuse;
  if (proposal.epoch != record.epoch || from != record.primary) return Verdict::refuse;
  if (proposal.wanted == record.config) return Verdict::done_already;
  if (proposal.base != record.revision) return Verdict::refuse;
  return is_step(record.config, record.wish, proposal.wanted, record.primary) ? Verdict::accept
                                                                              : Verdict::refuse;
}

}  // namespace seawall::controller
