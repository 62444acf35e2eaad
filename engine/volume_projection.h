// What a volume is like, judged from its copies: protocol.md section 9. One rule for whoever asks:
// the primary by its sessions, the controller by all it has heard.
//
// Purpose: five states, one reason, the counts. Derived from values, the same for the same values
// in any order, never an input of a decision. Pure; thread: any; ownership: none; errors: none.
//
//   faulted      what is stored contradicts what replicas have seen: nobody may serve
//   unavailable  I/O waits: no primary serves, or fewer copies count than a write needs
//   degraded     I/O goes on; a copy is away, given up, or is being made anew from the beginning
//   recovering   I/O goes on, or is about to; what is missing is on its way back with its data
//   healthy      every member counts, by acknowledgements of this epoch
#pragma once

#include <cstdint>
#include <span>

#include "engine/control.h"

namespace seawall {

class Engine;

enum class VolumeHealth : std::uint8_t { healthy, degraded, recovering, unavailable, faulted };
const char* health_name(VolumeHealth health);

enum class Service : std::uint8_t { absent, promoting, serving };

struct CopyView {
  ReplicaId id;
  ReplicaState state = ReplicaState::unknown;
  RecoveryKind kind = RecoveryKind::none;
};

struct VolumeView {
  VolumeHealth health = VolumeHealth::unavailable;
  std::uint32_t required = 0;  // copies that a write needs
  std::uint32_t eligible = 0;  // copies that count now, the primary included
  const char* reason = "";     // static text; empty when healthy
  ReplicaId about;             // the copy that the reason speaks of; none: the whole volume
  friend constexpr bool operator==(const VolumeView&, const VolumeView&) = default;
};

// `copies` may hold others than members and lack some: what is not there is unknown.
VolumeView judge_volume(const Configuration& config, Service service,
                        std::span<const CopyView> copies);
VolumeView faulted_volume(const Configuration& config, const char* reason);

// A member that counts for the volume's writes.
bool copy_counts(const Configuration& config, const CopyView& copy);

// As this replica sees it. Without an assignment there is no volume: `required` is 0.
VolumeView project_volume(const Engine& engine, Instant now);

}  // namespace seawall
