#include "sim/run.h"

#include <cstdlib>
#include <functional>

#include "sim/checkers/equal_replicas.h"
#include "sim/cluster.h"
#include "sim/nemesis.h"

namespace seawall::sim {
namespace {

constexpr std::uint64_t events_max = 20'000'000;  // a run that does more than this never ends
constexpr Micros setup_limit = 60 * seconds;
constexpr Micros look_every = 10 * ms;

class Run {
 public:
  Run(const RunOptions& options, Trace& trace)
      : options_(options),
        trace_(trace),
        prng_(options.seed ^ 0x5ea3a11c0deull),
        workload_(scheduler_, trace_, verdict_, prng_.fork(), options.workload,
                  options.write_cache == "none"),
        cluster_(scheduler_, trace_, verdict_, options, prng_.fork()),
        nemesis_(scheduler_, cluster_, prng_.fork(), options.faults) {
    workload_.set_loss_allowed([this] { return cluster_.loss_allowed(); });
    workload_.set_made_durable([this] { nemesis_.strike_after_flush(); });
    workload_.set_device_gone([this](ClientStatus status) { cluster_.device_gone(status); });
  }

  RunResult run() {
    look();
    if (options_.canary) plant_canary();
    set_up();
    if (!verdict_.failed()) chaos();
    if (!verdict_.failed()) converge();
    if (!verdict_.failed()) prove_rest();
    failovers_ = cluster_.epoch().value();  // the last phase adds one of its own
    if (!verdict_.failed()) lose_all_power();
    return result();
  }

 private:
  // Runs until `done` holds, the time is over or something failed. True: `done`.
  bool run_until(const std::function<bool()>& done, Micros deadline) {
    while (!verdict_.failed()) {
      if (done()) return true;
      if (scheduler_.executed() > events_max) {
        verdict_.fail(Failure::liveness,
                      "more events than any run needs: " + std::to_string(events_max));
        return false;
      }
      if (scheduler_.next_time() > deadline || !scheduler_.step()) return done();
    }
    return false;
  }
  void run_for(Micros time) {
    run_until([] { return false; }, scheduler_.now() + time);
  }

  // Every few milliseconds somebody looks at all replicas.
  void look() {
    cluster_.sample();
    scheduler_.after(look_every, world, [this] { look(); });
  }

  // What the harness must find: the trace depends on an address.
  void plant_canary() {
    scheduler_.after(3 * seconds, world, [this] {
      void* somewhere = std::malloc(1 + prng_.below(4096));
      trace_.add(TraceRecord{scheduler_.now(), What::canary, 0,
                             reinterpret_cast<std::uintptr_t>(somewhere) ^ ++canaries});
      std::free(somewhere);
    });
  }

  void set_up() {
    cluster_.network().set_options(NetworkOptions{});
    for (NodeNumber node = 1; node <= cluster_.machines(); ++node) cluster_.start(node);
    cluster_.controller().start();
    cluster_.create_volume(workload_);
    const auto ready = [this] { return cluster_.volume_ready() && workload_.has_client(); };
    if (!run_until(ready, scheduler_.now() + setup_limit)) {
      verdict_.fail(Failure::liveness, "an undisturbed cluster made no volume within " +
                                           std::to_string(setup_limit / seconds) +
                                           " s: " + cluster_.describe());
    }
  }

  void chaos() {
    cluster_.network().set_options(options_.network);
    cluster_.control_net().set_duplicates(options_.faults.control_duplicate);
    workload_.start_issuing();
    nemesis_.start();
    run_for(options_.chaos);
  }

  void converge() {
    trace_.add(TraceRecord{scheduler_.now(), What::heal_all, 0});
    NetworkOptions calm = options_.network;
    calm.cut = calm.flip = calm.spike = Ratio{0, 1};
    cluster_.network().set_options(calm);
    cluster_.control_net().set_duplicates(Ratio{0, 1});
    nemesis_.heal();
    const Micros healed = scheduler_.now();
    // Writable first: a request that was asked after the healing is answered well.
    bool writable = false;
    std::function<void()> prove = [&] {
      if (writable) return;
      workload_.write_one([&](bool ok) {
        writable = writable || ok;
        if (!ok) scheduler_.after(100 * ms, world, prove);
      });
    };
    prove();
    if (!run_until([&] { return writable; }, healed + options_.converge)) {
      fail_liveness("not writable", healed);
      return;
    }
    if (!run_until([&] { return cluster_.what_is_not_in_sync().empty(); },
                   healed + options_.converge)) {
      fail_liveness("not in sync: " + cluster_.what_is_not_in_sync(), healed);
      return;
    }
    // Under load it stays so; then the load ends and every request has its answer.
    run_for(500 * ms);
    workload_.stop_issuing();
    if (!run_until([&] { return workload_.idle(); }, scheduler_.now() + options_.converge)) {
      fail_liveness("requests without an answer", healed);
    }
  }

  void fail_liveness(const std::string& what, Micros healed) {
    verdict_.fail(Failure::liveness, what + ", " +
                                         std::to_string((scheduler_.now() - healed) / ms) +
                                         " ms after everything was healed: " + cluster_.describe());
  }

  void read_back(const char* when) {
    bool read = false;
    workload_.read_everything([&] { read = true; });
    if (!run_until([&] { return read; }, scheduler_.now() + options_.converge)) {
      fail_liveness(std::string("reading everything back ") + when, scheduler_.now());
    }
  }

  void prove_rest() {
    read_back("after the convergence");
    bool flushed = false;
    std::function<void()> flush = [&] {
      workload_.flush([&](bool ok) {
        flushed = ok;
        if (!ok) scheduler_.after(100 * ms, world, flush);
      });
    };
    flush();
    if (!run_until([&] { return flushed; }, scheduler_.now() + options_.converge)) {
      fail_liveness("no flush", scheduler_.now());
      return;
    }
    const auto at_rest = [&] {
      return cluster_.what_is_not_in_sync().empty() && cluster_.what_is_not_at_rest().empty();
    };
    if (!run_until(at_rest, scheduler_.now() + 20 * seconds)) {
      verdict_.fail(Failure::safety, "not at rest (I11): " + cluster_.what_is_not_in_sync() + " " +
                                         cluster_.what_is_not_at_rest() + ": " +
                                         cluster_.describe());
      return;
    }
    compare(false);
    compare(true);
  }

  void compare(bool without_power) {
    const auto disks = cluster_.disks();
    const std::string differ =
        compare_replicas(disks, BlockCount{options_.workload.volume_blocks}, without_power);
    if (differ.empty()) return;
    verdict_.fail(Failure::safety, std::string("replicas in sync are not equal") +
                                       (without_power ? ", after a loss of power: " : ": ") +
                                       differ);
  }

  // F24: everything was flushed, so everything is there, whatever the sectors did.
  void lose_all_power() {
    for (NodeNumber node = 1; node <= cluster_.machines(); ++node) cluster_.lose_power(node);
    cluster_.controller().crash();
    run_for(prng_.below(2 * seconds));
    for (NodeNumber node = 1; node <= cluster_.machines(); ++node) cluster_.start(node);
    cluster_.controller().start();
    const Micros healed = scheduler_.now();
    if (!run_until([&] { return workload_.has_client(); }, healed + options_.converge)) {
      fail_liveness("no attachment after the loss of all power", healed);
      return;
    }
    read_back("after the loss of all power");
  }

  RunResult result() {
    if (verdict_.failed()) {
      trace_.add(TraceRecord{scheduler_.now(), What::verdict, 0,
                             static_cast<std::uint64_t>(verdict_.failure())});
    }
    trace_.close();
    RunResult result;
    result.seed = options_.seed;
    result.failure = verdict_.failure();
    result.text = verdict_.text();
    result.hash = trace_.hash();
    result.events = scheduler_.executed();
    result.simulated = scheduler_.now();
    result.workload = workload_.stats();
    result.network = cluster_.network().stats();
    result.crashes = nemesis_.stats().crashes;
    result.power_losses = nemesis_.stats().power_losses;
    result.partitions = nemesis_.stats().partitions;
    result.failovers = failovers_;
    result.rewinds = cluster_.recoveries().rewinds;
    result.catch_ups = cluster_.recoveries().catch_ups;
    result.rebuilds = cluster_.recoveries().rebuilds;
    return result;
  }

  static inline std::uint64_t canaries = 0;

  const RunOptions options_;
  Trace& trace_;
  Prng prng_;
  Verdict verdict_;
  Scheduler scheduler_;
  Workload workload_;
  Cluster cluster_;
  Nemesis nemesis_;
  std::uint64_t failovers_ = 0;
};

}  // namespace

RunResult run_seed(const RunOptions& options, Trace& trace) {
  const auto run = std::make_unique<Run>(options, trace);
  return run->run();
}

}  // namespace seawall::sim
