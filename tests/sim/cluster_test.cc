// Whole clusters in the simulator: a scenario fixes the faults, a few seeds draw the rest.
#include <gtest/gtest.h>

#include "tests/sim/scenario.h"

namespace seawall::sim {
namespace {

TEST(SimCluster, AnUndisturbedClusterAnswersEverythingWell) {
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    const RunResult result = run_good(calm(seed));
    EXPECT_EQ(result.workload.failed, 0u);
    EXPECT_EQ(result.failovers, 1u) << "nobody had a reason to leave the first epoch";
    EXPECT_GT(result.workload.ok, 100u);
  }
}

TEST(SimCluster, P62_writes_of_every_epoch_are_there_at_the_last_primary) {
  std::uint64_t failovers = 0;
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.faults.crash = 1 * seconds;  // one at a time, soon back: the primary moves on and on
    options.faults.down_max = 4 * seconds;
    failovers += run_good(options).failovers;
  }
  EXPECT_GE(failovers, 2 * scenario_seeds) << "the scenario must move the primary";
}

TEST(SimCluster, F01_processes_die_at_any_point_and_nothing_is_lost) {
  std::uint64_t crashes = 0;
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.faults.crash = 800 * ms;
    options.faults.client_crash = 5 * seconds;
    options.faults.crash_in_blocking = percent(30);
    crashes += run_good(options).crashes;
  }
  EXPECT_GE(crashes, 20u);
}

TEST(SimCluster, F29_a_configuration_changes_under_crashes_and_partitions) {
  std::uint64_t wishes = 0;
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.nodes = 5;
    options.faults.membership = 1 * seconds;
    options.faults.crash = 3 * seconds;
    options.faults.partition = 5 * seconds;
    options.faults.controller_crash = 6 * seconds;
    wishes += run_good(options).wishes_granted;
  }
  EXPECT_GE(wishes, 2 * scenario_seeds);
}

TEST(SimCluster, F02_a_crash_during_recovery_never_widens_the_loss) {
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.faults.crash = 400 * ms;
    options.faults.down_max = 100 * ms;
    options.faults.crash_in_blocking = percent(60);
    run_good(options);
  }
}

TEST(SimCluster, F03_power_losses_within_tolerance_lose_nothing_that_completed) {
  std::uint64_t losses = 0;
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.faults.power_loss = 1 * seconds;
    const RunResult result = run_good(options);
    losses += result.power_losses;
    EXPECT_EQ(result.workload.lost_positions, 0u);
  }
  EXPECT_GE(losses, 10u);
}

TEST(SimCluster, F24_when_all_power_is_lost_flushed_data_is_back_and_any_loss_is_told) {
  std::uint64_t told = 0;
  for (std::uint64_t seed = 1; seed <= 2 * scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.faults.power_loss_all = 3 * seconds;
    options.faults.strike_after_flush = one_in(20);
    told += run_good(options).workload.lost_positions;
  }
  EXPECT_GT(told, 0u) << "some unflushed data must have been lost, and said so";
}

TEST(SimCluster, F14_late_cut_split_and_flipped_streams_lose_and_repeat_nothing) {
  std::uint64_t resets = 0;
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.network.chunk_bytes_max = 2000;
    options.network.spike = Ratio{1, 200};
    options.network.cut = Ratio{1, 500};
    options.network.flip = Ratio{1, 1000};
    options.faults.reset = 300 * ms;
    options.faults.control_duplicate = percent(20);
    resets += run_good(options).network.resets;
  }
  EXPECT_GE(resets, 50u);
}

TEST(SimCluster, F15_partitions_of_every_shape_heal_by_themselves) {
  std::uint64_t partitions = 0;
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.faults.partition = 1500 * ms;
    options.faults.one_way = 1500 * ms;
    options.faults.control_cut = 3 * seconds;
    partitions += run_good(options).partitions;
  }
  EXPECT_GE(partitions, 30u);
}

TEST(SimCluster, F16_paused_processes_wake_up_and_find_their_place) {
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.faults.pause = 1 * seconds;
    options.faults.pause_max = 4 * seconds;
    run_good(options);
  }
}

TEST(SimCluster, F19_F20_the_controller_dies_and_its_messages_come_late_or_twice) {
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.faults.controller_crash = 2 * seconds;
    options.faults.control_cut = 2 * seconds;
    options.faults.control_duplicate = percent(30);
    options.faults.crash = 3 * seconds;
    run_good(options);
  }
}

TEST(SimCluster, F23_two_replicas_under_every_policy_lose_nothing) {
  for (const char* policy : {"quorum", "in-sync", "all", "best-effort"}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      RunOptions options = calm(seed);
      options.nodes = options.replicas = 2;
      options.policy = policy;
      options.faults.crash = 2 * seconds;
      run_good(options);
    }
  }
}

// Many replicas fall behind a log of 1 MiB: only a full rebuild brings them back.
TEST(SimCluster, R01_replicas_that_the_log_has_left_behind_are_rebuilt) {
  std::uint64_t rebuilds = 0;
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.log_bytes = 1 << 20;
    options.keep_log_percent = 0;
    options.workload.blocks_max = 4;
    options.workload.think_max = 20 * ms;
    options.workload.queue_depth = 8;
    options.faults.crash = 2 * seconds;
    options.faults.down_max = 6 * seconds;
    rebuilds += run_good(options).rebuilds;
  }
  EXPECT_GE(rebuilds, 3u);
}

// The writers never stop and the checkpoints of both sides go on while the base travels.
TEST(SimCluster, R02_a_rebuild_under_live_writes_converges_and_is_equal) {
  std::uint64_t rebuilds = 0;
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    RunOptions options = calm(seed);
    options.log_bytes = 1 << 20;
    options.keep_log_percent = 0;
    options.workload.volume_blocks = 16384;
    options.workload.blocks_max = 4;
    options.workload.queue_depth = 16;
    options.workload.think_max = 4 * ms;
    options.workload.hot = percent(0);
    options.faults.crash = 3 * seconds;
    options.faults.down_max = 5 * seconds;
    rebuilds += run_good(options).rebuilds;
  }
  EXPECT_GE(rebuilds, 2u);
}

// A full log whose session had ended waited for a flush and for a session: both waited for it.
// (Found as seed 75; 1 MiB of log, a deep queue, pauses and resets.)
TEST(SimCluster, AFullLogNeverWaitsForASession) {
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.log_bytes = 1 << 20;
    options.workload.blocks_max = 4;
    options.workload.queue_depth = 16;
    options.workload.think_max = 5 * ms;
    options.chaos = 6 * seconds;
    options.faults.pause = 2 * seconds;
    options.faults.reset = 300 * ms;
    run_good(options);
  }
}

// The daemon of an attachment restarts before the controller knows: its old generation is no use.
// (Found as seed 23: request numbers began anew and the request table answered for others.)
TEST(SimCluster, ARestartedFrontEndNeverUsesItsOldGeneration) {
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.faults.client_crash = 700 * ms;
    options.faults.down_max = 20 * ms;
    run_good(options);
  }
}

TEST(SimCluster, F21_nodes_come_back_with_other_addresses_and_with_those_of_others) {
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.faults.crash = 700 * ms;
    options.faults.down_max = 1 * seconds;
    options.faults.new_address = percent(100);
    options.faults.address_reuse = seed % 2 == 0;
    options.faults.control_duplicate = percent(100);
    options.chaos = 5 * seconds;
    run_good(options);
  }
}

// Seed 111: an assignment that came late brought an old address back, and the primary dialled
// nobody for ever.
TEST(SimCluster, F20_F21_an_old_assignment_that_comes_late_brings_no_old_address_back) {
  Overrides overrides;
  overrides.with.add(FaultKind::controller_rival);
  overrides.with.add(FaultKind::lost_replies);
  run_good(draw_options(111, overrides));
}

TEST(SimCluster, F17_clocks_of_unequal_speed_within_the_bound_change_nothing) {
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.clock_drift_ppm_max = 7700;
    options.faults.crash = 2 * seconds;
    options.faults.partition = 2 * seconds;
    run_good(options);
  }
}

TEST(SimCluster, F16_a_process_that_wakes_up_an_hour_later_finds_its_place) {
  RunOptions options = calm(1);
  options.faults.long_pause = 2 * seconds;
  run_good(options);
}

TEST(SimCluster, F19_E10_a_paused_controller_wakes_beside_the_one_that_took_over) {
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.faults.controller_rival = 2 * seconds;
    options.faults.lost_replies = percent(20);
    options.faults.crash = 2 * seconds;
    run_good(options);
  }
}

TEST(SimCluster, F13_a_disk_that_hangs_or_crawls_costs_time_and_nothing_else) {
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.disk_faults.slow_disk = 3 * seconds;
    options.disk_faults.hung_disk = 5 * seconds;
    run_good(options);
  }
}

// Bytes of another volume are wrong bytes: stamps of two volumes have nothing in common.
TEST(SimCluster, SeveralVolumesWithPoliciesOfTheirOwnShareMachinesAndNothingElse) {
  for (std::uint64_t seed = 1; seed <= scenario_seeds / 2; ++seed) {
    RunOptions options = calm(seed);
    options.faults.crash = 2 * seconds;
    for (const char* policy : {"in-sync", "all"}) {
      VolumeOptions more = options.first_volume();
      more.policy = policy;
      more.replicas = 2;
      options.more_volumes.push_back(more);
    }
    const std::uint64_t alone = run_good(calm(seed)).workload.ok;
    EXPECT_GT(run_good(options).workload.ok, alone * 5 / 4) << "the other volumes did nothing";
  }
}

// Seed 3834: the more replicas a node opened, the more often it died of it; set-up never ended.
TEST(SimCluster, MachinesThatDieWhileTheyOpenManyReplicasStandBeforeLong) {
  for (std::uint64_t seed = 1; seed <= scenario_seeds / 2; ++seed) {
    RunOptions options = calm(seed);
    options.faults.crash_in_blocking = percent(70);
    options.more_volumes = {3, options.first_volume()};
    run_good(options);
  }
}

TEST(SimDeterminism, C01_a_swarm_seed_twice_has_the_same_hash_at_every_checkpoint) {
  for (const std::uint64_t seed : {11, 12, 13}) {
    const RunOptions options = draw_options(seed, {});
    Trace one(false), two(false);
    run_seed(options, one);
    run_seed(options, two);
    EXPECT_FALSE(one.checkpoints().empty());
    EXPECT_EQ(one.checkpoints(), two.checkpoints()) << "seed " << seed;
    EXPECT_EQ(one.hash(), two.hash()) << "seed " << seed;
  }
}

TEST(SimDeterminism, C06_another_seed_is_another_run) {
  Trace one(false), two(false);
  run_seed(calm(1), one);
  run_seed(calm(2), two);
  EXPECT_NE(one.hash(), two.hash());
}

TEST(SimDeterminism, C03_planted_nondeterminism_is_found_and_named) {
  RunOptions options = calm(1);
  options.canary = true;
  Trace first(true);
  run_seed(options, first);
  Trace second(false);
  second.set_reference(&first);
  run_seed(options, second);
  EXPECT_NE(first.hash(), second.hash());
  EXPECT_NE(second.first_difference().find("canary"), std::string::npos)
      << second.first_difference();
}

}  // namespace
}  // namespace seawall::sim
