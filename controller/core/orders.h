// What an operator has ordered and a volume record remembers until it is done: the planned move of
// a primary, and the force that names a new set when no promotion is allowed.
//
// Plain values; part of the record, so they survive the controller. Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/control.h"

namespace seawall::controller {

// Without a pending epoch: the primary drains. With one: `target` is its only candidate.
struct MoveOrder {
  ReplicaId target;
  std::string operation;
  friend bool operator==(const MoveOrder&, const MoveOrder&) = default;
};

struct ForceOrder {
  ReplicaSet members;  // named: of the configuration, sorted
  std::string operation;
  std::string who;
  std::string why;
  std::uint64_t asked_ms = 0;        // Unix time, by the clock of the edge that took it
  bool old_primary_stopped = false;  // the operator's word
  friend bool operator==(const ForceOrder&, const ForceOrder&) = default;
};

// The last force that was carried out. What may be lost lies after `kept`; `known` is the greatest
// position that a replica left out was known to hold (absent: nobody knows).
struct ForceOutcome {
  ForceOrder order;
  Epoch epoch;
  Position kept;
  std::optional<Position> known;
  friend bool operator==(const ForceOutcome&, const ForceOutcome&) = default;
};

}  // namespace seawall::controller
