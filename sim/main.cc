// seawall-sim: many seeds of a whole cluster in one thread. README.md says how to read it.
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "sim/batch.h"
#include "sim/enumerate/crash_main.h"
#include "sim/report.h"
#include "sim/generations/compare.h"
#include "sim/scripted.h"
#include "sim/shrink.h"

namespace seawall::sim {
namespace {

constexpr const char* usage =
    "seawall-sim --seed S --seeds N    runs N seeds from S on and ends with one line about them\n"
    "  --check-determinism             every seed twice; both runs must have the same trace\n"
    "  --trace                         prints every event of every run\n"
    "  --jobs J                        so many seeds at a time (1)\n"
    "  --stop-at-first                 ends with the first seed that fails\n"
    "  --tail N                        events printed before a failure (40)\n"
    "  --nodes N --policy P --write-cache C --log-bytes B   fix what is else drawn from the seed\n"
    "  --no-faults                     an undisturbed run\n"
    "  --with KIND,...                 every run has these kinds of faults; --list-faults shows "
    "all\n"
    "  --beyond                        more damage than tolerated: only wrong bytes count\n"
    "  --probes                        ends with a table of the rare states that were reached\n"
    "  --demand-probes                 fails (36) if one of them was not\n"
    "  --demand-common-probes          the same of those that some hundred seeds all reach\n"
    "  --floors FILE                   fails (37) if slower, by CPU time, than FILE demands\n"
    "  --hashes                        prints the trace's hash of each seed\n"
    "  --report FILE                   writes what was run and reached as JSON\n"
    "  --mutant-expected               this build is a wrong one: succeeds iff some seed fails\n"
    "seawall-sim shrink --seed S      drops what a failing seed does not need to fail\n"
    "  --strikes N,N,... --operations N --chaos-ms N --generation G   what a shrunken run is\n"
    "seawall-sim script FILE DIRECTORY  one request after the other, and the disks they leave\n"
    "seawall-sim crashpoints          somebody dies at every boundary; --help says more\n"
    "seawall-sim compare [--html FILE]  generations compared; --help says more\n"
    "  --canary                        plants nondeterminism: --check-determinism must find it\n"
    "exit status: 0 all seeds good; 2 usage; 31 safety, 32 liveness, 33 determinism, 34 crash "
    "(the\n"
    "worst kind counts); 35 a mutant survived; 36 a probe was never reached; 37 too slow\n";

struct Arguments {
  BatchOptions batch;
  bool mutant_expected = false;
  bool probes = false, demand_probes = false, demand_common = false;
  std::string report, floors;
};

bool number(const char* text, std::uint64_t& out) {
  const char* end = text + std::strlen(text);
  const auto [at, error] = std::from_chars(text, end, out);
  return error == std::errc{} && at == end && at != text;
}

[[noreturn]] void refuse(const char* what, const char* argument) {
  std::fprintf(stderr, "seawall-sim: %s: %s\n%s", what, argument, usage);
  std::exit(2);
}

std::uint64_t take_number(const char* name, const char* value) {
  std::uint64_t out = 0;
  if (value == nullptr || !number(value, out)) refuse("wants a whole number", name);
  return out;
}

void take_kinds(std::string_view list, FaultKinds& kinds) {
  while (!list.empty()) {
    const std::string_view name = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), name.size() + 1));
    const auto kind = fault_kind(name);
    if (!kind) refuse("knows no such kind of fault", std::string(name).c_str());
    kinds.add(*kind);
  }
}

void list_faults() {
  for (const FaultKindInfo& info : fault_kinds()) {
    std::printf("%-18s %-4s %s\n", std::string(info.name).c_str(), info.by_default ? "on" : "off",
                std::string(info.note).c_str());
  }
}

// True when `name` was an option with a value.
bool take_value(std::string_view name, const char* value, Arguments& arguments) {
  BatchOptions& batch = arguments.batch;
  if (name == "--seed") {
    batch.first_seed = take_number("--seed", value);
  } else if (name == "--seeds") {
    batch.seeds = take_number("--seeds", value);
  } else if (name == "--jobs") {
    batch.jobs = static_cast<unsigned>(take_number("--jobs", value));
  } else if (name == "--tail") {
    batch.tail_lines = take_number("--tail", value);
  } else if (name == "--nodes") {
    const std::uint64_t nodes = take_number("--nodes", value);
    if (nodes < 1 || nodes > 7) refuse("takes 1 to 7", "--nodes");
    batch.overrides.nodes = static_cast<std::uint32_t>(nodes);
  } else if (name == "--log-bytes") {
    batch.overrides.log_bytes = take_number("--log-bytes", value);
  } else if (name == "--report") {
    if (value == nullptr) refuse("wants a file", "--report");
    arguments.report = value;
  } else if (name == "--floors") {
    if (value == nullptr) refuse("wants a file", "--floors");
    arguments.floors = value;
  } else if (name == "--with") {
    if (value == nullptr) refuse("wants kinds of faults", "--with");
    take_kinds(value, batch.overrides.with);
  } else if (name == "--strikes") {
    if (value == nullptr || !parse_strikes(value, batch.overrides.strikes)) {
      refuse("wants numbers like 3,17,1000002, or none", "--strikes");
    }
  } else if (name == "--operations") {
    batch.overrides.operations = take_number("--operations", value);
  } else if (name == "--chaos-ms") {
    batch.overrides.chaos = take_number("--chaos-ms", value) * ms;
  } else if (name == "--generation") {
    for (const Generation* each : all_generations()) {
      if (value != nullptr && std::string_view(each->name) == value) {
        batch.overrides.generation = each;
      }
    }
    if (batch.overrides.generation == nullptr) refuse("wants v1, v1_5 or v2", "--generation");
  } else if (name == "--policy") {
    if (value == nullptr) refuse("wants quorum, in-sync, all or best-effort", "--policy");
    batch.overrides.policy = value;
  } else if (name == "--write-cache") {
    if (value == nullptr) refuse("wants writeback or none", "--write-cache");
    batch.overrides.write_cache = value;
  } else {
    return false;
  }
  return true;
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  BatchOptions& batch = arguments.batch;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--check-determinism") {
      batch.check_determinism = true;
    } else if (name == "--trace") {
      batch.print_trace = batch.details = true;
    } else if (name == "--stop-at-first") {
      batch.stop_at_first = true;
    } else if (name == "--no-faults") {
      batch.overrides.no_faults = true;
    } else if (name == "--probes") {
      arguments.probes = true;
    } else if (name == "--demand-probes") {
      arguments.probes = arguments.demand_probes = true;
    } else if (name == "--demand-common-probes") {
      arguments.probes = arguments.demand_common = true;
    } else if (name == "--hashes") {
      batch.print_hashes = true;
    } else if (name == "--beyond") {
      batch.overrides.beyond = true;
    } else if (name == "--list-faults") {
      list_faults();
      std::exit(0);
    } else if (name == "--canary") {
      batch.overrides.canary = true;
    } else if (name == "--mutant-expected") {
      arguments.mutant_expected = true;
      batch.stop_at_first = true;
    } else if (name == "--help" || name == "-h") {
      std::fputs(usage, stdout);
      std::exit(0);
    } else if (take_value(name, i + 1 < argc ? argv[i + 1] : nullptr, arguments)) {
      ++i;
    } else {
      refuse("unknown argument", argv[i]);
    }
  }
  if (batch.seeds == 0) refuse("must be at least 1", "--seeds");
  return arguments;
}

int exit_status(const BatchResult& result) {
  if (result.crash > 0) return static_cast<int>(Failure::crash);
  if (result.safety > 0) return static_cast<int>(Failure::safety);
  if (result.determinism > 0) return static_cast<int>(Failure::determinism);
  if (result.liveness > 0) return static_cast<int>(Failure::liveness);
  return 0;
}

void print_sums(const BatchResult& result) {
  const RunResult& sum = result.sum;
  std::printf("requests: %" PRIu64 " asked, %" PRIu64 " ok (%" PRIu64 " writes, %" PRIu64
              " reads, %" PRIu64 " flushes), %" PRIu64 " errors, %" PRIu64 " unanswered, %" PRIu64
              " told of a lost position\n",
              sum.workload.asked, sum.workload.ok, sum.workload.writes_ok, sum.workload.reads_ok,
              sum.workload.flushes_ok, sum.workload.failed, sum.workload.unanswered,
              sum.workload.lost_positions);
  std::printf("faults: %" PRIu64 " crashes, %" PRIu64 " power losses, %" PRIu64
              " partitions, %" PRIu64 " stream resets, %" PRIu64 " flipped bits\n",
              sum.crashes, sum.power_losses, sum.partitions, sum.network.resets, sum.network.flips);
  std::printf("recoveries: %" PRIu64 " failovers, %" PRIu64 " rewinds, %" PRIu64
              " catch-ups, %" PRIu64 " rebuilds\n",
              sum.failovers, sum.rewinds, sum.catch_ups, sum.rebuilds);
}

void write_report(const Arguments& arguments, const BatchResult& result, const RealTime& time) {
  std::FILE* file = std::fopen(arguments.report.c_str(), "w");
  if (file == nullptr) refuse("cannot be written", arguments.report.c_str());
  const std::string text = report_json(arguments.batch, result, time);
  std::fwrite(text.data(), 1, text.size(), file);
  std::fclose(file);
}

}  // namespace

int run_main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "compare") return compare_main(argc - 2, argv + 2);
  if (argc > 1 && std::string_view(argv[1]) == "script") return script_main(argc - 2, argv + 2);
  if (argc > 1 && std::string_view(argv[1]) == "crashpoints") {
    return crashpoints_main(argc - 2, argv + 2);
  }
  const bool shrinks = argc > 1 && std::string_view(argv[1]) == "shrink";
  const Arguments arguments = shrinks ? parse(argc - 1, argv + 1) : parse(argc, argv);
  if (shrinks) return shrink_main(arguments.batch);
  const auto began = std::chrono::steady_clock::now();
  const BatchResult result = run_batch(arguments.batch);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - began);
  const auto real_ms = static_cast<std::uint64_t>(took.count() > 0 ? took.count() : 1);
  rusage used{};
  getrusage(RUSAGE_CHILDREN, &used);  // all seeds run in children
  const auto cpu_ms = static_cast<std::uint64_t>(
      (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
      (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000);
  const RealTime time{real_ms, std::max<std::uint64_t>(cpu_ms, 1)};
  print_sums(result);
  if (arguments.probes) {
    print_probes(stdout, result);
    print_resources(stdout, result);
  }
  if (!arguments.report.empty()) write_report(arguments, result, time);
  if (arguments.mutant_expected) {
    if (result.failed > 0) {
      std::printf("mutant killed by seed %" PRIu64 "\n", result.first_failed_seed);
      return 0;
    }
    std::printf("mutant survived %" PRIu64 " seeds\n", result.seeds);
    return 35;
  }
  const Speed speed = speed_of(arguments.batch, result, time);
  std::printf("%" PRIu64 " seeds, %" PRIu64 " failed, %" PRIu64 " crash, %" PRIu64
              " safety, %" PRIu64 " liveness, %" PRIu64 " determinism, %" PRIu64 " events, %" PRIu64
              " simulated s, %" PRIu64 " events/s a core, %" PRIu64
              " x real time a core, hash %016" PRIx64 "\n",
              result.seeds, result.failed, result.crash, result.safety, result.liveness,
              result.determinism, result.events, result.simulated / seconds,
              speed.events_a_cpu_second, speed.times_real_time, result.hash);
  if (result.failed > 0) return exit_status(result);
  if ((arguments.demand_probes || arguments.demand_common) &&
      probes_missed(result, arguments.demand_probes) > 0) {
    return 36;
  }
  const bool fast = arguments.floors.empty() ||
                    reaches_floors(arguments.floors, arguments.batch, result, time);
  return fast ? 0 : 37;
}

}  // namespace seawall::sim

int main(int argc, char** argv) { return seawall::sim::run_main(argc, argv); }
