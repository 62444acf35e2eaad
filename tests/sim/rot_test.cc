// Disks that do something wrong and say nothing. A run ends with a look at every block of every
// replica, and after a loss of all power every disk is opened anew and compared, with no exception
// for what was damaged: what rotted was found and repaired, or the run fails.
#include "tests/sim/scenario.h"

namespace seawall::sim {
namespace {

using Kind = Micros DiskFaultOptions::*;

std::uint64_t reached(const RunResult& result, Probe probe) {
  return result.probes.has(probe) ? 1 : 0;
}

struct Rot {
  std::uint64_t found = 0, repaired = 0, rebuilds = 0;
};

Rot run_with(std::initializer_list<Kind> kinds, Micros every = 1500 * ms,
             std::uint64_t seeds = scenario_seeds) {
  Rot rot;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    RunOptions options = calm(seed);
    for (const Kind kind : kinds) options.disk_faults.*kind = every;
    options.faults.crash = 4 * seconds;
    const RunResult result = run_good(options);
    rot.found += reached(result, Probe::rot_found);
    rot.repaired += reached(result, Probe::rot_repaired);
    rot.rebuilds += result.rebuilds;
  }
  return rot;
}

TEST(SimRot, F07_W28_a_flipped_bit_of_log_base_or_map_is_found_and_repaired) {
  const Rot rot = run_with({&DiskFaultOptions::bit_flip}, 700 * ms, 4 * scenario_seeds);
  EXPECT_GT(rot.found, 0u) << "some block must have rotted without a reader";
  EXPECT_GT(rot.repaired, 0u);
}

TEST(SimRot, F08_W21_lost_and_misdirected_writes_and_stale_reads_are_found_and_repaired) {
  const Rot rot = run_with({&DiskFaultOptions::lost_write, &DiskFaultOptions::misdirected_write,
                            &DiskFaultOptions::stale_read});
  EXPECT_GT(rot.repaired, 0u);
}

TEST(SimRot, F05_a_replica_behind_a_lying_flush_is_found_and_rebuilt) {
  const Rot rot = run_with({&DiskFaultOptions::lying_flush});
  EXPECT_GT(rot.rebuilds + rot.repaired, 0u);
}

TEST(SimRot, F06_W19_sectors_that_cannot_be_read_once_cost_no_data) {
  run_with({&DiskFaultOptions::read_error});
}

// Every sector that was not flushed is old, new, torn or garbage, in every structure, again and
// again.
TEST(SimRot, F04_W28_sectors_torn_inside_any_structure_are_rejected_or_repaired) {
  std::uint64_t losses = 0, alarms = 0;
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.faults.power_loss = 1 * seconds;
    options.faults.crash = 3 * seconds;
    options.faults.crash_in_blocking = percent(30);
    const RunResult result = run_good(options);
    losses += result.power_losses;
    alarms += reached(result, Probe::rot_found);
  }
  EXPECT_GT(losses, 2 * scenario_seeds);
  EXPECT_EQ(alarms, 0u) << "W28: writes, checkpoints and rebuilds under a scrub are no rot";
}

}  // namespace
}  // namespace seawall::sim
