// Options: everything that a run draws from its seed before it starts, and how to say it.
//
// Purpose: a swarm. Each seed switches fault kinds on and off as a whole and draws its own rates
// and sizes, so that rare combinations get runs of their own instead of being averaged away. Life
// cycle: a value. Determinism: a function of the seed and of what the command line fixes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/limits.h"
#include "engine/control.h"
#include "engine/core.h"
#include "sim/fault_kinds.h"
#include "sim/network.h"

namespace seawall::sim {

struct WorkloadOptions {
  std::uint64_t volume_blocks = 1024;
  std::uint32_t queue_depth = 8;
  std::uint32_t blocks_max = 4;  // of one request
  Micros think_max = 20 * ms;    // between an answer and the next request of that place
  std::uint32_t weight_write = 50, weight_read = 30, weight_flush = 6, weight_discard = 4,
                weight_zero = 4;
  Ratio fua = percent(10);
  Ratio hot = percent(30);  // requests that go to the hot blocks
  std::uint64_t hot_blocks = 8;
  std::uint64_t operations = 0;  // asked in the first phase; 0: as many as fit
};

// Mean time between two faults of a kind; 0: this run has none of them.
struct FaultOptions {
  Micros crash = 0, power_loss = 0, power_loss_all = 0, pause = 0;
  Micros partition = 0, one_way = 0, reset = 0;
  Micros control_cut = 0, controller_crash = 0, client_crash = 0, planned_move = 0;
  Ratio crash_in_blocking = {0, 1};   // a piece of blocking work in the middle of which it dies
  Ratio control_duplicate = {0, 1};   // a control message that arrives twice, the second time late
  Ratio strike_after_flush = {0, 1};  // all power goes right after a flush (with power_loss_all)
  bool beyond_tolerance = false;      // several machines may lose power before the first recovers
  Micros long_pause = 0;              // a process that wakes up to an hour later
  Micros membership = 0;              // an operator changes the configuration
  Micros swapped_disks = 0;           // two pools hold each other's replicas for a while
  Micros cloned_disk = 0;             // a replica's files appear on a second node, too
  Micros old_copy = 0;                // a replica's files are replaced by what they once were
  Micros controller_rival = 0;        // paused, replaced, and back
  Ratio lost_replies = {0, 1};        // commits of the controller's store with unknown outcome
  Ratio new_address = {0, 1};         // a start with another address
  bool address_reuse = false;         // which another node had before
  Micros down_max = 4 * seconds;      // how long a process stays down
  Micros cut_max = 6 * seconds;       // how long a partition lasts
  Micros pause_max = 3 * seconds;
};

// The same of disks.
struct DiskFaultOptions {
  Micros read_error = 0, write_error = 0, flush_error = 0, bit_flip = 0;
  Micros lost_write = 0, misdirected_write = 0, stale_read = 0, lying_flush = 0;
  Micros slow_disk = 0, hung_disk = 0;
  bool beyond = false;  // more copies may be damaged than the configuration tolerates
};

// The faults of a run by their numbers, in the order in which they come due: what is left of them
// when a failing run is made smaller. Numbers of disk faults begin at `first_of_disks`.
struct StrikePlan {
  static constexpr std::uint64_t first_of_disks = 1'000'000;
  std::optional<std::set<std::uint64_t>> only;  // nullopt: all
  [[nodiscard]] bool takes(std::uint64_t number) const { return !only || only->contains(number); }
};

struct VolumeOptions {
  std::string policy = "quorum";
  std::string write_cache = "writeback";
  std::uint32_t replicas = 3;
  WorkloadOptions workload;
};

struct Scene;

struct RunOptions {
  std::uint64_t seed = 1;
  std::uint32_t nodes = 3;  // with a pool each
  std::uint32_t replicas = 3;
  bool client_apart = true;  // the front end's node has no replica
  std::string policy = "quorum";
  std::string write_cache = "writeback";
  std::uint64_t log_bytes = 1 << 20;
  std::uint8_t keep_log_percent = limits::log_kept_percent;  // wal/store.h
  Micros chaos = 20 * seconds;     // first phase
  Micros converge = 90 * seconds;  // bound of the second
  Micros disk_write_max = 400, disk_sync_max = 2 * ms, disk_read_max = 300;
  Micros timer_lateness_max = 2 * ms;
  Micros blocking_max = 5 * ms;
  NetworkOptions network;
  WorkloadOptions workload;
  std::vector<VolumeOptions> more_volumes;  // beside the first, which is described above
  FaultOptions faults;
  DiskFaultOptions disk_faults;
  StrikePlan strikes;
  std::uint32_t clock_drift_ppm_max = 0;  // of each clock, against the world's
  [[nodiscard]] VolumeOptions first_volume() const {
    return VolumeOptions{policy, write_cache, replicas, workload};
  }
  bool beyond = false;
  bool canary = false;  // plants nondeterminism, for the test of the harness
  const Generation* generation = &generation_v2;
  // Told of every command of every Core; for measures, never for decisions.
  std::function<void(NodeNumber node, const Core& core, const Command& command)> watch;
  // What happens in the first phase, in the place of a drawn workload and drawn faults.
  std::function<void(Scene& scene)> script;
  [[nodiscard]] bool is_v2() const { return generation == &generation_v2; }
};

// What the command line fixes; the rest stays drawn.
struct Overrides {
  std::optional<std::uint32_t> nodes;
  std::optional<std::string> policy;
  std::optional<std::string> write_cache;
  std::optional<std::uint64_t> log_bytes;
  StrikePlan strikes;
  std::optional<std::uint64_t> operations;  // of each workload, in the first phase
  std::optional<Micros> chaos;
  const Generation* generation = nullptr;   // nullptr: v2
  bool no_faults = false;
  bool beyond = false;  // more damage than tolerated: no wrong bytes, loud errors, nothing else
  FaultKinds with;      // kinds that every run has
  bool canary = false;
};

RunOptions draw_options(std::uint64_t seed, const Overrides& overrides);
std::string describe(const RunOptions& options);

}  // namespace seawall::sim
