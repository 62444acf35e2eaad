// Operations: scripted runs of a whole cluster, one operation of the product each.
//
// Purpose: the runs whose every boundary is a crash point (crash_points.h). A script prepares,
// plays its operation between the two marks of a scene, and ends; whoever dies meanwhile, it goes
// on: what it waits for it waits for within a limit only. Life cycle: one call a run. Thread: the
// run's. Determinism: a function of the cluster.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "sim/options.h"
#include "sim/scene.h"

namespace seawall::sim {

// What the fault-free scene really did, beside what its name says.
struct SceneDone {
  std::uint64_t failovers = 0, rewinds = 0, catch_ups = 0, rebuilds = 0, deltas = 0;
  std::uint64_t trimmed = 0;
  std::uint64_t writes = 0, flushes = 0;  // completed
};
std::string describe(const SceneDone& done);

struct Operation {
  const char* name;
  const char* what;
  RunOptions (*options)();
  void (*script)(Scene& scene, SceneDone& done);
};

std::span<const Operation> operations();
const Operation* find_operation(std::string_view name);

}  // namespace seawall::sim
