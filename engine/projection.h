// Projection: what a replica is doing, for people and heartbeats. Derived, ordered, never an input.
#pragma once

#include "engine/control.h"

namespace seawall {

class Engine;
struct Peer;

// `now` is the asker's: an idle replica steps rarely, and its grant runs out all the same.
ReplicaStatus project(const Engine& engine, Instant now);

// The one state of a replica that its row says, whatever else is in it.
ReplicaState replica_state(const Peer& peer);

}  // namespace seawall
