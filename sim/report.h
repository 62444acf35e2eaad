// Report: what a batch was and what it reached, as one JSON file and as a table.
//
// Life cycle: pure functions over a finished batch. Units: real milliseconds of wall clock, and of
// CPU time of all workers: events a second a core are counted by the latter, so that a busy machine
// does not look like a slow simulator.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "sim/batch.h"

namespace seawall::sim {

struct RealTime {
  std::uint64_t wall_ms = 1, cpu_ms = 1;
};

void print_probes(std::FILE* out, const BatchResult& result);
// How many probes no seed has reached.
std::size_t probes_missed(const BatchResult& result);
std::string report_json(const BatchOptions& options, const BatchResult& result,
                        const RealTime& time);

}  // namespace seawall::sim
