// Which configuration may follow which: the one rule that primary and controller share.
#include "engine/config_change.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace seawall {
namespace {

ReplicaSet set(std::initializer_list<std::uint64_t> ids) {
  ReplicaSet out;
  for (const std::uint64_t id : ids) out.push_back(ReplicaId{id});
  return out;
}

Configuration quorum(std::initializer_list<std::uint64_t> members) {
  Configuration config;
  config.members = set(members);
  return config;
}

Configuration in_sync(std::initializer_list<std::uint64_t> members,
                      std::initializer_list<std::uint64_t> those, std::uint8_t least) {
  Configuration config;
  config.members = set(members);
  config.in_sync = set(those);
  config.policy = Policy::in_sync;
  config.min_in_sync = least;
  return config;
}

const ReplicaId one{1};

TEST(ConfigChange, united_is_sorted_and_names_each_once) {
  EXPECT_EQ(united(set({1, 3, 5}), set({2, 3, 6})), set({1, 2, 3, 5, 6}));
  EXPECT_EQ(united(set({}), set({4})), set({4}));
  EXPECT_EQ(united(set({4}), set({})), set({4}));
  EXPECT_EQ(united(set({1, 2}), set({1, 2})), set({1, 2}));
}

TEST(ConfigChange, P04_another_in_sync_set_needs_no_wish_and_nothing_else_may_change_with_it) {
  const Configuration now = in_sync({1, 2, 3}, {1, 2, 3}, 2);
  EXPECT_TRUE(is_step(now, std::nullopt, in_sync({1, 2, 3}, {1, 2}, 2), one));
  EXPECT_TRUE(is_step(now, std::nullopt, in_sync({1, 2, 3}, {1, 3}, 2), one));
  EXPECT_FALSE(is_step(now, std::nullopt, in_sync({1, 2, 3}, {2, 3}, 2), one)) << "without it";
  EXPECT_FALSE(is_step(now, std::nullopt, in_sync({1, 2, 3}, {1}, 2), one)) << "below the least";
  EXPECT_FALSE(is_step(now, std::nullopt, in_sync({1, 2, 3}, {1, 4}, 2), one)) << "no member";
  EXPECT_FALSE(is_step(now, std::nullopt, in_sync({1, 2, 3}, {2, 1}, 2), one)) << "not sorted";
  EXPECT_FALSE(is_step(now, std::nullopt, in_sync({1, 2}, {1, 2}, 2), one)) << "other members";
  EXPECT_FALSE(is_step(now, std::nullopt, in_sync({1, 2, 3}, {1, 2}, 1), one)) << "another least";
  EXPECT_FALSE(is_step(now, std::nullopt, quorum({1, 2, 3}), one)) << "another policy";
  Configuration none = in_sync({1, 2, 3}, {1, 2}, 2);
  none.write_cache = WriteCache::none;
  EXPECT_FALSE(is_step(now, std::nullopt, none, one)) << "another write cache";
}

TEST(ConfigChange, P36_a_step_is_the_whole_wish_or_none_of_it) {
  const Configuration now = quorum({1, 2, 3});
  const Configuration wish = quorum({1, 2, 4});
  EXPECT_TRUE(is_step(now, wish, wish, one));
  EXPECT_FALSE(is_step(now, wish, quorum({1, 2, 3, 4}), one));
  EXPECT_FALSE(is_step(now, wish, quorum({1, 2}), one));
  EXPECT_FALSE(is_step(now, std::nullopt, wish, one)) << "nobody wished for it";
  Configuration to_in_sync = in_sync({1, 2, 4}, {}, 2);
  EXPECT_TRUE(is_step(now, to_in_sync, in_sync({1, 2, 4}, {1, 4}, 2), one));
  EXPECT_FALSE(is_step(now, to_in_sync, in_sync({1, 2, 4}, {1}, 2), one));
  Configuration with_set = wish;
  with_set.in_sync = set({1});
  EXPECT_FALSE(is_step(now, wish, with_set, one)) << "a quorum has no in-sync set";
}

TEST(ConfigChange, a_primary_that_leaves_stays_until_another_leads) {
  const Configuration now = quorum({1, 2, 3});
  const Configuration wish = quorum({2, 3, 4});
  EXPECT_FALSE(is_step(now, wish, wish, one)) << "without its own primary";
  const Configuration between = quorum({1, 2, 3, 4});
  EXPECT_TRUE(is_step(now, wish, between, one));
  EXPECT_FALSE(fulfils(between, wish));
  EXPECT_TRUE(is_step(between, wish, wish, ReplicaId{2}));
}

TEST(ConfigChange, P14_a_least_number_that_cannot_be_is_no_step) {
  const Configuration now = quorum({1, 2, 3});
  for (const std::uint8_t least : {std::uint8_t{0}, std::uint8_t{4}}) {
    const Configuration wish = in_sync({1, 2, 3}, {}, least);
    EXPECT_FALSE(is_step(now, wish, in_sync({1, 2, 3}, {1, 2, 3}, least), one));
  }
}

}  // namespace
}  // namespace seawall
