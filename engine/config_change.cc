#include "engine/config_change.h"

namespace seawall {
namespace {

bool is_sorted_within(const ReplicaSet& set, const ReplicaSet& bounds) {
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (!bounds.contains(set[i])) return false;
    if (i > 0 && !(set[i - 1] < set[i])) return false;
  }
  return true;
}

// What no configuration may lack, whoever asks for it.
bool is_sound(const Configuration& config, ReplicaId primary) {
  if (!config.members.contains(primary)) return false;
  if (config.min_in_sync < 1 || config.min_in_sync > config.members.size()) return false;
  if (config.policy == Policy::quorum) return config.in_sync.empty();
  return config.in_sync.size() >= config.min_in_sync && config.in_sync.contains(primary) &&
         is_sorted_within(config.in_sync, config.members);
}

}  // namespace

ReplicaSet united(const ReplicaSet& a, const ReplicaSet& b) {
  ReplicaSet all;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() || j < b.size()) {
    const bool from_a = j == b.size() || (i < a.size() && a[i] <= b[j]);
    if (from_a && j < b.size() && a[i] == b[j]) ++j;
    all.push_back(from_a ? a[i++] : b[j++]);
  }
  return all;
}

ReplicaSet members_of_step(const Configuration& wish, ReplicaId primary) {
  ReplicaSet leader;
  leader.push_back(primary);
  return united(wish.members, leader);
}

bool fulfils(const Configuration& config, const Configuration& wish) {
  return config.members == wish.members && config.policy == wish.policy &&
         config.min_in_sync == wish.min_in_sync && config.write_cache == wish.write_cache;
}

bool is_step(const Configuration& config, const std::optional<Configuration>& wish,
             const Configuration& next, ReplicaId primary) {
  if (!is_sound(next, primary)) return false;
  if (config.policy == Policy::in_sync && fulfils(next, config)) return true;
  if (!wish) return false;
  Configuration step = *wish;
  step.members = members_of_step(*wish, primary);
  return fulfils(next, step);
}

}  // namespace seawall
