// Exhaustive exploration: a million states in all. EXPLORE_STATES chooses another bound of each
// search. What is found is printed as the shortest way from the start of its search.
// States that differ in the names of replicas 2 and 3 are one state: that this loses nothing is
// shown where the whole space is small enough to be walked with and without it.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/explore/explorer.h"

namespace seawall::explore {
namespace {

std::uint64_t states_max() {
  const char* text = std::getenv("EXPLORE_STATES");
  return text != nullptr ? std::stoull(text) : 130'000;
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

// Two controllers over one store: each acts on what it read last, answers of the store are lost.
TEST(Explore, two_controllers_two_faults_four_writes) {
  search("two controllers", {.budget = whole, .controllers = 2});
}

TEST(Explore, two_controllers_of_an_idle_volume_deeper) {
  search("two controllers, idle",
         {.budget = {.writes = 1, .faults = 1, .elections = 2, .passes = 0, .reads = 1},
          .controllers = 2});
}

TEST(Explore, two_controllers_of_a_volume_that_is_in_sync_or_nothing) {
  search("two controllers, in-sync", {.policy = Policy::in_sync, .budget = deep,
                                      .controllers = 2});
}

TEST(Explore, a_store_that_does_not_compare_is_found_out) {
  ExploreOptions options;
  options.world = {.budget = {.writes = 0, .faults = 0, .elections = 2, .passes = 0, .reads = 0},
                   .controllers = 2, .blind_store = true};
  options.states_max = states_max();
  const ExploreResult result = explore(options);
  std::printf("blind store: %s: %s\n", summary(result).c_str(), result.wrong.c_str());
  EXPECT_NE(result.wrong, "");
  EXPECT_NE(way_text(options, result).find("assign 2 "), std::string::npos);
}

// Every class of states that a search without the reduction reaches is reached with it, in the same
// depth, and no other; so a rule that is broken in one of them is broken in both.
void same_classes(const WorldOptions& world, std::uint64_t depth_max) {
  ExploreOptions options;
  options.states_max = 400'000;
  options.depth_max = depth_max;
  options.keep_classes = true;
  options.world = world;
  const ExploreResult reduced = explore(options);
  options.world.symmetric = false;
  const ExploreResult full = explore(options);
  std::printf("reduced: %s\nfull: %s\n", summary(reduced).c_str(), summary(full).c_str());
  ASSERT_TRUE(reduced.exhausted);
  ASSERT_TRUE(full.exhausted);
  EXPECT_EQ(reduced.wrong, "");
  EXPECT_EQ(full.wrong, "");
  EXPECT_EQ(reduced.states, reduced.classes.size());
  EXPECT_EQ(reduced.classes, full.classes);
  EXPECT_LT(reduced.states * 4, full.states * 3) << "it reduces";
}

TEST(ExploreSymmetry, one_controller_reaches_the_same_classes_with_and_without_it) {
  same_classes({.budget = {.writes = 1, .faults = 1, .elections = 0, .passes = 0, .reads = 0}},
               255);
}

TEST(ExploreSymmetry, elections_reach_the_same_classes_with_and_without_it) {
  same_classes({.budget = {.writes = 1, .faults = 1, .elections = 1, .passes = 1, .reads = 1}}, 4);
}

TEST(ExploreSymmetry, two_controllers_reach_the_same_classes_with_and_without_it) {
  same_classes({.budget = {.writes = 1, .faults = 1, .elections = 2, .passes = 0, .reads = 0},
                .controllers = 2},
               4);
}

// And what is wrong is found as early.
TEST(ExploreSymmetry, a_wrong_store_is_found_at_the_same_depth_with_and_without_it) {
  ExploreOptions options;
  options.states_max = states_max();
  options.world = {.budget = {.writes = 0, .faults = 0, .elections = 2, .passes = 0, .reads = 0},
                   .controllers = 2, .blind_store = true};
  const ExploreResult reduced = explore(options);
  options.world.symmetric = false;
  const ExploreResult full = explore(options);
  EXPECT_NE(reduced.wrong, "");
  EXPECT_NE(full.wrong, "");
  EXPECT_EQ(reduced.way.size(), full.way.size());
}

}  // namespace
}  // namespace seawall::explore
