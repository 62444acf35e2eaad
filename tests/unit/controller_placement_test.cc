// Placement: properties over random clusters, and a deliberately dumb twin.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "controller/core/placement.h"
#include "engine/base/prng.h"

namespace seawall::controller {
namespace {

// Takes the best node that is left, again and again.
std::vector<NodeId> dumb_placement(std::vector<PlacementNode> nodes, std::uint32_t count,
                                   std::uint64_t needed) {
  std::vector<NodeId> chosen;
  while (chosen.size() < count) {
    const PlacementNode* best = nullptr;
    for (const PlacementNode& node : nodes) {
      if (node.free_bytes < needed) continue;
      if (std::find(chosen.begin(), chosen.end(), node.id) != chosen.end()) continue;
      const bool better = best == nullptr || node.free_bytes > best->free_bytes ||
                          (node.free_bytes == best->free_bytes &&
                           (node.replicas < best->replicas ||
                            (node.replicas == best->replicas && node.id < best->id)));
      if (better) best = &node;
    }
    if (best == nullptr) return {};
    chosen.push_back(best->id);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

TEST(Placement, over_random_clusters_it_equals_its_twin_in_any_order_of_the_nodes) {
  Prng prng(1);
  for (int round = 0; round < 2'000; ++round) {
    std::vector<PlacementNode> nodes;
    const std::uint64_t size = prng.range(0, 9);
    for (std::uint64_t i = 0; i < size; ++i) {
      nodes.push_back(PlacementNode{NodeId(i + 1), prng.below(4) * 100,
                                    static_cast<std::uint32_t>(prng.below(3))});
    }
    const auto count = static_cast<std::uint32_t>(prng.range(1, 7));
    const std::uint64_t needed = prng.below(4) * 100;
    const std::vector<NodeId> expected = dumb_placement(nodes, count, needed);
    prng.shuffle(std::span(nodes));
    const auto chosen = plan_placement(nodes, count, needed);
    if (expected.empty()) {
      ASSERT_FALSE(chosen.has_value());
      EXPECT_EQ(chosen.error().code, size < count ? Errc::unavailable : Errc::no_space);
      continue;
    }
    ASSERT_TRUE(chosen.has_value());
    EXPECT_EQ(*chosen, expected);
    EXPECT_EQ(std::set<NodeId>(chosen->begin(), chosen->end()).size(), count)
        << "no two replicas on one node";
  }
}

}  // namespace
}  // namespace seawall::controller
