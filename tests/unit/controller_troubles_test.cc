// Failures of replicas in the history of their volume, and the operator's word that one is to be
// tried again.
#include <gtest/gtest.h>

#include <algorithm>

#include "controller/core/fields.h"
#include "controller/core/health.h"
#include "tests/unit/controller_world.h"

namespace seawall::controller {
namespace {

struct Trouble {
  World world{4};
  VolumeId volume;
  std::size_t victim = 0;
  ReplicaId replica;

  Trouble() {
    volume = world.create("v", 3, "quorum");
    EXPECT_TRUE(world.write(volume));
    world.run(500);
    const auto record = world.record(volume);
    for (const ReplicaRecord& each : record->replicas) {
      if (each.id == record->primary) continue;
      victim = world.index_of(each.node);
      replica = each.id;
    }
  }
  ModelReplica& model() { return world.replica(victim, volume); }
  std::string told() { return world.record(volume)->replica(replica)->trouble; }
  std::vector<ChangeEvent> events(const std::string& type) {
    std::vector<ChangeEvent> out;
    const auto all = world.store().events(volume, Revision(0), 1000);
    for (const ChangeEvent& event : all.value()) {
      if (event.type == type) out.push_back(event);
    }
    return out;
  }
  HealthView health() {
    const auto volumes = world.core().volumes();
    EXPECT_EQ(volumes.size(), 1u);
    return project_health(world.core(), volumes.front(), world.now());
  }
  ReplicaHealth look() {
    const HealthView view = health();
    for (const ReplicaHealth& each : view.replicas) {
      if (each.id == replica) return each;
    }
    return {};
  }
  Answer retry(const std::string& operation, const std::string& node) {
    ChangeVolume request;
    request.operation = operation;
    request.volume = "v";
    request.retry = node;
    return world.ask_and_wait(request);
  }
};

TEST(Troubles, P127_each_escalation_and_each_end_is_one_event_of_the_history) {
  Trouble t;
  t.world.run(5'000);
  EXPECT_TRUE(t.events("replica_failing").empty());
  t.model().failures = {{FailureKind::gap, FailureAction::retry, 8, Duration{1}},
                        {FailureKind::gap, FailureAction::escalate, 9, Duration{0}}};
  ASSERT_TRUE(t.world.run_until([&] { return t.told() == "gap,escalate,9"; }));
  t.world.run(5'000);
  ASSERT_EQ(t.events("replica_failing").size(), 1u);  // once, however often it is heard
  EXPECT_NE(t.events("replica_failing")[0].fields.find("trouble."), std::string::npos);
  EXPECT_TRUE(is_known_event("replica_failing"));

  t.model().failures.push_back({FailureKind::gap, FailureAction::terminal, 12, Duration{0}});
  ASSERT_TRUE(t.world.run_until([&] { return t.told() == "gap,terminal,12"; }));
  EXPECT_EQ(t.health().health, VolumeHealth::degraded);
  EXPECT_EQ(t.look().state, ReplicaState::terminal);
  EXPECT_EQ(t.look().peer->failures.size(), 3u);
  EXPECT_TRUE(t.world.write(t.volume));

  t.model().failures.clear();
  ASSERT_TRUE(t.world.run_until([&] { return t.told().empty(); }));
  EXPECT_EQ(t.events("replica_mended").size(), 1u);
  EXPECT_EQ(t.health().health, VolumeHealth::healthy);
}

TEST(Troubles, P127_the_operators_word_reaches_the_primary_whatever_dies_in_between) {
  for (std::uint64_t crash = 1; crash <= 6; ++crash) {
    Trouble t;
    t.model().failures = {{FailureKind::not_equal, FailureAction::terminal, 5, Duration{0}}};
    ASSERT_TRUE(t.world.run_until([&] { return !t.told().empty(); }));
    t.world.crash_at_step(t.world.steps() + crash);
    const std::string node = t.world.node(t.victim).name;
    const std::uint64_t id = t.world.ask([&] {
      ChangeVolume request;
      request.operation = "once";
      request.volume = "v";
      request.retry = node;
      return request;
    }());
    t.world.run_until([&] { return t.world.answer_of(id) != nullptr; }, 20'000);
    EXPECT_FALSE(t.retry("once", node).refusal.has_value()) << crash;  // the same word again
    ASSERT_TRUE(t.world.run_until([&] { return t.told().empty(); })) << crash;
    EXPECT_EQ(t.world.record(t.volume)->replica(t.replica)->word, 1u) << crash;
    EXPECT_EQ(t.events("retrying").size(), 1u) << crash;
    const Assignment& heard = t.model().assignment;
    const auto own = std::find_if(
        heard.endpoints.begin(), heard.endpoints.end(),
        [&](const PeerEndpoint& endpoint) { return endpoint.replica == t.replica; });
    ASSERT_NE(own, heard.endpoints.end());
    EXPECT_EQ(own->word, 1u) << crash;  // the replica's own node has it, too
  }
}

TEST(Troubles, a_word_for_a_node_without_a_replica_is_refused_by_name) {
  Trouble t;
  const Answer refused = t.retry("x", "elsewhere");
  ASSERT_TRUE(refused.refusal.has_value());
  EXPECT_EQ(refused.refusal->code, RefusalCode::not_found);
  EXPECT_NE(refused.refusal->message.find("elsewhere"), std::string::npos);
}

TEST(Troubles, P127_a_store_that_is_given_up_is_terminal_by_the_word_of_its_own_node) {
  Trouble t;
  t.model().given_up = true;
  ASSERT_TRUE(t.world.run_until([&] { return t.told() == "store_failed,terminal,9"; }));
  EXPECT_EQ(t.look().state, ReplicaState::terminal);
  EXPECT_EQ(t.health().health, VolumeHealth::degraded);
}

TEST(Health, P152_P155_the_same_words_in_any_order_are_the_same_projection) {
  // Two worlds that hear the same beats, one of them each message twice.
  const auto view_of = [](bool doubled) {
    Trouble t;
    t.world.duplicate_messages(doubled);
    t.model().failures = {{FailureKind::gap, FailureAction::escalate, 9, Duration{0}}};
    t.world.run(5'000);
    const HealthView view = t.health();
    std::string text = std::string(health_name(view.health)) + " " + view.reason;
    for (const ReplicaHealth& each : view.replicas) {
      text += std::string("; ") + replica_state_name(each.state) + " " + each.reason;
    }
    EXPECT_EQ(view.replicas.size(), 3u);  // the fourth node holds none, and none is listed
    return text;
  };
  EXPECT_EQ(view_of(false), view_of(true));
}

TEST(Health, P153_a_failover_is_told_by_its_votes_and_nothing_counts_meanwhile) {
  Trouble t;
  const std::size_t primary = t.world.primary_index(t.volume);
  t.world.node(t.victim).mute_fences = true;
  t.world.kill(primary);
  ASSERT_TRUE(t.world.run_until([&] { return t.world.record(t.volume)->pending.has_value(); }));
  t.world.run(1'000);
  const HealthView view = t.health();
  EXPECT_EQ(view.health, VolumeHealth::unavailable);
  EXPECT_EQ(view.eligible, 0u);
  EXPECT_EQ(view.votes_needed, 2u);
  ASSERT_EQ(view.votes.size(), 3u);
  std::size_t counting = 0;
  for (const Vote& vote : view.votes) {
    counting += vote.counts ? 1 : 0;
    EXPECT_TRUE(vote.counts || !vote.reason.empty());
  }
  EXPECT_EQ(counting, 1u);
  EXPECT_TRUE(view.lasting.has_value());
  t.world.node(t.victim).mute_fences = false;
  ASSERT_TRUE(t.world.run_until([&] { return t.world.is_serving(t.volume); }));
  t.world.run(1'000);
  EXPECT_EQ(t.health().health, VolumeHealth::degraded);
  EXPECT_TRUE(t.health().votes.empty());
}

TEST(Health, P153_a_primary_on_its_way_into_office_is_a_recovery_not_an_outage) {
  Trouble t;
  const std::size_t primary = t.world.primary_index(t.volume);
  for (std::size_t i = 0; i < 4; ++i) t.world.node(i).lags = i != primary;
  t.world.replica(primary, t.volume).serving = false;
  t.world.replica(primary, t.volume).role = Role::promoting;
  t.world.run(300);
  EXPECT_EQ(t.health().health, VolumeHealth::recovering);
  EXPECT_EQ(t.health().eligible, 0u);
  t.world.kill(t.victim);
  for (std::size_t i = 0; i < 4; ++i) {
    if (i != primary && i != t.victim) t.world.kill(i);
  }
  t.world.run(3'000);
  EXPECT_EQ(t.health().health, VolumeHealth::unavailable);
}

}  // namespace
}  // namespace seawall::controller
