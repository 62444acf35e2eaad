#include "sim/run.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>

#include "sim/checkers/equal_replicas.h"
#include "sim/cluster.h"
#include "sim/disk_nemesis.h"
#include "sim/nemesis.h"
#include "sim/scene.h"

namespace seawall::sim {
namespace {

constexpr std::uint64_t events_max = 20'000'000;  // a run that does more than this never ends
constexpr Micros setup_limit = 60 * seconds;
constexpr Micros look_every = 10 * ms;
constexpr Micros look_rarely = 100 * ms;
constexpr Micros long_look_every = 1 * ms;

class Run {
 public:
  Run(const RunOptions& options, Trace& trace)
      : options_(options),
        trace_(trace),
        prng_(options.seed ^ 0x5ea3a11c0deull),
        cluster_(scheduler_, trace_, verdict_, options, prng_.fork(), &probes_),
        nemesis_(scheduler_, cluster_, prng_.fork(), options.faults),
        disk_nemesis_(scheduler_, cluster_, prng_.fork(), options.disk_faults) {
    for (std::size_t i = 0; i < cluster_.volumes(); ++i) {
      VolumeClient& volume = cluster_.volume(i);
      // Stamps of two volumes have nothing in common: bytes of another one are wrong bytes.
      auto workload = std::make_unique<Workload>(
          scheduler_, trace_, verdict_, prng_.fork(), volume.options().workload,
          volume.options().write_cache == "none", OpNumber{i} << 40);
      workload->set_probes(probes_);
      workload->set_loss_allowed(
          [this, &volume] { return options_.beyond || volume.loss_allowed(); });
      workload->set_heard([&volume] { volume.atlas().heard(); });
      workload->set_made_durable([this] { nemesis_.strike_after_flush(); });
      workload->set_device_gone([&volume](ClientStatus) { volume.device_gone(); });
      workloads_.push_back(std::move(workload));
    }
  }

  RunResult run() {
    look();
    if (options_.canary) plant_canary();
    set_up();
    if (!verdict_.failed()) options_.script ? play() : chaos();
    if (options_.beyond) {
      if (!verdict_.failed()) see_what_is_left();
      return result();
    }
    if (!verdict_.failed()) converge();
    if (!verdict_.failed()) prove_rest();
    failovers_ = cluster_.failovers();  // the last phase adds one of its own
    if (!verdict_.failed()) lose_all_power();
    return result();
  }

 private:
  // Runs until `done` holds, the time is over or something failed. True: `done`. Conditions that
  // take long to look at are looked at once in `every`.
  bool run_until(const std::function<bool()>& done, Micros deadline, Micros every = 0) {
    Micros next_look = 0;
    while (!verdict_.failed()) {
      if (scheduler_.now() >= next_look) {
        if (done()) return true;
        next_look = scheduler_.now() + every;
      }
      if (scheduler_.executed() > events_max) {
        verdict_.fail(Failure::liveness,
                      "more events than any run needs: " + std::to_string(events_max));
        return false;
      }
      if (scheduler_.next_time() > deadline || !scheduler_.step()) return done();
    }
    return false;
  }
  [[nodiscard]] bool every(const std::function<bool(const Workload&)>& holds) const {
    return std::all_of(workloads_.begin(), workloads_.end(),
                       [&](const auto& workload) { return holds(*workload); });
  }
  // Asks every workload until it has done this well once. False: one has not, within the bound.
  using Proof = std::function<void(Workload&, std::function<void(bool)>)>;
  bool until_each(const Proof& proof) {
    const auto left = std::make_shared<std::size_t>(workloads_.size());
    for (auto& workload : workloads_) ask_until(*workload, proof, left);
    return run_until([&] { return *left == 0; }, scheduler_.now() + options_.converge);
  }
  void ask_until(Workload& workload, const Proof& proof, const std::shared_ptr<std::size_t>& left) {
    proof(workload, [this, &workload, proof, left](bool ok) {
      if (ok) {
        --*left;
      } else {
        scheduler_.after(100 * ms, world,
                         [this, &workload, proof, left] { ask_until(workload, proof, left); });
      }
    });
  }
  void run_for(Micros time) {
    run_until([] { return false; }, scheduler_.now() + time);
  }

  // Every few milliseconds somebody looks at all replicas.
  void look() {
    cluster_.sample();
    scheduler_.after(scheduler_.now() < quiet_until_ ? look_rarely : look_every, world,
                     [this] { look(); });
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
    for (std::size_t i = 0; i < workloads_.size(); ++i) cluster_.volume(i).create(*workloads_[i]);
    const auto ready = [this] { return every([](const Workload& w) { return w.has_client(); }); };
    if (!run_until(ready, scheduler_.now() + setup_limit)) {
      verdict_.fail(Failure::liveness, "an undisturbed cluster made no volume within " +
                                           std::to_string(setup_limit / seconds) +
                                           " s: " + cluster_.describe());
    }
  }

  // A process stands still for long: its world goes on with next to no load, and then for a while.
  void rest_for(Micros time) {
    chaos_end_ += time;
    quiet_until_ = scheduler_.now() + time;
    for (auto& workload : workloads_) workload->stop_issuing();
    scheduler_.after(time > 5 * seconds ? time - 5 * seconds : 0, world, [this] {
      if (scheduler_.now() >= chaos_end_) return;
      for (auto& workload : workloads_) workload->start_issuing();
    });
  }

  void chaos() {
    nemesis_.set_on_long_pause([this](Micros time) { rest_for(time); });
    cluster_.network().set_options(options_.network);
    cluster_.control_net().set_duplicates(options_.faults.control_duplicate);
    for (auto& workload : workloads_) workload->start_issuing();
    nemesis_.start();
    disk_nemesis_.set_quiet([this] { return nemesis_.quiet(); });
    disk_nemesis_.start();
    chaos_end_ = scheduler_.now() + options_.chaos;
    run_until([this] { return scheduler_.now() >= chaos_end_; }, ~Micros{0});
  }

  void play() {
    scene_.emplace(Scene{scheduler_, trace_, cluster_, *workloads_.front(),
                [this](const std::function<bool()>& done, Micros limit) {
                  return run_until(done, scheduler_.now() + limit);
                }});
    options_.script(*scene_);
  }

  void converge() {
    trace_.add(TraceRecord{scheduler_.now(), What::heal_all, 0});
    NetworkOptions calm = options_.network;
    calm.cut = calm.flip = calm.spike = Ratio{0, 1};
    cluster_.network().set_options(calm);
    cluster_.control_net().set_duplicates(Ratio{0, 1});
    disk_nemesis_.heal();
    nemesis_.heal();
    const Micros healed = scheduler_.now();
    // Writable first: a request that was asked after the healing is answered well.
    if (!until_each([](Workload& w, auto done) { w.write_one(done); })) {
      return fail_liveness("not writable", healed);
    }
    // A second death of an enumeration may come after the healing: it is waited for as well.
    const auto whole = [&] {
      return cluster_.everybody_runs() && cluster_.what_is_not_in_sync().empty();
    };
    if (!run_until(whole, healed + options_.converge, long_look_every)) {
      fail_liveness("not in sync: " + cluster_.what_is_not_in_sync(), healed);
      return;
    }
    trace_.boundary(TraceRecord{scheduler_.now(), What::whole_again, 0});
    // Under load it stays so; then the load ends and every request has its answer.
    run_for(500 * ms);
    for (auto& workload : workloads_) workload->stop_issuing();
    const auto idle = [this] { return every([](const Workload& w) { return w.idle(); }); };
    if (!run_until(idle, scheduler_.now() + options_.converge)) {
      fail_liveness("requests without an answer", healed);
    }
  }

  // More was damaged than a configuration survives: no volume has to come back, but whatever is
  // answered is right, and what is gone is said.
  void see_what_is_left() {
    disk_nemesis_.heal();
    nemesis_.heal();
    run_for(20 * seconds);
    for (auto& workload : workloads_) workload->stop_issuing();
    for (auto& workload : workloads_) workload->read_everything({});
    run_for(20 * seconds);
  }

  void fail_liveness(const std::string& what, Micros healed) {
    verdict_.fail(Failure::liveness, what + ", " +
                                         std::to_string((scheduler_.now() - healed) / ms) +
                                         " ms after everything was healed: " + cluster_.describe());
  }

  void read_back(const char* when) {
    std::size_t left = workloads_.size();
    for (auto& workload : workloads_) workload->read_everything([&] { --left; });
    if (!run_until([&] { return left == 0; }, scheduler_.now() + options_.converge)) {
      fail_liveness(std::string("reading everything back ") + when, scheduler_.now());
    }
  }

  void prove_rest() {
    read_back("after the convergence");
    const Micros asked = scheduler_.now();
    if (!until_each([](Workload& w, auto done) { w.flush(done); })) {
      return fail_liveness("no flush", asked);
    }
    const auto at_rest = [&] {
      return cluster_.what_is_not_in_sync().empty() && cluster_.what_is_not_at_rest().empty();
    };
    if (!run_until(at_rest, scheduler_.now() + 20 * seconds, long_look_every)) {
      verdict_.fail(Failure::safety, "not at rest (I11): " + cluster_.what_is_not_in_sync() + " " +
                                         cluster_.what_is_not_at_rest() + ": " +
                                         cluster_.describe());
      return;
    }
    scrub("at rest");
    compare(false, false);
    compare(true, false);
  }

  // What rotted without a reader is found and repaired while other copies are good.
  void scrub(const char* when) {
    const Micros asked = scheduler_.now();
    cluster_.ask_scrub();
    std::string rotten;
    const auto clean = [&] {
      rotten = cluster_.what_is_not_scrubbed();
      return rotten.empty() && cluster_.what_is_not_in_sync().empty() &&
             cluster_.what_is_not_at_rest().empty();
    };
    if (!run_until(clean, asked + options_.converge, long_look_every)) {
      fail_liveness(std::string("rot that nobody repaired ") + when + ": " + rotten, asked);
    }
  }

  // `strict`: whatever rotted was found and repaired; else a disk with rot may still say so.
  void compare(bool without_power, bool strict) {
    for (std::size_t i = 0; i < cluster_.volumes() && !verdict_.failed(); ++i) {
      const BlockCount size{cluster_.volume(i).options().workload.volume_blocks};
      std::vector<ReplicaDisk> disks = cluster_.disks(i);
      for (ReplicaDisk& disk : disks) disk.rotten = disk.rotten && !strict;
      const std::string differ = compare_replicas(disks, size, without_power);
      if (differ.empty()) continue;
      verdict_.fail(Failure::safety,
                    "replicas in sync are not equal" +
                        std::string(without_power ? " after a loss of power" : "") + ": " +
                        cluster_.volume(i).name() + ": " + differ);
    }
  }

  // F24: everything was flushed, so everything is there, whatever the sectors did.
  void lose_all_power() {
    for (NodeNumber node = 1; node <= cluster_.machines(); ++node) cluster_.lose_power(node);
    cluster_.controller().crash();
    run_for(prng_.below(2 * seconds));
    for (NodeNumber node = 1; node <= cluster_.machines(); ++node) cluster_.start(node);
    cluster_.controller().start();
    const Micros healed = scheduler_.now();
    const auto attached = [this] {
      return every([](const Workload& w) { return w.has_client(); });
    };
    if (!run_until(attached, healed + options_.converge)) {
      fail_liveness("no attachment after the loss of all power", healed);
      return;
    }
    read_back("after the loss of all power");
    if (verdict_.failed()) return;
    if (!until_each([](Workload& w, auto done) { w.flush(done); })) {
      return fail_liveness("no flush after the loss of all power", healed);
    }
    const auto at_rest = [&] {
      return cluster_.what_is_not_in_sync().empty() && cluster_.what_is_not_at_rest().empty();
    };
    if (!run_until(at_rest, scheduler_.now() + options_.converge, long_look_every)) {
      return fail_liveness("not at rest after the loss of all power: " +
                               cluster_.what_is_not_in_sync() + cluster_.what_is_not_at_rest(),
                           healed);
    }
    scrub("after the loss of all power");
    compare(false, true);
    compare(true, true);
  }

  // I2, I3 over everything that clients have seen.
  void check_histories() {
    for (std::size_t i = 0; i < workloads_.size(); ++i) {
      const std::string wrong = workloads_[i]->log().check();
      if (wrong.empty()) continue;
      verdict_.fail(Failure::safety,
                    "not linearizable: " + cluster_.volume(i).name() + ": " + wrong);
    }
  }

  RunResult result() {
    check_histories();
    if (verdict_.failed()) {
      trace_.add(TraceRecord{scheduler_.now(), What::verdict, 0,
                             static_cast<std::uint64_t>(verdict_.failure())});
    }
    trace_.close();
    RunResult result;
    result.probes = probes_;
    for (const auto& workload : workloads_) {
      result.operations_checked += workload->log().operations();
    }
    result.seed = options_.seed;
    result.failure = verdict_.failure();
    result.text = verdict_.text();
    result.hash = trace_.hash();
    result.events = scheduler_.executed();
    result.simulated = scheduler_.now();
    for (const auto& workload : workloads_) result.workload += workload->stats();
    result.network = cluster_.network().stats();
    result.crashes = nemesis_.stats().crashes;
    result.power_losses = nemesis_.stats().power_losses;
    result.partitions = nemesis_.stats().partitions;
    result.failovers = failovers_;
    result.wishes_granted = cluster_.wishes_granted();
    result.greatest = cluster_.greatest();
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
  Probes probes_;
  Scheduler scheduler_;
  std::vector<std::unique_ptr<Workload>> workloads_;  // outlive the devices that answer to them
  Cluster cluster_;
  Nemesis nemesis_;
  DiskNemesis disk_nemesis_;
  std::optional<Scene> scene_;  // of a scripted run
  std::uint64_t failovers_ = 0;
  Micros chaos_end_ = 0;
  Micros quiet_until_ = 0;  // somebody stands still for long
};

}  // namespace

RunResult run_seed(const RunOptions& options, Trace& trace) {
  const auto run = std::make_unique<Run>(options, trace);
  return run->run();
}

}  // namespace seawall::sim
