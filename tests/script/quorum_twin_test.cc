// The quorum arithmetic against a twin that counts on its fingers: how many have each value?
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

#include "engine/quorum.h"
#include "tests/script/any_in.h"

namespace seawall {
namespace {

using script::any_in;

using Standings = std::vector<Standing<Lsn>>;

Configuration config_of(std::size_t members, unsigned in_sync, Policy policy) {
  Configuration config;
  config.policy = policy;
  for (std::size_t i = 0; i < members; ++i) {
    config.members.push_back(ReplicaId{i + 1});
    if ((in_sync >> i & 1) != 0) config.in_sync.push_back(ReplicaId{i + 1});
  }
  return config;
}

// A prefix up to x is reached when enough of the set have x or more: try every x from the top.
std::optional<Lsn> twin(const Configuration& config, const Standings& standings) {
  const ReplicaSet& set = config.policy == Policy::quorum ? config.members : config.in_sync;
  for (std::uint64_t x = 20; !set.empty(); --x) {
    std::size_t have = 0;
    for (const ReplicaId member : set) {
      for (const Standing<Lsn>& standing : standings) {
        if (standing.replica == member && standing.at && standing.at->value() >= x) {
          ++have;
          break;
        }
      }
    }
    const bool majority = have * 2 > set.size();
    if (config.policy == Policy::quorum ? majority : have == set.size()) return Lsn{x};
    if (x == 0) break;
  }
  return std::nullopt;
}

rc::Gen<Standings> gen_standings(std::size_t members) {
  return rc::gen::exec([members] {
    Standings out;
    for (std::size_t i = 0; i < members; ++i) {
      if (any_in(0, 4) == 0) continue;  // not connected at all
      std::optional<Lsn> at;
      if (any_in(0, 4) != 0) at = Lsn{any_in<std::uint64_t>(0, 20)};
      out.push_back({ReplicaId{i + 1}, at});
    }
    out.push_back({ReplicaId{99}, Lsn{19}});  // a stranger counts nowhere
    return out;
  });
}

RC_GTEST_PROP(QuorumTwin, P01_P02_P03_reached_is_what_enough_members_have, ()) {
  const auto members = any_in<std::size_t>(1, 8);
  const auto in_sync = any_in<unsigned>(0, 128);
  const Policy policy = *rc::gen::element(Policy::quorum, Policy::in_sync);
  const Configuration config = config_of(members, in_sync, policy);
  const Standings standings = *gen_standings(members);
  RC_ASSERT(reached(config, std::span<const Standing<Lsn>>(standings)) == twin(config, standings));
}

RC_GTEST_PROP(QuorumTwin, P24_P34_joint_is_the_lesser_of_both, ()) {
  const auto members = any_in<std::size_t>(1, 8);
  const Configuration now = config_of(members, any_in<unsigned>(0, 128),
                                      *rc::gen::element(Policy::quorum, Policy::in_sync));
  const Configuration wanted = config_of(any_in<std::size_t>(1, 8),
                                         any_in<unsigned>(0, 128),
                                         *rc::gen::element(Policy::quorum, Policy::in_sync));
  const Standings standings = *gen_standings(7);
  const auto one = twin(now, standings);
  const auto other = twin(wanted, standings);
  std::optional<Lsn> least;
  if (one && other) least = std::min(*one, *other);
  const std::span<const Standing<Lsn>> span(standings);
  RC_ASSERT(reached_jointly(now, std::optional(wanted), span) == least);
  RC_ASSERT(reached_jointly(now, std::optional<Configuration>(), span) == one);
}

TEST(QuorumTwin, P02_every_subset_of_absent_members_for_one_to_five) {
  for (std::size_t members = 1; members <= 5; ++members) {
    const Configuration config = config_of(members, 0, Policy::quorum);
    for (unsigned present = 0; present < 1u << members; ++present) {
      Standings standings;
      for (std::size_t i = 0; i < members; ++i) {
        if ((present >> i & 1) != 0) standings.push_back({ReplicaId{i + 1}, Lsn{7}});
      }
      const bool enough = standings.size() >= members / 2 + 1;
      const auto result = reached(config, std::span<const Standing<Lsn>>(standings));
      EXPECT_EQ(result.has_value(), enough) << members << " members, " << present;
    }
  }
}

TEST(QuorumTwin, P56_write_and_read_quorums_always_meet) {
  for (std::size_t members = 1; members <= limits::members_max; ++members) {
    EXPECT_EQ(write_quorum(members) + read_quorum(members), members + 1);
  }
}

}  // namespace
}  // namespace seawall
