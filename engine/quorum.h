// Which prefix does a configuration demand? Pure arithmetic, values in, values out.
//
// A Standing is what one replica holds and is allowed to count with; nullopt is a missing ack.
// Sizes come from the configuration, never from who happens to be connected: an absent member is a
// Standing that is not there. Works for positions (Lsn) and for times of grants (Instant) alike.
// Thread: any. Errors: none; "not satisfied" is nullopt.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "engine/base/bounded_vector.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"
#include "engine/control.h"

namespace seawall {

// Acks of a write under Policy::quorum with n members, the primary included.
constexpr std::size_t write_quorum(std::size_t members) { return members / 2 + 1; }
// Promises that every write quorum intersects.
constexpr std::size_t read_quorum(std::size_t members) {
  return members - write_quorum(members) + 1;
}

template <class Value>
struct Standing {
  ReplicaId replica;
  std::optional<Value> at;
};

// The greatest value that the set demanded by `config` has reached: under quorum the W-th greatest
// of its members, under in-sync the least of its in-sync set. nullopt: too few count, or an empty
// set.
template <class Value>
std::optional<Value> reached(const Configuration& config,
                             std::span<const Standing<Value>> standings) {
  const ReplicaSet& set = config.policy == Policy::quorum ? config.members : config.in_sync;
  const std::size_t needed =
      config.policy == Policy::quorum ? write_quorum(set.size()) : set.size();
  if (set.empty()) return std::nullopt;
  BoundedVector<Value, limits::members_max> values;  // descending
  for (const ReplicaId member : set) {
    for (const Standing<Value>& standing : standings) {
      if (standing.replica != member || !standing.at) continue;
      std::size_t place = 0;
      while (place < values.size() && values[place] >= *standing.at) ++place;
      values.insert_at(place, *standing.at);
      break;  // one replica is one vote
    }
  }
  if (values.size() < needed) return std::nullopt;
  return values[needed - 1];
}

// Both configurations at once: while a change is proposed and its outcome is not known.
template <class Value>
std::optional<Value> reached_jointly(const Configuration& now,
                                     const std::optional<Configuration>& wanted,
                                     std::span<const Standing<Value>> standings) {
  const std::optional<Value> old_side = reached(now, standings);
  if (!wanted || !old_side) return old_side;
  const std::optional<Value> new_side = reached(*wanted, standings);
  if (!new_side) return std::nullopt;
  return *new_side < *old_side ? new_side : old_side;
}

}  // namespace seawall
