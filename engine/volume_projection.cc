#include "engine/volume_projection.h"

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/engine.h"
#include "engine/projection.h"
#include "engine/quorum.h"

namespace seawall {
namespace {

// How far a member that does not count is from counting; the worst one names the state.
enum class Distance : std::uint8_t { none, on_its_way, made_anew, lost };

bool is_reachable(const CopyView& copy) {
  return copy.state != ReplicaState::unreachable && copy.state != ReplicaState::failed &&
         copy.state != ReplicaState::terminal;
}

Distance distance_of(const Configuration& config, const CopyView& copy) {
  if (copy_counts(config, copy)) return Distance::none;
  if (!is_reachable(copy)) return Distance::lost;
  const bool anew = copy.state == ReplicaState::rebuilding && copy.kind != RecoveryKind::delta;
  return anew ? Distance::made_anew : Distance::on_its_way;
}

const char* reason_of(ReplicaState state, Distance distance) {
  if (distance == Distance::made_anew) return "a copy is being made anew";
  switch (state) {
    case ReplicaState::unreachable: return "a copy cannot be reached";
    case ReplicaState::failed: return "the disk of a copy has failed";
    case ReplicaState::terminal: return "a copy has been given up";
    case ReplicaState::catching_up: return "a copy takes what it missed";
    case ReplicaState::rebuilding: return "a copy is compared and takes what differs";
    case ReplicaState::rewinding: return "a copy drops what was never committed";
    case ReplicaState::proving: return "a copy is about to prove what it holds";
    case ReplicaState::in_sync: return "a copy waits to be taken into the in-sync set";
    case ReplicaState::unknown: break;
  }
  return "nothing has been heard of a copy in this epoch";
}

std::uint32_t required_by(const Configuration& config) {
  return static_cast<std::uint32_t>(config.policy == Policy::quorum
                                        ? write_quorum(config.members.size())
                                        : config.in_sync.size());
}

CopyView view_of(ReplicaId id, std::span<const CopyView> copies) {
  for (const CopyView& copy : copies) {
    if (copy.id == id) return copy;
  }
  return CopyView{id, ReplicaState::unknown, RecoveryKind::none};
}

// Could the promotion under way come to its end with those that can be reached?
bool may_serve_soon(const Configuration& config, std::span<const CopyView> copies) {
  std::uint32_t reachable = 0;
  for (const ReplicaId id : config.members) {
    const bool needed = config.policy == Policy::quorum || config.in_sync.contains(id);
    if (needed && is_reachable(view_of(id, copies))) ++reachable;
  }
  return reachable >= required_by(config);
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

bool copy_counts(const Configuration& config, const CopyView& copy) {
  if (copy.state != ReplicaState::in_sync || !config.members.contains(copy.id)) return false;
  return config.policy == Policy::quorum || config.in_sync.contains(copy.id);
}

VolumeView faulted_volume(const Configuration& config, const char* reason) {
  return VolumeView{VolumeHealth::faulted, required_by(config), 0, reason, ReplicaId{}};
}

VolumeView judge_volume(const Configuration& config, Service service,
                        std::span<const CopyView> copies) {
  VolumeView view;
  view.required = required_by(config);
  Distance worst = Distance::none;
  for (const ReplicaId id : config.members) {  // in their order, whatever that of `copies` is
    const CopyView copy = view_of(id, copies);
    const Distance distance = distance_of(config, copy);
    if (distance == Distance::none) ++view.eligible;
    if (distance <= worst) continue;
    worst = distance;
    view.about = id;
    view.reason = reason_of(copy.state, distance);
  }
  if (service != Service::serving) {
    view.eligible = 0;  // nothing counts before the term-start of the epoch is committed
    view.about = ReplicaId{};
    const bool soon = service == Service::promoting && may_serve_soon(config, copies);
    view.health = soon ? VolumeHealth::recovering : VolumeHealth::unavailable;
    view.reason = service == Service::absent ? "no primary serves"
                  : soon ? "its new primary waits for acknowledgements of its epoch"
                         : "its new primary reaches too few copies";
    return view;
  }
  if (view.eligible < view.required && !MUTANT(M122)) {
    view.health = VolumeHealth::unavailable;
  } else if (worst == Distance::none) {
    view.health = VolumeHealth::healthy;
  } else {
    view.health = worst == Distance::on_its_way ? VolumeHealth::recovering : VolumeHealth::degraded;
  }
  return view;
}

VolumeView project_volume(const Engine& engine, Instant now) {
  const Context& context = engine.context();
  if (!context.assignment || context.removed) return VolumeView{};
  const ReplicaStatus status = project(engine, now);
  BoundedVector<CopyView, limits::members_max> copies;
  const Primary& primary = engine.primary();
  const Service service = primary.serving() ? Service::serving
                          : primary.on()    ? Service::promoting
                                            : Service::absent;
  copies.push_back({status.replica,
                    primary.serving() ? ReplicaState::in_sync : ReplicaState::unknown,
                    RecoveryKind::none});
  for (const PeerStatus& peer : status.peers) {
    copies.push_back({peer.replica, peer.state, peer.kind});
  }
  return judge_volume(context.assignment->config, service, copies.span());
}

}  // namespace seawall
