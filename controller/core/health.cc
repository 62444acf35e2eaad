#include "controller/core/health.h"

#include <algorithm>

#include "engine/quorum.h"

namespace seawall::controller {
namespace {

const PeerStatus* peer_of(const ReplicaStatus* primary, ReplicaId replica) {
  if (primary == nullptr) return nullptr;
  for (const PeerStatus& peer : primary->peers) {
    if (peer.replica == replica) return &peer;
  }
  return nullptr;
}

ReplicaHealth project_replica(const Core& core, const Core::VolumeNow& volume,
                              const ReplicaRecord& replica, const ReplicaStatus* primary,
                              bool serving, Instant now) {
  ReplicaHealth view;
  view.id = replica.id;
  const ReplicaSeen* heard = volume.seen->find(replica.id);
  if (heard != nullptr && heard->status) view.status = &*heard->status;
  const bool leads = replica.id == volume.record->primary;
  if (!leads) view.peer = peer_of(primary, replica.id);
  if (!is_alive(core.nodes(), replica.node, now, core.options())) {
    view.state = ReplicaState::unreachable;
    view.reason = "its node is silent";
    return view;
  }
  if (view.status != nullptr && view.status->log_failed) {
    view.state = ReplicaState::failed;
    view.reason = "its log failed";
    return view;
  }
  if (leads) {
    view.state = serving ? ReplicaState::in_sync : ReplicaState::unknown;
    if (view.status != nullptr) view.reason = view.status->reason;
    return view;
  }
  if (view.peer != nullptr) {
    view.state = view.peer->state;
    view.reason = view.peer->reason;
    return view;
  }
  view.reason = "no primary says what it holds";
  return view;
}

bool is_recovering(ReplicaState state) {
  return state == ReplicaState::catching_up || state == ReplicaState::rebuilding ||
         state == ReplicaState::rewinding || state == ReplicaState::proving;
}

bool counts(const VolumeRecord& record, const ReplicaHealth& replica) {
  if (replica.state != ReplicaState::in_sync || !record.is_member(replica.id)) return false;
  return record.config.policy == Policy::quorum || record.config.in_sync.contains(replica.id);
}

void judge(const VolumeRecord& record, const Core::VolumeNow& volume, HealthView& view) {
  const auto say = [&view](VolumeHealth health, std::string reason) {
    view.health = health;
    view.reason = std::move(reason);
  };
  if (is_outdated(record, *volume.seen)) {
    return say(VolumeHealth::faulted, "a replica has seen a newer record than the store holds");
  }
  if (!view.serving) {
    const std::string waiting = volume.waiting;
    return say(VolumeHealth::unavailable,
               waiting.empty() ? "its primary does not serve yet" : waiting);
  }
  if (view.eligible < view.required) {
    return say(VolumeHealth::unavailable, "only " + std::to_string(view.eligible) + " of " +
                                              std::to_string(view.required) +
                                              " copies that a write needs count");
  }
  for (const ReplicaHealth& replica : view.replicas) {
    if (is_recovering(replica.state) && record.is_member(replica.id)) {
      return say(VolumeHealth::recovering,
                 "replica " + std::to_string(replica.id.value()) + " is on its way back");
    }
  }
  for (const ReplicaHealth& replica : view.replicas) {
    if (!record.is_member(replica.id) || counts(record, replica)) continue;
    if (record.wish && !record.wish->members.contains(replica.id)) {
      return say(VolumeHealth::recovering,
                 "replica " + std::to_string(replica.id.value()) + " is being replaced");
    }
    return say(VolumeHealth::degraded, "replica " + std::to_string(replica.id.value()) +
                                           " does not count" +
                                           (replica.reason.empty() ? "" : ": " + replica.reason));
  }
  say(VolumeHealth::healthy, "");
}

}  // namespace

const char* health_name(VolumeHealth health) {
  switch (health) {
    case VolumeHealth::healthy: return "healthy";
    case VolumeHealth::degraded: return "degraded";
    case VolumeHealth::recovering: return "recovering";
    case VolumeHealth::unavailable: return "unavailable";
    case VolumeHealth::faulted: return "faulted";
  }
  return "unknown";
}

HealthView project_health(const Core& core, const Core::VolumeNow& volume, Instant now) {
  const VolumeRecord& record = *volume.record;
  HealthView view;
  const ReplicaRecord* primary = record.replica(record.primary);
  view.serving = primary != nullptr && record.state == VolumeState::ready &&
                 is_alive(core.nodes(), primary->node, now, core.options()) &&
                 is_acknowledged(record, *volume.seen, core.nodes(), Revision(0));
  const ReplicaSeen* heard = volume.seen->find(record.primary);
  const ReplicaStatus* word =
      view.serving && heard != nullptr && heard->status ? &*heard->status : nullptr;
  for (const ReplicaRecord& replica : record.replicas) {
    view.replicas.push_back(project_replica(core, volume, replica, word, view.serving, now));
  }
  view.required = static_cast<std::uint32_t>(record.config.policy == Policy::quorum
                                                 ? write_quorum(record.config.members.size())
                                                 : record.config.in_sync.size());
  view.eligible = static_cast<std::uint32_t>(
      std::count_if(view.replicas.begin(), view.replicas.end(),
                    [&record](const ReplicaHealth& each) { return counts(record, each); }));
  judge(record, volume, view);
  return view;
}

}  // namespace seawall::controller
