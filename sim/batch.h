// Batch: many seeds, each in a process that may die of it.
//
// Purpose: a CHECK that fails, a signal or an endless loop is a finding about one seed and must not
// hide the others. Workers are children of this process; each reports seed by seed through a pipe,
// and the one that dies is replaced, from the next seed on.
// Life cycle: one call. Thread: one, plus children. Errors: a child that dies is the Failure::crash
// of the seed that it ran. Units: real seconds for the limit of one seed.
#pragma once

#include <cstdint>
#include <cstdio>

#include "sim/options.h"
#include "sim/run.h"

namespace seawall::sim {

struct BatchOptions {
  std::uint64_t first_seed = 1;
  std::uint64_t seeds = 1;
  unsigned jobs = 1;
  unsigned seed_limit_s = 240;  // of CPU time
  bool check_determinism = false;
  bool print_trace = false;
  bool details = false;  // engine events, too; a failed seed runs again with them
  bool stop_at_first = false;
  bool print_hashes = false;  // of the trace of each seed
  std::uint64_t reports_max = 5;  // failures that are printed whole
  std::size_t tail_lines = 40;
  Overrides overrides;
};

struct BatchResult {
  std::uint64_t seeds = 0, failed = 0;
  std::uint64_t crash = 0, safety = 0, liveness = 0, determinism = 0;
  std::uint64_t first_failed_seed = 0;
  std::uint64_t events = 0;
  Micros simulated = 0;
  std::uint64_t hash = 0;  // over the hashes of all seeds, in their order
  RunResult sum;           // of the counters
  ProbeCounts probes{};
};

BatchResult run_batch(const BatchOptions& options);

// Everything about one failed seed that its finder needs; ends with the replay command.
void print_failure(std::FILE* out, const RunOptions& options, const BatchOptions& batch,
                   Failure failure, const std::string& text, const Trace& trace);
std::string replay_command(std::uint64_t seed, const BatchOptions& batch);

}  // namespace seawall::sim
