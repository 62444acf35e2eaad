// Health: what the replicas of a volume are like, and the volume for it. A projection (protocol.md
// section 9): derived, in a fixed order, never an input to a decision. The rule is that of
// engine/volume_projection.h; here it is asked with all that the controller has heard.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/core/core.h"
#include "engine/volume_projection.h"

namespace seawall::controller {

struct ReplicaHealth {
  ReplicaId id;
  ReplicaState state = ReplicaState::unknown;
  std::string reason;
  const ReplicaStatus* status = nullptr;  // its own newest word; points into Core
  const PeerStatus* peer = nullptr;       // the primary's word of it; points into Core
  std::optional<Duration> lasting;        // in that state, or missing, for so long; absent: unknown
  Duration said_ago;                      // how old the primary's word is
};

// Whether a member's report counts in the failover under way.
struct Vote {
  ReplicaId id;
  bool counts = false;
  std::string reason;  // why it does not, or what it lacks to lead; empty: neither
};

struct HealthView {
  VolumeHealth health = VolumeHealth::unavailable;
  std::string reason;  // empty when healthy
  bool serving = false;
  std::uint32_t required = 0;           // copies that a write needs
  std::uint32_t eligible = 0;           // copies that count now
  std::optional<Duration> lasting;      // of the reason, or of the health
  std::vector<ReplicaHealth> replicas;  // by id
  std::vector<Vote> votes;              // by id; empty: no failover is under way
  std::uint32_t votes_needed = 0;
};

HealthView project_health(const Core& core, const Core::VolumeNow& volume, Instant now);

}  // namespace seawall::controller
