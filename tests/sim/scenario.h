// What the scenarios of whole clusters share: a calm start, and a run that must end well.
#pragma once

#include <gtest/gtest.h>

#include "sim/batch.h"
#include "sim/run.h"

namespace seawall::sim {

// What a scenario starts from: three nodes, a client of its own, and no fault of any kind.
inline RunOptions calm(std::uint64_t seed) {
  Overrides overrides;
  overrides.no_faults = true;
  overrides.nodes = 3;
  overrides.policy = "quorum";
  overrides.write_cache = "writeback";
  RunOptions options = draw_options(seed, overrides);
  options.client_apart = true;
  options.more_volumes.clear();
  options.chaos = 10 * seconds;
  options.faults.down_max = 2 * seconds;
  options.faults.cut_max = 4 * seconds;
  return options;
}

inline RunResult run_good(const RunOptions& options) {
  Trace trace(false);
  RunResult result = run_seed(options, trace);
  EXPECT_EQ(result.failure, Failure::none)
      << "seed " << options.seed << " " << failure_name(result.failure) << ": " << result.text
      << "\n  " << describe(options);
  return result;
}

inline constexpr std::uint64_t scenario_seeds = 6;

}  // namespace seawall::sim
