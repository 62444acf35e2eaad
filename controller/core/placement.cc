#include "controller/core/placement.h"

#include <algorithm>

namespace seawall::controller {

Result<std::vector<NodeId>> plan_placement(std::span<const PlacementNode> nodes,
                                           std::uint32_t count, std::uint64_t bytes_needed) {
  if (nodes.size() < count) {
    return make_error(Errc::unavailable, "fewer nodes than replicas", nodes.size(), count);
  }
  std::vector<PlacementNode> fits;
  for (const PlacementNode& node : nodes) {
    if (node.free_bytes >= bytes_needed) fits.push_back(node);
  }
  if (fits.size() < count) {
    return make_error(Errc::no_space, "too few nodes with enough free space", fits.size(), count);
  }
  std::sort(fits.begin(), fits.end(), [](const PlacementNode& a, const PlacementNode& b) {
    if (a.free_bytes != b.free_bytes) return a.free_bytes > b.free_bytes;
    if (a.replicas != b.replicas) return a.replicas < b.replicas;
    return a.id < b.id;
  });
  std::vector<NodeId> chosen;
  for (std::uint32_t i = 0; i < count; ++i) chosen.push_back(fits[i].id);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace seawall::controller
