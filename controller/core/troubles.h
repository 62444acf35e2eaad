// Troubles: which replicas are compared anew because their recoveries failed, and which were given
// up, told in the volume's history (protocol.md 6.7): who follows the stream sees each escalation
// and each end of one, however soon the primary that knew of it was gone.
//
// Pure. Nothing is decided by it. Thread: any. Errors: none.
#pragma once

#include <optional>

#include "controller/core/plan.h"

namespace seawall::controller {

// The record with what the serving primary, and the replicas' own nodes, say now; nullopt: no news.
std::optional<Change> plan_troubles(const VolumeRecord& record, const VolumeSeen& seen,
                                    const NodesSeen& nodes, Instant now, const Options& options);

}  // namespace seawall::controller
