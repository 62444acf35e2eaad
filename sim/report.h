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
struct Speed {
  std::uint64_t events_a_cpu_second = 0, times_real_time = 0;  // both of one core
};
Speed speed_of(const BatchOptions& options, const BatchResult& result, const RealTime& time);

void print_probes(std::FILE* out, const BatchResult& result);
void print_resources(std::FILE* out, const BatchResult& result);
// How many probes no seed has reached; of all, or of the common ones only.
std::size_t probes_missed(const BatchResult& result, bool of_all);
// Least speeds: a file of lines `name number`, names as in the JSON report ('#': a comment). Prints
// each beside what was reached; false: one was missed, or the file is not readable.
bool reaches_floors(const std::string& path, const BatchOptions& options, const BatchResult& result,
                    const RealTime& time);
std::string report_json(const BatchOptions& options, const BatchResult& result,
                        const RealTime& time);

}  // namespace seawall::sim
