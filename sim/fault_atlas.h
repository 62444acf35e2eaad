// FaultAtlas: how much of one volume's copies is in doubt, and whether one more may be.
//
// Purpose: keeps injected damage inside what a configuration promises to survive, so that
// durability may be asserted; and knows when the promise is off. A copy is in doubt after a loss of
// power until its primary counts it and its intact bit is back, and for the rest of the run once
// its disk has been damaged (a flipped bit may lie unread for ever).
// Life cycle: one run, one volume. Thread: the run's. Units: microseconds of simulated time.
#pragma once

#include <cstddef>
#include <set>
#include <string>

#include "sim/network.h"
#include "sim/scheduler.h"

namespace seawall::sim {

// Copies that a volume may lose, unflushed data included, without losing anything that completed.
std::size_t copies_tolerated(const std::string& policy, std::size_t replicas);

class FaultAtlas {
 public:
  FaultAtlas(const std::string& policy, std::size_t replicas, bool durable_completions)
      : tolerated_(copies_tolerated(policy, replicas)), durable_completions_(durable_completions) {}

  // The configuration in force, or the one that is about to be, is another one now.
  void set_tolerated(std::size_t copies) { tolerated_ = copies; }
  [[nodiscard]] std::size_t doubted() const;

  // This node may lose power, or its disk be damaged, and everything is still within the promise.
  [[nodiscard]] bool may_doubt(NodeNumber node) const;
  void power_lost(NodeNumber node);
  void damaged(NodeNumber node) { damaged_.insert(node); }
  // Besides that: wrong bytes may lie there unread. Errors that were told leave none behind.
  void rots(NodeNumber node) { rotten_.insert(node); }
  [[nodiscard]] bool is_rotten(NodeNumber node) const { return rotten_.contains(node); }
  // Every copy was seen in sync and intact.
  void proven(Micros now);
  [[nodiscard]] bool in_doubt() const { return !unproven_.empty(); }
  [[nodiscard]] const std::set<NodeNumber>& unproven() const { return unproven_; }
  // The client had a good answer: it is connected, so it has heard of what was lost before.
  void heard() { heard_ = true; }
  // More copies were in doubt at a time than tolerated: completed, unflushed data may be lost. The
  // client hears of it later than we see the proof: a little, or when it can connect at last.
  [[nodiscard]] bool loss_allowed(Micros now) const {
    return now < loss_allowed_until_ || (loss_allowed_until_ != 0 && !heard_);
  }

 private:
  [[nodiscard]] std::size_t doubted_with(NodeNumber node) const;

  std::size_t tolerated_;
  bool durable_completions_;
  std::set<NodeNumber> unproven_;  // lost power, not seen in sync and intact since
  std::set<NodeNumber> damaged_;
  std::set<NodeNumber> rotten_;
  Micros loss_allowed_until_ = 0;
  bool heard_ = true;  // since the proof
};

}  // namespace seawall::sim
