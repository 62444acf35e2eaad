// Random walks: a fixed range of seeds in the suite; CHAOS_SEED and CHAOS_SEEDS choose others.
#include "tests/walk/chaos.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace seawall::walk {
namespace {

void walk(const ChaosOptions& options) {
  const char* first = std::getenv("CHAOS_SEED");
  const char* count = std::getenv("CHAOS_SEEDS");
  const std::uint64_t seed = first != nullptr ? std::stoull(first) : 1;
  const std::uint64_t seeds = count != nullptr ? std::stoull(count) : 40;
  for (std::uint64_t i = 0; i < seeds; ++i) {
    Chaos chaos(seed + i, options);
    const std::string wrong = chaos.run();
    ASSERT_EQ(wrong, "") << "CHAOS_SEED=" << seed + i << " CHAOS_SEEDS=1";
  }
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

TEST(Chaos, a_single_replica_loses_nothing_and_comes_to_rest) { walk({.replicas = 1}); }

}  // namespace
}  // namespace seawall::walk
