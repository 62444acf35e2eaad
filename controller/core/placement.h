// Placement: which nodes take the replicas of a new volume, or the newcomers of a changing one. A
// pure function.
//
// Spread by free space, then by fewer replicas, then by the smaller id; never two replicas of one
// volume on a node; never a node that cannot hold it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/limits.h"
#include "engine/base/result.h"

namespace seawall::controller {

// Free bytes that a replica with such a log needs at first.
constexpr std::uint64_t replica_bytes_needed(std::uint64_t log_bytes) {
  return log_bytes + 2 * limits::super_slot_bytes + limits::MiB;
}

struct PlacementNode {
  NodeId id;
  std::uint64_t free_bytes = 0;
  std::uint32_t replicas = 0;  // that it holds already
};

// The chosen nodes in ascending order of id, `count` of them. Errc::unavailable when there are
// fewer nodes than that (a: nodes given, b: wanted); Errc::no_space when there are enough nodes but
// too few with `bytes_needed` free (a: nodes with room, b: wanted).
Result<std::vector<NodeId>> plan_placement(std::span<const PlacementNode> nodes,
                                           std::uint32_t count, std::uint64_t bytes_needed);

}  // namespace seawall::controller
