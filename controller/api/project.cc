#include "controller/api/project.h"

#include <algorithm>
#include <vector>

#include "controller/core/change.h"
#include "controller/core/fields.h"
#include "controller/core/health.h"

namespace seawall::controller {
namespace {

std::string node_name(const Core& core, NodeId id) {
  const auto at = core.nodes().find(id);
  return at == core.nodes().end() ? std::string() : at->second.record.name;
}

// `ago` absent: nobody knows when.
void add_failure(const FailureStatus& failure, std::optional<Duration> said_ago,
                 v1::ReplicaView& out) {
  v1::FailureView& each = *out.add_failures();
  each.set_kind(rule_of(failure.kind).name);
  each.set_action(failure_action_name(failure.action));
  each.set_nth(failure.nth);
  if (said_ago) each.set_ago_ms((failure.ago + *said_ago).value());
}

void fill_replica(const Core& core, const VolumeRecord& record, const ReplicaRecord& replica,
                  const ReplicaHealth& health, v1::ReplicaView& out) {
  out.set_id(replica.id.value());
  out.set_node_id(replica.node.value());
  out.set_node(node_name(core, replica.node));
  out.set_address(replica.address);
  out.set_endpoint_version(replica.endpoint.value());
  out.set_role("none");
  out.set_state(replica_state_name(health.state));
  out.set_reason(health.reason);
  out.set_member(record.is_member(replica.id));
  out.set_in_sync_member(record.config.policy == Policy::in_sync &&
                         record.config.in_sync.contains(replica.id));
  out.set_joining(!record.is_member(replica.id));
  out.set_leaving(record.wish && !record.wish->members.contains(replica.id));
  out.set_session_kind("none");
  if (health.status != nullptr) {
    const ReplicaStatus& status = *health.status;
    const bool there = health.state != ReplicaState::unreachable;
    out.set_role(there ? role_name(status.role) : "none");
    out.set_promised(status.promised.value());
    out.set_epoch(status.epoch.value());
    out.set_written(status.marks.written.value());
    out.set_durable(status.marks.durable.value());
    out.set_applied(status.marks.applied.value());
    out.set_trimmed(status.marks.trimmed.value());
    if (status.committed) out.set_committed(status.committed->value());
    if (status.stable) out.set_stable(status.stable->value());
    out.set_log_fill_percent(status.fill_percent);
    if (status.store_failures > 0) {
      const FailureAction action =
          status.given_up ? FailureAction::terminal : FailureAction::retry;
      add_failure({FailureKind::store_failed, action, status.store_failures, Duration(0)},
                  std::nullopt, out);
    }
  }
  if (health.peer != nullptr) {
    out.set_session_kind(recovery_kind_name(health.peer->kind));
    out.set_session_epoch(health.peer->session.epoch.value());
    out.set_session_counter(health.peer->session.counter);
    out.set_bytes_total(health.peer->bytes_total);
    out.set_bytes_left(health.peer->bytes_left);
    out.set_escalated(health.peer->escalated);
    if (health.peer->lag) out.set_lag(*health.peer->lag);
    for (const FailureStatus& failure : health.peer->failures) {
      add_failure(failure, health.said_ago, out);
    }
  }
  out.set_session_phase(
      session_phase_name(health.peer == nullptr ? SessionPhase::none : health.peer->phase));
  if (health.lasting) out.set_lasting_ms(health.lasting->value());
  const auto node = core.nodes().find(replica.node);
  if (node == core.nodes().end()) return;
  out.set_pool_bytes(node->second.record.pool_bytes);
  out.set_pool_free_bytes(node->second.free_bytes);
}

std::string text_of(const Position& position) {
  return std::to_string(position.term.value()) + ":" + std::to_string(position.lsn.value());
}

// The order that waits, else the last one that was carried out.
void fill_force(const Core& core, const VolumeRecord& record, v1::Volume& out) {
  if (!record.force && !record.forced) return;
  const ForceOrder& order = record.force ? *record.force : record.forced->order;
  v1::ForceInfo& force = *out.mutable_force();
  force.set_who(order.who);
  force.set_why(order.why);
  force.set_asked_ms(order.asked_ms);
  force.set_old_primary_stopped(order.old_primary_stopped);
  for (const ReplicaId member : order.members) {
    const ReplicaRecord* replica = record.replica(member);
    force.add_nodes(replica == nullptr ? std::to_string(member.value())
                                       : node_name(core, replica->node));
  }
  for (const ReplicaRecord& replica : record.left_out) {
    force.add_left_out(node_name(core, replica.node));
  }
  force.set_done(!record.force);
  if (record.force) return;
  force.set_epoch(record.forced->epoch.value());
  force.set_kept(text_of(record.forced->kept));
  if (record.forced->known) force.set_known(text_of(*record.forced->known));
}

// What the next step of a change waits for, as far as it can be seen from here.
std::string waiting_for(const Core& core, const VolumeRecord& record, const HealthView& health) {
  for (std::size_t i = 0; i < record.replicas.size(); ++i) {
    if (record.is_member(record.replicas[i].id)) continue;
    if (health.replicas[i].state == ReplicaState::in_sync) continue;
    return "the new replica on " + node_name(core, record.replicas[i].node) + " is " +
           replica_state_name(health.replicas[i].state);
  }
  if (primary_leaves(record)) {
    return "the primary on " + node_name(core, record.replica(record.primary)->node) +
           " hands over first";
  }
  return health.serving ? "the primary proves it by a barrier" : "no primary serves";
}

void fill_change(const Core& core, const VolumeRecord& record, const HealthView& health,
                 v1::ChangeView& out) {
  const Configuration& wish = *record.wish;
  out.set_policy(word_of(wish.policy));
  out.set_min_in_sync(wish.min_in_sync);
  out.set_write_cache(word_of(wish.write_cache));
  out.set_replicas(static_cast<std::uint32_t>(wish.members.size()));
  out.set_waiting(waiting_for(core, record, health));
}

void fill_volume(const Core& core, const Core::VolumeNow& volume, Instant now, v1::Volume& out) {
  const VolumeRecord& record = *volume.record;
  const HealthView health = project_health(core, volume, now);
  out.set_name(record.name);
  out.set_id(record.id.to_hex().data());
  out.set_incarnation(record.incarnation.to_hex().data());
  out.set_state(word_of(record.state));
  out.set_health(health_name(health.health));
  out.set_reason(health.reason);
  out.set_size_bytes(record.size.value() * limits::block_bytes);
  out.set_log_bytes(record.log_bytes);
  out.set_policy(word_of(record.config.policy));
  out.set_min_in_sync(record.config.min_in_sync);
  out.set_write_cache(word_of(record.config.write_cache));
  out.set_epoch(record.epoch.value());
  out.set_pending_epoch(record.pending ? record.pending->value() : 0);
  out.set_revision(record.revision.value());
  out.set_primary(record.primary.value());
  const ReplicaRecord* primary = record.replica(record.primary);
  if (primary != nullptr) out.set_primary_node(node_name(core, primary->node));
  out.set_serving(health.serving);
  for (std::size_t i = 0; i < record.replicas.size(); ++i) {
    fill_replica(core, record, record.replicas[i], health.replicas[i], *out.add_replicas());
  }
  for (const AttachmentRecord& attachment : record.attachments) {
    v1::AttachmentInfo& each = *out.add_attachments();
    each.set_generation(attachment.generation.value());
    each.set_node_id(attachment.node.value());
    each.set_node(node_name(core, attachment.node));
  }
  out.set_io_timeout_ms(record.io_timeout_ms);
  out.set_required(health.required);
  out.set_eligible(health.eligible);
  out.set_after_power_loss(record.after_power_loss);
  if (health.lasting) out.set_lasting_ms(health.lasting->value());
  for (const Vote& vote : health.votes) {
    v1::VoteView& each = *out.add_votes();
    each.set_replica(vote.id.value());
    each.set_node(node_name(core, record.replica(vote.id)->node));
    each.set_counts(vote.counts);
    each.set_reason(vote.reason);
  }
  out.set_votes_needed(health.votes_needed);
  out.set_waiting(volume.waiting);
  if (record.move) out.set_moving_to(record.move->target.value());
  fill_force(core, record, out);
  if (record.wish) fill_change(core, record, health, *out.mutable_change());
}

void fill_node(const Core& core, const NodeSeen& node, Instant now, v1::Node& out) {
  const NodeRecord& record = node.record;
  const bool alive = node.heard && is_alive(core.nodes(), record.id, now, core.options());
  out.set_id(record.id.value());
  out.set_name(record.name);
  out.set_state(!alive ? "down" : (node.session == 0 ? "suspect" : "alive"));
  out.set_data_address(record.data_address);
  out.set_http_address(record.http_address);
  out.set_pool_id(record.pool_id);
  out.set_pool_bytes(record.pool_bytes);
  out.set_pool_free_bytes(node.free_bytes);
  out.set_process_start(record.process_start.value());
  if (node.heard) out.set_heard_ms_ago((now - node.heard_at).value());
  std::uint32_t replicas = 0;
  std::uint32_t primaries = 0;
  for (const Core::VolumeNow& volume : core.volumes()) {
    for (const ReplicaRecord& replica : volume.record->replicas) {
      if (replica.node != record.id) continue;
      ++replicas;
      if (replica.id == volume.record->primary) ++primaries;
    }
  }
  out.set_replicas(replicas);
  out.set_primaries(primaries);
}

}  // namespace

v1::Cluster project_cluster(const Core& core, Instant now) {
  v1::Cluster cluster;
  std::vector<Core::VolumeNow> volumes = core.volumes();
  std::sort(volumes.begin(), volumes.end(), [](const Core::VolumeNow& a, const Core::VolumeNow& b) {
    return a.record->name < b.record->name;
  });
  for (const Core::VolumeNow& volume : volumes) {
    if (volume.record->state == VolumeState::deleting) continue;  // its name is free again
    fill_volume(core, volume, now, *cluster.add_volumes());
  }
  std::vector<const NodeSeen*> nodes;
  for (const auto& [id, node] : core.nodes()) nodes.push_back(&node);
  std::sort(nodes.begin(), nodes.end(), [](const NodeSeen* a, const NodeSeen* b) {
    return a->record.name != b->record.name ? a->record.name < b->record.name
                                            : a->record.id < b->record.id;
  });
  for (const NodeSeen* node : nodes) fill_node(core, *node, now, *cluster.add_nodes());
  return cluster;
}

void forget_ages(v1::Cluster& cluster) {
  for (v1::Node& node : *cluster.mutable_nodes()) node.clear_heard_ms_ago();
  for (v1::Volume& volume : *cluster.mutable_volumes()) {
    volume.clear_lasting_ms();
    for (v1::ReplicaView& replica : *volume.mutable_replicas()) {
      replica.clear_lasting_ms();
      for (v1::FailureView& failure : *replica.mutable_failures()) failure.clear_ago_ms();
    }
  }
}

std::optional<v1::Volume> project_volume(const Core& core, const std::string& name, Instant now) {
  for (const Core::VolumeNow& volume : core.volumes()) {
    if (volume.record->name != name || volume.record->state == VolumeState::deleting) continue;
    v1::Volume out;
    fill_volume(core, volume, now, out);
    return out;
  }
  return std::nullopt;
}

}  // namespace seawall::controller
