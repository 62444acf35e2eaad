// Health: what the replicas of a volume are like, and the volume for it. A projection (protocol.md
// section 9): derived, in a fixed order, never an input to a decision.
#pragma once

#include <string>
#include <vector>

#include "controller/core/core.h"

namespace seawall::controller {

enum class VolumeHealth : std::uint8_t { healthy, degraded, recovering, unavailable, faulted };
const char* health_name(VolumeHealth health);

struct ReplicaHealth {
  ReplicaId id;
  ReplicaState state = ReplicaState::unknown;
  std::string reason;
  const ReplicaStatus* status = nullptr;  // its own newest word; points into Core
  const PeerStatus* peer = nullptr;       // the primary's word of it; points into Core
};

struct HealthView {
  VolumeHealth health = VolumeHealth::unavailable;
  std::string reason;  // empty when healthy
  bool serving = false;
  std::uint32_t required = 0;           // copies that a write needs
  std::uint32_t eligible = 0;           // copies that count now
  std::vector<ReplicaHealth> replicas;  // by id
};

HealthView project_health(const Core& core, const Core::VolumeNow& volume, Instant now);

}  // namespace seawall::controller
