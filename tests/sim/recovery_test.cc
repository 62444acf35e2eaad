// Which way a replica comes back: scenarios that say what breaks and when, over the real wal.
#include <gtest/gtest.h>

#include "engine/generation.h"
#include "sim/generations/stage.h"

namespace seawall::sim {
namespace {

constexpr Micros lease_over = 6 * seconds;
constexpr Micros checkpoint_by_age = 35 * seconds;
constexpr Micros long_enough = 120 * seconds;

// Away while another primary takes office, which has never met it, and while a share of the log is
// written and folded: nobody owes it anything.
std::vector<RecoveryWay> ways_after_an_absence(std::uint64_t blocks, std::uint8_t keep) {
  Stage stage({.log_bytes = 16 << 20, .keep_log_percent = keep}, generation_v2);
  for (int lap = 0; lap < 6; ++lap) stage.write(0, 500);
  const NodeNumber away = stage.follower(1);
  const NodeNumber old = stage.primary();
  stage.cut(away);
  stage.crash(old);
  stage.start(old);
  stage.run(lease_over);
  stage.write(0, blocks);
  stage.run(checkpoint_by_age);
  stage.mend(away);
  stage.recovers(away);
  stage.settle(long_enough);
  stage.read_back();
  const Measures measures = stage.finish();
  EXPECT_TRUE(measures.completed);
  EXPECT_TRUE(measures.safe) << measures.wrong;
  return measures.ways;
}

// 16 MiB of log: 500 blocks with their headers are 12 to 25 % of it.
TEST(SimRecovery, G01_a_short_absence_over_a_failover_costs_a_catch_up) {
  EXPECT_EQ(ways_after_an_absence(500, limits::log_kept_percent),
            std::vector<RecoveryWay>{RecoveryWay::catch_up});
}

TEST(SimRecovery, G02_with_a_log_that_keeps_nothing_it_costs_a_comparison_of_the_base) {
  const std::vector<RecoveryWay> ways = ways_after_an_absence(500, 0);
  ASSERT_EQ(ways.size(), 1u);
  EXPECT_TRUE(ways[0] == RecoveryWay::delta || ways[0] == RecoveryWay::full);
}

// Base and log are held before it starts; writers that fill the log meanwhile wait for it.
TEST(SimRecovery, a_rebuild_under_load_with_a_small_log_ends_at_the_first_attempt) {
  Stage stage({.log_bytes = 1 << 20, .volume_blocks = 8192}, generation_v2);
  stage.write(0, 4000);
  const NodeNumber away = stage.follower(1);
  const NodeNumber old = stage.primary();
  stage.cut(away);
  stage.crash(old);
  stage.start(old);
  stage.run(lease_over);
  stage.write(0, 4000);
  stage.slow_link(away, 10 * ms);
  stage.load(true);
  stage.mend(away);
  stage.recovers(away);
  ASSERT_TRUE(stage.until([&] { return stage.is_rebuilding(away); }, long_enough));
  const std::uint64_t begin = stage.written(stage.primary());
  ASSERT_TRUE(stage.until([&] { return !stage.is_rebuilding(away); }, long_enough));
  const std::uint64_t meanwhile = stage.written(stage.primary()) - begin;
  stage.load(false);
  stage.settle(long_enough);
  stage.read_back();
  const Measures measures = stage.finish();
  EXPECT_TRUE(measures.completed);
  EXPECT_TRUE(measures.safe) << measures.wrong;
  EXPECT_FALSE(measures.accidental);
  EXPECT_EQ(measures.ways.size(), 1u) << "it ends at the first attempt";
  EXPECT_GT(meanwhile, 16u) << "the scenario must write while the base travels";
}

}  // namespace
}  // namespace seawall::sim
