// Two older ways to decide, for comparison: what systems of this family did before this protocol.
//
// v1 believes whoever it has not met yet as it is, rebuilds whoever was away, promotes the longest
// log by what heartbeats said. v1_5 catches up by the raw lsn without holding the log for it, cuts
// to the commit it knows, ranks by the epoch that a replica has heard of. Both serve at once.
// Life cycle: constants. Thread: any. No production binary links them.
#pragma once

#include <span>

#include "engine/generation.h"

namespace seawall::sim {

extern const Generation generation_v1;
extern const Generation generation_v1_5;

// Oldest first; the last is generation_v2.
std::span<const Generation* const> all_generations();

}  // namespace seawall::sim
