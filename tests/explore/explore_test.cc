// Exhaustive exploration: a million states in all. EXPLORE_STATES chooses another bound of each
// search. What is found is printed as the shortest way from the start of its search.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/explore/explorer.h"

namespace seawall::explore {
namespace {

std::uint64_t states_max() {
  const char* text = std::getenv("EXPLORE_STATES");
  return text != nullptr ? std::stoull(text) : 210'000;
}

void search(const char* name, const WorldOptions& world) {
  ExploreOptions options;
  options.world = world;
  options.states_max = states_max();
  options.check_equal_every = 3'000;
  const ExploreResult result = explore(options);
  std::printf("%s: %s\n", name, summary(result).c_str());
  EXPECT_EQ(result.wrong, "") << way_text(options, result);
  EXPECT_EQ(result.states, options.states_max);
}

constexpr Budget whole{};
constexpr Budget deep{.writes = 1, .faults = 1, .elections = 1, .passes = 0, .reads = 1};

TEST(Explore, four_writes_two_faults_two_elections_of_three_in_sync) {
  search("whole", {.budget = whole});
}

TEST(Explore, one_write_one_fault_one_election_deeper) {
  search("deep", {.budget = deep, .power = true});
}

TEST(Explore, a_stale_tail_next_to_a_new_epoch) {
  search("stale tail", {.start = Start::stale_tail, .budget = deep});
}

TEST(Explore, a_rebuild_under_way) {
  search("rebuild", {.start = Start::rebuilding, .budget = deep});
}

TEST(Explore, super_blocks_that_are_written_later) {
  search("super blocks", {.budget = deep, .lazy_super = true});
}

}  // namespace
}  // namespace seawall::explore
