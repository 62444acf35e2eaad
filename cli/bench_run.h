// One benchmark run: attaches in this process as a front end does and keeps `depth` requests open.
//
// Life cycle: run_bench() does it all: connect, warm up, measure, run dry, read back. Thread: the
// caller's; it blocks until the end. Units: nanoseconds in histograms, milliseconds in options.
// Errors: Failure when no primary lets us in within the time; failed requests are counted.
#pragma once

#include <cstdint>
#include <string>

#include "cli/latency.h"
#include "cli/workload.h"
#include "node/runtime/control_port.h"

namespace seawall::cli {

struct BenchOptions {
  WorkloadOptions work;
  std::size_t depth = 1;
  std::uint64_t runtime_ms = 10'000;
  std::uint64_t ramp_ms = 0;
  std::uint64_t connect_timeout_ms = 10'000;
  bool once = false;  // each block once, in order, instead of for a time
};

struct BenchResult {
  LatencyHistogram reads, writes;  // of the measured time
  double seconds = 0;
  std::uint64_t ramp_ios = 0;
  std::uint64_t errors = 0;
  std::uint64_t blocks_verified = 0;
  std::uint64_t mismatches = 0;
  std::string first_problem;  // the first error or mismatch as a sentence
};

BenchResult run_bench(const control::AttachmentView& view, const BenchOptions& options);

}  // namespace seawall::cli
