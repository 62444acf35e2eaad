// The arithmetic of required sets against a twin that tries every value.
#include "engine/quorum.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <vector>

#include "engine/lease.h"

namespace seawall {
namespace {

Configuration members(std::size_t count, Policy policy = Policy::quorum) {
  Configuration config;
  for (std::size_t id = 1; id <= count; ++id) config.members.push_back(ReplicaId{id});
  config.in_sync = config.members;
  config.policy = policy;
  return config;
}

using Standings = std::vector<Standing<Lsn>>;

std::optional<Lsn> reached_of(const Configuration& config, const Standings& standings) {
  return reached(config, std::span<const Standing<Lsn>>(standings));
}

// The greatest of all values that enough members have reached, by trying each one.
std::optional<Lsn> twin(const Configuration& config, const Standings& standings) {
  const bool quorum = config.policy == Policy::quorum;
  const ReplicaSet& set = quorum ? config.members : config.in_sync;
  const std::size_t needed = quorum ? set.size() / 2 + 1 : set.size();
  std::optional<Lsn> best;
  for (const Standing<Lsn>& candidate : standings) {
    if (!candidate.at) continue;
    std::size_t count = 0;
    for (const Standing<Lsn>& other : standings) {
      if (set.contains(other.replica) && other.at && *other.at >= *candidate.at) ++count;
    }
    const bool enough = !set.empty() && set.contains(candidate.replica) && count >= needed;
    if (enough && (!best || *candidate.at > *best)) best = candidate.at;
  }
  return best;
}

Standings random_standings(std::size_t count) {
  Standings standings;
  for (std::size_t id = 1; id <= count; ++id) {
    Standing<Lsn> standing{ReplicaId{id}, std::nullopt};
    if (*rc::gen::arbitrary<bool>()) standing.at = Lsn{*rc::gen::inRange<std::uint64_t>(0, 9)};
    standings.push_back(standing);
  }
  return standings;
}

TEST(Quorum, P01_P02_is_what_a_search_over_all_values_finds) {
  EXPECT_TRUE(rc::check([] {
    const std::size_t count = *rc::gen::inRange<std::size_t>(1, 8);
    Configuration config = members(count);
    if (*rc::gen::arbitrary<bool>()) {
      config.policy = Policy::in_sync;
      config.in_sync.erase_if([](ReplicaId) { return *rc::gen::arbitrary<bool>(); });
    }
    const Standings standings = random_standings(*rc::gen::inRange<std::size_t>(1, 8));
    RC_ASSERT(reached_of(config, standings) == twin(config, standings));
  }));
}

TEST(Quorum, joint_is_never_beyond_either_side) {
  EXPECT_TRUE(rc::check([] {
    const Configuration now = members(*rc::gen::inRange<std::size_t>(1, 8));
    const Configuration wanted = members(*rc::gen::inRange<std::size_t>(1, 8), Policy::in_sync);
    const Standings standings = random_standings(7);
    const std::optional<Lsn> joint = reached_jointly(
        now, std::optional(wanted), std::span<const Standing<Lsn>>(standings));
    const std::optional<Lsn> a = reached_of(now, standings);
    const std::optional<Lsn> b = reached_of(wanted, standings);
    if (!a || !b) RC_ASSERT(!joint);
    else RC_ASSERT(joint == std::min(*a, *b));
  }));
}

TEST(Quorum, P02_every_write_quorum_meets_every_read_quorum) {
  for (std::size_t n = 1; n <= limits::members_max; ++n) {
    EXPECT_GT(write_quorum(n) + read_quorum(n), n);
    EXPECT_GT(2 * write_quorum(n), n);
  }
}

TEST(Quorum, P03_sizes_come_from_the_configuration_not_from_who_is_there) {
  EXPECT_EQ(reached_of(members(3), {}), std::nullopt);
  EXPECT_EQ(reached_of(members(3), {{ReplicaId{1}, Lsn{9}}}), std::nullopt);
  EXPECT_EQ(reached_of(members(0), {{ReplicaId{1}, Lsn{9}}}), std::nullopt);
  EXPECT_EQ(reached_of(members(1), {{ReplicaId{1}, Lsn{9}}}), Lsn{9});
}

TEST(Quorum, P10_one_replica_is_one_vote) {
  const Standings twice = {{ReplicaId{1}, Lsn{9}}, {ReplicaId{1}, Lsn{9}}};
  EXPECT_EQ(reached_of(members(3), twice), std::nullopt);
}

TEST(Lease, P69_P70_runs_from_the_sending_and_ends_before_its_granters_have_waited) {
  const Duration length{1000};
  EXPECT_LT(primary_lease(length), length);
  const std::vector<Standing<Instant>> grants = {{ReplicaId{1}, Instant{5000}},
                                                 {ReplicaId{2}, Instant{4000}},
                                                 {ReplicaId{3}, std::nullopt}};
  const std::span<const Standing<Instant>> view(grants);
  EXPECT_EQ(lease_end(members(3), std::nullopt, view, length),
            Instant{4000} + primary_lease(length));
  EXPECT_EQ(lease_end(members(3, Policy::in_sync), std::nullopt, view, length), std::nullopt);
}

}  // namespace
}  // namespace seawall
