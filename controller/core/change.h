// Changes of a volume's configuration, the controller's part, as pure functions.
//
// A request becomes a wish in the record: members, policy, minInSync, writeCache. Newcomers are
// made on their nodes and assigned, so that the primary can rebuild them; the primary proposes each
// step (engine/config_change.h) and the controller commits it by compare-and-set. What a committed
// configuration no longer names is retired: its files go, whenever its node can be reached.
// A replica never returns under its id: what is lost is replaced by a new one.
// Values; any thread. Errors: a request that cannot be is a Refusal.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "controller/core/placement.h"
#include "controller/core/plan.h"
#include "controller/core/request.h"
#include "engine/base/result.h"

namespace seawall::controller {

inline constexpr std::size_t retired_max = 64;

// A request, judged against the committed record. `wish.members` are those that stay.
struct ChangeSpec {
  bool already = false;  // in force, or wished for: nothing is to be done
  Configuration wish;
  std::uint32_t joining = 0;       // newcomers to be placed ...
  std::optional<NodeId> to;        // ... here, when given
};
Result<ChangeSpec, Refusal> validate_change(const ChangeVolume& request, const VolumeRecord& record,
                                            const VolumeSeen& seen, const NodesSeen& nodes,
                                            Instant now, const Options& options);

// Adds a replica with an id that this volume never had; the record's list stays sorted.
ReplicaId add_replica(VolumeRecord& record, NodeId node, const NodesSeen& nodes);

// The record with this wish and its newcomers; without any wish; with a committed configuration.
// Whoever is neither member nor newcomer any more is retired.
VolumeRecord with_wish(VolumeRecord record, const ChangeSpec& spec,
                       const std::vector<NodeId>& places, const NodesSeen& nodes);
VolumeRecord without_wish(VolumeRecord record);
VolumeRecord with_configuration(VolumeRecord record, const Configuration& config);

// "members=1,2 policy=quorum ..." for the history.
std::string change_fields(const Configuration& config);

// Has this newcomer been made on its node?
bool is_made(const VolumeSeen& seen, const NodesSeen& nodes, const ReplicaRecord& replica);

// The primary is about to leave by the wish: the last to be chosen.
bool primary_leaves(const VolumeRecord& record);

// What a ready volume needs for its wish: newcomers are made, retired ones deleted, a primary that
// leaves hands over, a member that is lost for good is replaced.
void plan_wish(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
               Instant now, const Options& options, Plan& plan);

}  // namespace seawall::controller
