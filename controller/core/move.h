// The planned move of a primary (protocol.md 5.8), as pure decisions.
//
// The order is in the record. Without a pending epoch the assignment asks the primary to drain;
// when it says that it has, the pending epoch is committed, and the target is its only candidate.
// Whatever does not go well before that ends the move at no cost; after it the incumbent goes on
// under the new epoch, and if that is gone, too, a higher epoch makes a plain failover of it.
#pragma once

#include <optional>
#include <string>

#include "controller/core/plan.h"
#include "controller/core/refusal.h"

namespace seawall::controller {

// Why a move of the primary to `target` is not begun; nullopt: it may be.
std::optional<Refusal> judge_move(const VolumeRecord& record, const VolumeSeen& seen,
                                  const NodesSeen& nodes, ReplicaId target, Instant now,
                                  const Options& options);
Change begin_move(const VolumeRecord& record, ReplicaId target, const std::string& operation);

// The step of a move that drains: waits, fences, or gives up.
void plan_drain(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                Instant now, const Options& options, Plan& plan);

}  // namespace seawall::controller
