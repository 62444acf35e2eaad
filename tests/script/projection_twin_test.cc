// The state of a volume against a twin that reads it from the sentences: every combination of three
// copies, policies and services.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "engine/peer_progress.h"
#include "engine/projection.h"
#include "engine/volume_projection.h"
#include "tests/script/any_in.h"

namespace seawall {
namespace {

using script::any_in;

struct Look {
  ReplicaState state;
  RecoveryKind kind;
};

const std::vector<Look>& looks() {
  static const std::vector<Look> all = {
      {ReplicaState::in_sync, RecoveryKind::none},
      {ReplicaState::catching_up, RecoveryKind::catch_up},
      {ReplicaState::rebuilding, RecoveryKind::full},
      {ReplicaState::rebuilding, RecoveryKind::delta},
      {ReplicaState::rewinding, RecoveryKind::rewind},
      {ReplicaState::proving, RecoveryKind::attach},
      {ReplicaState::unreachable, RecoveryKind::none},
      {ReplicaState::failed, RecoveryKind::none},
      {ReplicaState::unknown, RecoveryKind::none},
      {ReplicaState::terminal, RecoveryKind::none}};
  return all;
}

std::vector<Configuration> configurations() {
  std::vector<Configuration> all;
  for (unsigned in_sync = 0; in_sync < 8; ++in_sync) {
    Configuration config;
    for (std::uint64_t i = 1; i <= 3; ++i) {
      config.members.push_back(ReplicaId{i});
      if ((in_sync >> (i - 1) & 1) != 0) config.in_sync.push_back(ReplicaId{i});
    }
    config.policy = in_sync == 0 ? Policy::quorum : Policy::in_sync;
    all.push_back(config);
  }
  return all;
}

bool is_away(ReplicaState state) {
  return state == ReplicaState::unreachable || state == ReplicaState::failed ||
         state == ReplicaState::terminal;
}

VolumeHealth twin(const Configuration& config, Service service,
                  const std::vector<CopyView>& copies) {
  int members = 0, counting = 0, away = 0, anew = 0, needed_and_here = 0;
  for (const CopyView& copy : copies) {
    if (!config.members.contains(copy.id)) continue;
    ++members;
    const bool in_set = config.policy == Policy::quorum || config.in_sync.contains(copy.id);
    if (copy.state == ReplicaState::in_sync && in_set) ++counting;
    if (is_away(copy.state)) ++away;
    if (copy.state == ReplicaState::rebuilding && copy.kind == RecoveryKind::full) ++anew;
    if (in_set && !is_away(copy.state)) ++needed_and_here;
  }
  const int needed = config.policy == Policy::quorum ? members / 2 + 1
                                                     : static_cast<int>(config.in_sync.size());
  if (service == Service::absent) return VolumeHealth::unavailable;
  if (service == Service::promoting) {
    return needed_and_here >= needed ? VolumeHealth::recovering : VolumeHealth::unavailable;
  }
  if (counting < needed) return VolumeHealth::unavailable;
  if (counting == members) return VolumeHealth::healthy;
  return away + anew > 0 ? VolumeHealth::degraded : VolumeHealth::recovering;
}

TEST(VolumeProjection, P156_every_combination_has_one_state_and_one_reason_and_all_are_reached) {
  std::set<VolumeHealth> reached;
  std::set<std::string> reasons;
  for (const Configuration& config : configurations()) {
    for (const Service service : {Service::absent, Service::promoting, Service::serving}) {
      for (std::size_t i = 0; i < 1'000; ++i) {
        const std::size_t digits[] = {i % 10, i / 10 % 10, i / 100};
        std::vector<CopyView> copies;
        for (std::uint64_t id = 1; id <= 3; ++id) {
          const Look& look = looks()[digits[id - 1]];
          copies.push_back({ReplicaId{id}, look.state, look.kind});
        }
        const VolumeView view = judge_volume(config, service, copies);
        ASSERT_EQ(view.health, twin(config, service, copies)) << i;
        ASSERT_EQ(view.health == VolumeHealth::healthy, view.reason[0] == '\0') << i;
        ASSERT_STRNE(health_name(view.health), "unknown");
        reached.insert(view.health);
        reasons.insert(view.reason);
      }
    }
  }
  const Configuration three = configurations().front();
  const VolumeView faulted = faulted_volume(three, "a newer record was seen");
  EXPECT_EQ(faulted.required, 2u);
  reached.insert(faulted.health);
  EXPECT_EQ(reached.size(), 5u);
  EXPECT_GE(reasons.size(), 12u);  // each kind of trouble has words of its own
}

// Every state of a session, every way in which one ended, every kind that gave a replica up.
TEST(ReplicaProjection, P156_every_row_has_one_state_one_phase_and_one_reason) {
  std::set<ReplicaState> states;
  std::set<SessionPhase> phases;
  for (int state = 0; state <= static_cast<int>(PeerState::clearing); ++state) {
    for (const bool in_sync : {false, true}) {
      for (const bool proving : {false, true}) {
        Peer peer;
        peer.state = static_cast<PeerState>(state);
        peer.in_sync = in_sync;
        if (proving) peer.proof_target = Lsn{7};
        const ReplicaState seen = replica_state(peer);
        EXPECT_STRNE(peer_state_name(peer.state), "?");
        const bool counts = peer.state == PeerState::streaming && in_sync;
        EXPECT_EQ(seen == ReplicaState::in_sync, counts);
        EXPECT_EQ(peer.phase() == SessionPhase::none, peer.state == PeerState::down);
        states.insert(seen);
        phases.insert(peer.phase());
      }
    }
  }
  for (int end = 0; end <= static_cast<int>(SessionEnd::log_given_up); ++end) {
    Peer peer;
    peer.state = PeerState::streaming;
    peer.in_sync = true;
    peer.end_session(static_cast<SessionEnd>(end));
    EXPECT_EQ(replica_state(peer), ReplicaState::unreachable);
    EXPECT_EQ(peer.phase(), SessionPhase::closed);
    EXPECT_STRNE(peer.reason, "");
    const std::optional<FailureKind> kind = failure_of(static_cast<SessionEnd>(end));
    if (!kind) continue;
    for (int nth = 0; !peer.failures.terminal(); ++nth) {
      ASSERT_LT(nth, 100);
      peer.failures.note(*kind, Instant{1});
    }
    EXPECT_EQ(replica_state(peer), ReplicaState::terminal) << peer.reason;
    states.insert(replica_state(peer));
  }
  EXPECT_EQ(states.size(), 8u);  // `failed` is the word of its own node alone
  EXPECT_EQ(phases.size(), 5u);
}

TEST(VolumeProjection,
     P154_rebuilding_or_given_up_is_degraded_under_quorum_and_unavailable_under_all) {
  for (const Look& look : {Look{ReplicaState::rebuilding, RecoveryKind::full},
                           Look{ReplicaState::terminal, RecoveryKind::none}}) {
    const std::vector<CopyView> copies = {
        {ReplicaId{1}, ReplicaState::in_sync, RecoveryKind::none},
        {ReplicaId{2}, ReplicaState::in_sync, RecoveryKind::none},
        {ReplicaId{3}, look.state, look.kind}};
    const VolumeView quorum = judge_volume(configurations().front(), Service::serving, copies);
    EXPECT_EQ(quorum.health, VolumeHealth::degraded);
    EXPECT_EQ(quorum.eligible, 2u);
    EXPECT_EQ(quorum.required, 2u);
    EXPECT_EQ(quorum.about, ReplicaId{3});
    const VolumeView all = judge_volume(configurations().back(), Service::serving, copies);
    EXPECT_EQ(all.health, VolumeHealth::unavailable);
    EXPECT_EQ(all.eligible, 2u);
    EXPECT_EQ(all.required, 3u);
  }
}

TEST(VolumeProjection, P153_nothing_counts_before_the_epoch_is_served) {
  std::vector<CopyView> copies;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    copies.push_back({ReplicaId{id}, ReplicaState::in_sync, RecoveryKind::none});
  }
  const VolumeView view = judge_volume(configurations().front(), Service::promoting, copies);
  EXPECT_EQ(view.health, VolumeHealth::recovering);
  EXPECT_EQ(view.eligible, 0u);
  EXPECT_STRNE(view.reason, "");
}

RC_GTEST_PROP(VolumeProjection, P152_P155_same_copies_in_any_order_with_any_strangers, ()) {
  const Configuration config = configurations()[any_in<std::size_t>(0, 8)];
  const auto service = static_cast<Service>(any_in(0, 3));
  std::vector<CopyView> copies;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    if (any_in(0, 8) == 0) continue;  // not heard of
    const Look& look = looks()[any_in<std::size_t>(0, looks().size())];
    copies.push_back({ReplicaId{id}, look.state, look.kind});
  }
  const VolumeView view = judge_volume(config, service, copies);
  std::vector<CopyView> other = copies;
  for (int i = any_in(0, 3); i > 0; --i) {
    const Look& look = looks()[any_in<std::size_t>(0, looks().size())];
    other.push_back({ReplicaId{any_in<std::uint64_t>(7, 20)}, look.state, look.kind});
  }
  for (std::size_t i = other.size(); i > 1; --i) {
    std::swap(other[i - 1], other[any_in<std::size_t>(0, i)]);
  }
  RC_ASSERT(judge_volume(config, service, other) == view);
}

}  // namespace
}  // namespace seawall
