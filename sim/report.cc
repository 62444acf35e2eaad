#include "sim/report.h"

#include <cinttypes>
#include <fstream>
#include <sstream>
#include <utility>

namespace seawall::sim {

namespace {

const char* often_name(Often often) {
  switch (often) {
    case Often::common: return "common";
    case Often::rare: return "rare";
    case Often::asked: return "asked";
  }
  return "?";
}

}  // namespace

void print_probes(std::FILE* out, const BatchResult& result) {
  std::fprintf(out, "probes: seeds that reached each state\n");
  for (std::size_t i = 0; i < probe_count; ++i) {
    std::fprintf(out, "  %8" PRIu64 "  %-6s  %-24s %s\n", result.probes[i],
                 often_name(probe_infos[i].often),
                 std::string(probe_infos[i].name).c_str(),
                 std::string(probe_infos[i].text).c_str());
  }
}

void print_resources(std::FILE* out, const BatchResult& result) {
  std::fprintf(out, "resources: the greatest of each that was seen\n");
  for (std::size_t i = 0; i < resource_count; ++i) {
    std::fprintf(out, "  %8" PRIu64 "  %-24s bounded by %s\n", result.sum.greatest[i],
                 std::string(resource_infos[i].name).c_str(),
                 std::string(resource_infos[i].bound).c_str());
  }
}

std::size_t probes_missed(const BatchResult& result, bool of_all) {
  std::size_t missed = 0;
  for (std::size_t i = 0; i < probe_count; ++i) {
    const Often often = probe_infos[i].often;
    if (result.probes[i] != 0 || often == Often::asked || (!of_all && often == Often::rare)) {
      continue;
    }
    std::printf("no seed reached: %s\n", std::string(probe_infos[i].name).c_str());
    ++missed;
  }
  return missed;
}

Speed speed_of(const BatchOptions& options, const BatchResult& result, const RealTime& time) {
  const std::uint64_t times = options.check_determinism ? 2 : 1;  // every seed ran so often
  return Speed{times * result.events * 1000 / time.cpu_ms,
               times * result.simulated / ms / time.cpu_ms};
}

bool reaches_floors(const std::string& path, const BatchOptions& options, const BatchResult& result,
                    const RealTime& time) {
  std::ifstream file(path);
  const Speed speed = speed_of(options, result, time);
  bool reached = true;
  std::size_t floors = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream words(line);
    std::string name;
    std::uint64_t floor = 0;
    words >> name >> floor;
    const bool events = name == "events_a_cpu_second";
    if (!words || (!events && name != "times_real_time")) {
      std::printf("no floor: %s\n", line.c_str());
      return false;
    }
    const std::uint64_t have = events ? speed.events_a_cpu_second : speed.times_real_time;
    std::printf("%s: %" PRIu64 ", at least %" PRIu64 "\n", name.c_str(), have, floor);
    reached = reached && have >= floor;
    ++floors;
  }
  return reached && floors > 0;
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
  const Speed speed = speed_of(options, result, time);
  add("events_a_cpu_second", speed.events_a_cpu_second);
  add("times_real_time", speed.times_real_time);
  add("operations_checked", result.sum.operations_checked);
  text += "  \"hash\": \"" + std::to_string(result.hash) + "\",\n  \"probes\": {";
  // What no run has to reach is left out: a soak fails for each that is here and was not reached.
  bool first = true;
  for (std::size_t i = 0; i < probe_count; ++i) {
    if (probe_infos[i].often == Often::asked) continue;
    text += std::string(std::exchange(first, false) ? "\n" : ",\n") + "    \"" +
            std::string(probe_infos[i].name) + "\": " + std::to_string(result.probes[i]);
  }
  text += "\n  },\n  \"resources\": {";
  for (std::size_t i = 0; i < resource_count; ++i) {
    text += std::string(i == 0 ? "\n" : ",\n") + "    \"" + std::string(resource_infos[i].name) +
            "\": " + std::to_string(result.sum.greatest[i]);
  }
  return text + "\n  }\n}\n";
}

}  // namespace seawall::sim
