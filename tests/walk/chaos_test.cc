// Random walks: a fixed range of seeds in the suite; CHAOS_SEED and CHAOS_SEEDS choose others.
#include "tests/walk/chaos.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace seawall::walk {
namespace {

struct Walked {
  std::uint64_t seeds = 0, plans = 0, changes = 0, completed = 0;
};

Walked walk_all(const ChaosOptions& options, std::uint64_t seeds_of_suite = 40) {
  Walked walked;
  const char* first = std::getenv("CHAOS_SEED");
  const char* count = std::getenv("CHAOS_SEEDS");
  const std::uint64_t seed = first != nullptr ? std::stoull(first) : 1;
  const std::uint64_t seeds = count != nullptr ? std::stoull(count) : seeds_of_suite;
  for (std::uint64_t i = 0; i < seeds; ++i) {
    Chaos chaos(seed + i, options);
    const std::string wrong = chaos.run();
    EXPECT_EQ(wrong, "") << "CHAOS_SEED=" << seed + i << " CHAOS_SEEDS=1";
    if (!wrong.empty()) break;
    ++walked.seeds;
    walked.plans += chaos.plans();
    walked.changes += chaos.changes();
    walked.completed += chaos.completed();
  }
  return walked;
}

std::uint64_t walk(const ChaosOptions& options, std::uint64_t seeds_of_suite = 40) {
  return walk_all(options, seeds_of_suite).plans;
}

// Walks whose changes never come into force, or that nobody writes to, would prove nothing.
void walk_with_changes(ChaosOptions options) {
  options.changes = true;
  options.steps = 5000;
  const Walked walked = walk_all(options);
  EXPECT_GT(walked.changes, walked.seeds);
  EXPECT_GT(walked.completed, 50 * walked.seeds);
}

TEST(Chaos, quorum_of_three_loses_nothing_and_comes_to_rest) { walk({}); }

TEST(Chaos, in_sync_set_of_three_loses_nothing_and_comes_to_rest) {
  walk({.policy = Policy::in_sync});
}

TEST(Chaos, write_cache_none_loses_nothing_and_comes_to_rest) {
  walk({.cache = WriteCache::none});
}

TEST(Chaos, quorum_of_three_survives_power_loss_of_one_at_a_time) { walk({.power = true}); }

TEST(Chaos, quorum_of_five_loses_nothing_and_comes_to_rest) {
  walk({.replicas = 5, .steps = 2000});
}

TEST(Chaos, in_sync_set_of_two_loses_nothing_and_comes_to_rest) {
  walk({.replicas = 2, .policy = Policy::in_sync});
}

TEST(Chaos, a_log_that_is_nearly_always_full_comes_to_rest) { walk({.log_records = 8}); }

TEST(Chaos, a_full_log_without_write_cache_comes_to_rest) {
  walk({.cache = WriteCache::none, .log_records = 8});
}

TEST(Chaos, a_full_log_of_an_in_sync_set_comes_to_rest) {
  walk({.policy = Policy::in_sync, .log_records = 8});
}

TEST(Chaos, P36_P158_members_policies_and_caches_that_change_lose_nothing) {
  walk_with_changes({.spares = 2});
}

TEST(Chaos, P36_P158_changes_from_an_in_sync_set_of_two_lose_nothing) {
  walk_with_changes({.replicas = 2, .policy = Policy::in_sync, .spares = 3});
}

TEST(Chaos, P184_changes_under_power_loss_of_one_at_a_time_lose_nothing) {
  walk_with_changes({.power = true, .spares = 2});
}

TEST(Chaos, a_single_replica_loses_nothing_and_comes_to_rest) { walk({.replicas = 1}); }

// 1e6 steps: at each of them the invariants count pins and their owners; at the end none is left.
TEST(Chaos, D14_random_plans_failures_and_epochs_leave_no_pin) {
  EXPECT_GT(walk({.log_records = 8}, 170) + walk({.steps = 3000}, 170), 1000u);
}

}  // namespace
}  // namespace seawall::walk
