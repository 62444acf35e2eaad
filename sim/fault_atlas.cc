#include "sim/fault_atlas.h"

#include "engine/quorum.h"

namespace seawall::sim {
namespace {

constexpr Micros never_ends = ~Micros{0};
constexpr Micros told_within = 10 * seconds;

}  // namespace

std::size_t copies_tolerated(const std::string& policy, std::size_t replicas) {
  if (replicas < 2) return 0;
  if (policy == "quorum") return write_quorum(replicas) - 1;
  if (policy == "all") return replicas - 1;
  if (policy == "best-effort") return 0;
  return replicas - 2;  // in-sync with the default minimum of n - 1
}

std::size_t FaultAtlas::doubted_with(NodeNumber node) const {
  std::set<NodeNumber> all = unproven_;
  all.insert(damaged_.begin(), damaged_.end());
  all.insert(node);
  return all.size();
}

std::size_t FaultAtlas::doubted() const {
  std::set<NodeNumber> all = unproven_;
  all.insert(damaged_.begin(), damaged_.end());
  return all.size();
}

bool FaultAtlas::may_doubt(NodeNumber node) const { return doubted_with(node) <= tolerated_; }

void FaultAtlas::power_lost(NodeNumber node) {
  unproven_.insert(node);
  if (doubted_with(node) > tolerated_ && !durable_completions_) loss_allowed_until_ = never_ends;
}

void FaultAtlas::proven(Micros now) {
  unproven_.clear();
  if (loss_allowed_until_ != never_ends) return;
  loss_allowed_until_ = now + told_within;
  heard_ = false;
}

}  // namespace seawall::sim
