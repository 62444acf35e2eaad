#include "sim/membership.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "sim/fault_atlas.h"

namespace seawall::sim {
namespace {

constexpr std::uint32_t copies_least = 2;

std::string name_of(NodeId node) { return "n" + std::to_string(node.value()); }

}  // namespace

controller::ChangeVolume draw_change(Prng& prng, const controller::VolumeRecord& record,
                                     NodeNumber nodes) {
  controller::ChangeVolume wish;
  wish.volume = record.name;
  const auto copies = static_cast<std::uint32_t>(record.config.members.size());
  const std::uint64_t draw = prng.below(100);
  const controller::ReplicaRecord& one = record.replicas[prng.below(record.replicas.size())];
  std::vector<std::string> free;  // nodes without a copy
  for (NodeNumber node = 1; node <= nodes; ++node) {
    const bool taken = std::any_of(record.replicas.begin(), record.replicas.end(),
                                   [node](const auto& each) { return each.node == NodeId{node}; });
    if (!taken) free.push_back("n" + std::to_string(node));
  }
  constexpr std::array policies = {"quorum", "quorum", "in-sync", "all", "best-effort"};
  const std::string policy = policies[prng.below(policies.size())];
  const bool says_where = prng.coin();
  if (draw < 10) {
    wish.cancel = true;
  } else if (draw < 35 && !free.empty()) {
    wish.replace = name_of(one.node);
    if (says_where) wish.to = prng.pick(free);
  } else if (draw < 60 && !free.empty()) {
    wish.replicas = copies + 1;
  } else if (draw < 80 && copies > copies_least) {
    wish.remove = name_of(one.node);
  } else {
    wish.policy = policy;
  }
  return wish;
}

std::size_t copies_tolerated(const Configuration& config) {
  if (config.policy == Policy::in_sync) return config.min_in_sync > 0 ? config.min_in_sync - 1u : 0;
  return copies_tolerated("quorum", config.members.size());
}

std::size_t copies_tolerated(const controller::VolumeRecord& record) {
  const std::size_t now = copies_tolerated(record.config);
  return record.wish ? std::min(now, copies_tolerated(*record.wish)) : now;
}

std::size_t copies_tolerated_after(const controller::ChangeVolume& wish,
                                   const controller::VolumeRecord& record) {
  const std::size_t now = copies_tolerated(record);
  if (!wish.policy.empty()) {
    return std::min(now, copies_tolerated(wish.policy, record.config.members.size()));
  }
  Configuration less = record.config;
  if (less.policy == Policy::quorum && !wish.remove.empty()) less.members.pop_back();
  return std::min(now, copies_tolerated(less));
}

}  // namespace seawall::sim
