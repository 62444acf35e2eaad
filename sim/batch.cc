#include "sim/batch.h"

#include <malloc.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <csignal>
#include <cstring>
#include <map>
#include <memory>

#include "engine/base/chain.h"
#include "engine/base/check.h"
#include "engine/generation.h"
#include "sim/shrink.h"

namespace seawall::sim {
namespace {

// What a worker tells, as it is in memory: both ends are this very program.
struct Report {
  bool begins = false;
  std::uint64_t seed = 0;
  Failure failure = Failure::none;
  std::uint64_t hash = 0, events = 0;
  Micros simulated = 0;
  WorkloadStats workload;
  NetworkStats network;
  std::array<std::uint64_t, 8> counters{};
  std::uint64_t probes = 0;
  Greatest greatest{};
};

// What the check hook needs; one worker runs one seed at a time.
struct Current {
  const RunOptions* options = nullptr;
  const BatchOptions* batch = nullptr;
  const Trace* trace = nullptr;
};
Current current;

void on_check_failure(const CheckFailure& failure) {
  const std::string text = std::string("CHECK(") + failure.condition + ") failed at " +
                           failure.file + ":" + std::to_string(failure.line) + " " +
                           failure.message;
  // Without details: the batch runs this seed again with them.
  if (current.trace != nullptr && current.trace->details()) {
    print_failure(stdout, *current.options, *current.batch, Failure::crash, text, *current.trace);
    std::fflush(stdout);
  }
}

Report report_of(const RunResult& result) {
  Report report;
  report.seed = result.seed;
  report.failure = result.failure;
  report.hash = result.hash;
  report.events = result.events;
  report.simulated = result.simulated;
  report.workload = result.workload;
  report.network = result.network;
  report.counters = {result.crashes,   result.power_losses,      result.partitions,
                     result.failovers, result.rewinds,           result.catch_ups,
                     result.rebuilds,  result.operations_checked};
  report.probes = result.probes.bits();
  report.greatest = result.greatest;
  return report;
}

// Runs the seed twice more and compares event by event.
std::string name_difference(const RunOptions& options, const Trace& one, const Trace& other) {
  const auto differ = std::mismatch(one.checkpoints().begin(), one.checkpoints().end(),
                                    other.checkpoints().begin(), other.checkpoints().end());
  const auto good = static_cast<std::uint64_t>(differ.first - one.checkpoints().begin());
  Trace first(true), second(false);
  current.trace = &first;
  run_seed(options, first);
  second.set_reference(&first);
  current.trace = &second;
  run_seed(options, second);
  return "the second run was another one, within " + std::to_string(Trace::checkpoint_every) +
         " events of event " + std::to_string(good * Trace::checkpoint_every) + ": " +
         (second.first_difference().empty() ? "two further runs agreed"
                                            : second.first_difference());
}

Report run_one(std::uint64_t seed, const BatchOptions& batch, bool print) {
  const RunOptions options = draw_options(seed, batch.overrides);
  Trace trace(false);
  trace.set_live(batch.print_trace);
  trace.set_details(batch.details);
  current = Current{&options, &batch, &trace};
  RunResult result = run_seed(options, trace);
  if (result.failure == Failure::none && batch.check_determinism) {
    Trace second(false);
    current.trace = &second;
    const RunResult again = run_seed(options, second);
    if (again.hash != result.hash || again.failure != result.failure ||
        second.checkpoints() != trace.checkpoints()) {
      result.failure = Failure::determinism;
      result.text = name_difference(options, trace, second);
    }
  }
  if (result.failure != Failure::none && print) {
    if (result.failure == Failure::determinism || batch.details) {
      print_failure(stdout, options, batch, result.failure, result.text, trace);
    } else {
      Trace told(false);
      told.set_details(true);
      current.trace = &told;
      run_seed(options, told);
      print_failure(stdout, options, batch, result.failure, result.text, told);
    }
  }
  current = Current{};
  return report_of(result);
}

void send_report(int fd, const Report& report) {
  if (write(fd, &report, sizeof(report)) != static_cast<ssize_t>(sizeof(report))) _exit(1);
}

// The seeds of one worker: first, first + step, ...
struct Lane {
  std::uint64_t next = 0, end = 0, step = 1;
  pid_t child = -1;
  int fd = -1;
  bool running = false;
};

// CPU time: a busy machine ends no seed.
void limit_cpu(unsigned seconds_left) {
  itimerval limit{};
  limit.it_value.tv_sec = seconds_left;
  setitimer(ITIMER_PROF, &limit, nullptr);
}

// What one run frees the next one takes, instead of new pages of the kernel.
void keep_memory() {
  constexpr int plenty = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, plenty);
  mallopt(M_TRIM_THRESHOLD, plenty);
}

[[noreturn]] void work(const Lane& lane, int fd, const BatchOptions& batch, std::uint64_t reports) {
  keep_memory();
  set_check_hook(on_check_failure);
  for (std::uint64_t seed = lane.next; seed < lane.end; seed += lane.step) {
    Report begin;
    begin.begins = true;
    begin.seed = seed;
    send_report(fd, begin);
    limit_cpu(batch.seed_limit_s);
    const Report report = run_one(seed, batch, reports < batch.reports_max);
    limit_cpu(0);
    if (report.failure != Failure::none) ++reports;
    std::fflush(stdout);
    send_report(fd, report);
    if (report.failure != Failure::none && batch.stop_at_first) break;
  }
  _exit(0);
}

void spawn(Lane& lane, const BatchOptions& batch, std::uint64_t reports) {
  std::array<int, 2> ends{};
  CHECK(pipe(ends.data()) == 0);
  std::fflush(nullptr);
  lane.child = fork();
  CHECK(lane.child >= 0);
  if (lane.child == 0) {
    close(ends[0]);
    work(lane, ends[1], batch, reports);
  }
  close(ends[1]);
  lane.fd = ends[0];
}

bool read_report(int fd, Report& report) {
  std::size_t have = 0;
  while (have < sizeof(report)) {
    const ssize_t got = read(fd, reinterpret_cast<char*>(&report) + have, sizeof(report) - have);
    if (got <= 0) return false;
    have += static_cast<std::size_t>(got);
  }
  return true;
}

void count_failure(BatchResult& result, Failure failure, std::uint64_t seed) {
  if (failure == Failure::none) return;
  if (result.failed == 0 || seed < result.first_failed_seed) result.first_failed_seed = seed;
  ++result.failed;
  switch (failure) {
    case Failure::none: break;
    case Failure::safety: ++result.safety; break;
    case Failure::liveness: ++result.liveness; break;
    case Failure::determinism: ++result.determinism; break;
    case Failure::crash: ++result.crash; break;
  }
}

void add_report(BatchResult& result, const Report& report) {
  result.events += report.events;
  result.simulated += report.simulated;
  RunResult& sum = result.sum;
  sum.workload += report.workload;
  sum.network.frames += report.network.frames;
  sum.network.bytes += report.network.bytes;
  sum.network.resets += report.network.resets;
  sum.network.flips += report.network.flips;
  sum.network.dials += report.network.dials;
  sum.network.held += report.network.held;
  sum.crashes += report.counters[0];
  sum.power_losses += report.counters[1];
  sum.partitions += report.counters[2];
  sum.failovers += report.counters[3];
  sum.rewinds += report.counters[4];
  sum.catch_ups += report.counters[5];
  sum.rebuilds += report.counters[6];
  sum.operations_checked += report.counters[7];
  for (std::size_t i = 0; i < probe_count; ++i) result.probes[i] += report.probes >> i & 1;
  for (std::size_t i = 0; i < resource_count; ++i) {
    sum.greatest[i] = std::max(sum.greatest[i], report.greatest[i]);
  }
}

// A worker has ended: as it should, or in the middle of a seed.
void reap(Lane& lane, const BatchOptions& batch, BatchResult& result, std::uint64_t seed) {
  close(lane.fd);
  lane.fd = -1;
  int status = 0;
  waitpid(lane.child, &status, 0);
  if (!lane.running) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) lane.next = lane.end;
    return;
  }
  lane.running = false;
  ++result.seeds;
  count_failure(result, Failure::crash, seed);
  if (!batch.details && result.failed <= batch.reports_max) {
    BatchOptions once = batch;
    once.first_seed = seed;
    once.seeds = 1;
    once.details = true;
    static_cast<void>(run_batch(once));
  } else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGABRT) {
    std::printf("seed %" PRIu64 " FAILED: crash: %s\n  replay: %s\n", seed,
                WTERMSIG(status) == SIGPROF ? "no end within its limit of CPU time"
                                            : strsignal(WTERMSIG(status)),
                replay_command(seed, batch).c_str());
  }
}

}  // namespace

std::string replay_command(std::uint64_t seed, const BatchOptions& batch) {
  std::string text = "./dev sim --seed " + std::to_string(seed) + " --seeds 1";
  const Overrides& o = batch.overrides;
  if (o.nodes) text += " --nodes " + std::to_string(*o.nodes);
  if (o.policy) text += " --policy " + *o.policy;
  if (o.write_cache) text += " --write-cache " + *o.write_cache;
  if (o.log_bytes) text += " --log-bytes " + std::to_string(*o.log_bytes);
  if (o.generation != nullptr) text += std::string(" --generation ") + o.generation->name;
  if (o.chaos) text += " --chaos-ms " + std::to_string(*o.chaos / ms);
  if (o.operations) text += " --operations " + std::to_string(*o.operations);
  if (o.strikes.only) text += " --strikes " + strikes_text(o.strikes);
  if (o.no_faults) text += " --no-faults";
  if (o.beyond) text += " --beyond";
  std::string with;
  for (const FaultKindInfo& info : fault_kinds()) {
    if (o.with.has(info.kind)) with += (with.empty() ? "" : ",") + std::string(info.name);
  }
  if (!with.empty()) text += " --with " + with;
  if (o.canary) text += " --canary";
  if (batch.check_determinism) text += " --check-determinism";
  return text + " --trace";
}

void print_failure(std::FILE* out, const RunOptions& options, const BatchOptions& batch,
                   Failure failure, const std::string& text, const Trace& trace) {
  std::fprintf(out, "seed %" PRIu64 " FAILED: %s\n  what: %s\n  options: %s\n  last events:\n",
               options.seed, failure_name(failure), text.c_str(), describe(options).c_str());
  for (const std::string& line : trace.tail(batch.tail_lines)) {
    std::fprintf(out, "    %s\n", line.c_str());
  }
  std::fprintf(out, "  replay: %s\n", replay_command(options.seed, batch).c_str());
}

BatchResult run_batch(const BatchOptions& batch) {
  BatchResult result;
  std::map<std::uint64_t, std::uint64_t> hashes;
  const unsigned jobs = batch.jobs == 0 ? 1 : batch.jobs;
  std::vector<Lane> lanes(jobs);
  for (unsigned i = 0; i < jobs; ++i) {
    lanes[i] = Lane{batch.first_seed + i, batch.first_seed + batch.seeds, jobs};
  }
  bool stop = false;
  for (;;) {
    // Lanes take turns; each is read until its next seed is done.
    bool any = false;
    for (Lane& lane : lanes) {
      if (lane.next >= lane.end || stop) continue;
      any = true;
      if (lane.fd < 0) spawn(lane, batch, result.failed);
      Report report;
      if (read_report(lane.fd, report) && report.begins) {
        lane.running = true;
        lane.next = report.seed + lane.step;
        if (read_report(lane.fd, report)) {
          lane.running = false;
          ++result.seeds;
          hashes[report.seed] = report.hash;
          add_report(result, report);
          count_failure(result, report.failure, report.seed);
          if (result.seeds % 500 == 0) {
            std::fprintf(stderr, "%" PRIu64 " seeds, %" PRIu64 " failed so far\n", result.seeds,
                         result.failed);
          }
          stop = batch.stop_at_first && result.failed > 0;
          continue;
        }
      }
      reap(lane, batch, result, lane.next - lane.step);
      stop = batch.stop_at_first && result.failed > 0;
    }
    if (!any) break;
  }
  for (Lane& lane : lanes) {
    if (lane.fd < 0) continue;
    if (stop) kill(lane.child, SIGKILL);  // our own child, by its id
    close(lane.fd);
    waitpid(lane.child, nullptr, 0);
  }
  for (const auto& [seed, hash] : hashes) {
    result.hash = mix64(mix64(result.hash, seed), hash);
    if (batch.print_hashes) {
      std::printf("seed %" PRIu64 " hash %016" PRIx64 "\n", seed, hash);
    }
  }
  return result;
}

}  // namespace seawall::sim
