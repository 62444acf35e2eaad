// Membership: what an operator may wish of a volume's configuration at any moment, drawn.
//
// Purpose: the changes of a configuration that the nemesis asks for under load: one copy more, one
// less, another place for one, another policy, and second thoughts. Whether the wish can be is the
// controller's to say; what it means for the fault atlas is said here.
// Life cycle: pure functions. Thread: any.
#pragma once

#include <cstddef>

#include "controller/core/record.h"
#include "controller/core/request.h"
#include "engine/base/prng.h"
#include "sim/network.h"

namespace seawall::sim {

// A wish without its operation id. Volumes keep two copies at least, on nodes 1 .. `nodes`.
controller::ChangeVolume draw_change(Prng& prng, const controller::VolumeRecord& record,
                                     NodeNumber nodes);

// Copies that this configuration may lose without losing anything that completed under it.
std::size_t copies_tolerated(const Configuration& config);
// The least of what is in force and what is wished for: while a change is under way both hold.
std::size_t copies_tolerated(const controller::VolumeRecord& record);
// Of the configuration that a wish may lead to, whatever else it keeps.
std::size_t copies_tolerated_after(const controller::ChangeVolume& wish,
                                   const controller::VolumeRecord& record);

}  // namespace seawall::sim
