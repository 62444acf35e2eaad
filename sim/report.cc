#include "sim/report.h"

#include <algorithm>
#include <cinttypes>

namespace seawall::sim {

void print_probes(std::FILE* out, const BatchResult& result) {
  std::fprintf(out, "probes: seeds that reached each state\n");
  for (std::size_t i = 0; i < probe_count; ++i) {
    std::fprintf(out, "  %8" PRIu64 "  %-24s %s\n", result.probes[i],
                 std::string(probe_infos[i].name).c_str(),
                 std::string(probe_infos[i].text).c_str());
  }
}

std::size_t probes_missed(const BatchResult& result) {
  return static_cast<std::size_t>(std::count(result.probes.begin(), result.probes.end(), 0u));
}

std::string report_json(const BatchOptions& options, const BatchResult& result,
                        const RealTime& time) {
  std::string text = "{\n";
  const auto add = [&text](const std::string& name, std::uint64_t value) {
    text += "  \"" + name + "\": " + std::to_string(value) + ",\n";
  };
  add("first_seed", options.first_seed);
  add("seeds", result.seeds);
  add("failed", result.failed);
  add("crash", result.crash);
  add("safety", result.safety);
  add("liveness", result.liveness);
  add("determinism", result.determinism);
  add("every_seed_twice", options.check_determinism ? 1 : 0);
  add("events", result.events);
  add("simulated_seconds", result.simulated / seconds);
  add("wall_ms", time.wall_ms);
  add("cpu_ms", time.cpu_ms);
  const std::uint64_t times = options.check_determinism ? 2 : 1;  // every seed ran so often
  add("events_a_cpu_second", times * result.events * 1000 / time.cpu_ms);
  add("times_real_time", times * result.simulated / ms / time.cpu_ms);
  add("operations_checked", result.sum.operations_checked);
  text += "  \"hash\": \"" + std::to_string(result.hash) + "\",\n  \"probes\": {";
  for (std::size_t i = 0; i < probe_count; ++i) {
    text += std::string(i == 0 ? "\n" : ",\n") + "    \"" + std::string(probe_infos[i].name) +
            "\": " + std::to_string(result.probes[i]);
  }
  return text + "\n  }\n}\n";
}

}  // namespace seawall::sim
