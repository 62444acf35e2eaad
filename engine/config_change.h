// From a configuration to the one that is wished for: which steps are allowed?
//
// A wish is a Configuration whose in-sync set is empty: {members, policy, minInSync, writeCache}.
// The primary takes one step at a time under the joint rule (membership.h), the controller commits
// a step only if it agrees that it is one; both ask here. A primary that the wish does not name
// stays a member until it has handed over: then the next primary takes the last step.
// Pure values. Thread: any. Errors: none.
#pragma once

#include <optional>

#include "engine/control.h"

namespace seawall {

// Sorted, without duplicates; both together have at most limits::members_max.
ReplicaSet united(const ReplicaSet& a, const ReplicaSet& b);

// The members of the next step on the way to `wish` while `primary` leads.
ReplicaSet members_of_step(const Configuration& wish, ReplicaId primary);

// Is everything that was wished for in force?
bool fulfils(const Configuration& config, const Configuration& wish);

// May `next` follow `config` on this primary's word? Two kinds: another in-sync set and nothing
// else, or the step to the wish.
bool is_step(const Configuration& config, const std::optional<Configuration>& wish,
             const Configuration& next, ReplicaId primary);

}  // namespace seawall
