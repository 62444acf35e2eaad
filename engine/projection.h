// Projection: what a replica is doing, for people and heartbeats. Derived, ordered, never an input.
#pragma once

#include "engine/control.h"

namespace seawall {

class Engine;

ReplicaStatus project(const Engine& engine);

}  // namespace seawall
