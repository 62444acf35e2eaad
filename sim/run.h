// Run: one seed from beginning to end.
//
// Purpose: builds a cluster from the options, lets the workload and the faults have their way for
// the first phase (safety), then heals everything and demands convergence (liveness), then reads
// everything back, turns all machines off at once, and reads everything back again.
// Life cycle: run_seed() is the whole life. Thread: one. Errors: in the result, never thrown.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/checkers/bounded.h"
#include "sim/options.h"
#include "sim/probes.h"
#include "sim/trace.h"
#include "sim/verdict.h"
#include "sim/workload.h"

namespace seawall::sim {

struct RunResult {
  std::uint64_t seed = 0;
  Failure failure = Failure::none;
  std::string text;
  std::uint64_t hash = 0;
  std::uint64_t events = 0;
  Micros simulated = 0;
  WorkloadStats workload;
  NetworkStats network;
  std::uint64_t crashes = 0, power_losses = 0, partitions = 0, failovers = 0;
  std::uint64_t wishes_granted = 0;  // changes of a configuration that an operator asked for
  std::uint64_t rewinds = 0, catch_ups = 0,
                rebuilds = 0;  // orders; a catch-up is one read of the log
  std::uint64_t operations_checked = 0;  // by the exact checker of linearizability
  Probes probes;
  Greatest greatest{};  // of every bounded resource
};

RunResult run_seed(const RunOptions& options, Trace& trace);

}  // namespace seawall::sim
