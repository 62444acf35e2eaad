// Changes of a volume's configuration, the controller's part: what is asked for becomes a wish,
// newcomers are made and assigned, steps are committed by compare-and-set, what is left goes.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "controller/core/change.h"
#include "tests/unit/controller_world.h"

namespace seawall::controller {
namespace {

ChangeVolume change_of(const std::string& volume, const std::string& operation) {
  ChangeVolume request;
  request.operation = operation;
  request.volume = volume;
  return request;
}

ChangeVolume replicas(const std::string& volume, std::uint32_t count) {
  ChangeVolume request = change_of(volume, "replicas-" + std::to_string(count));
  request.replicas = count;
  return request;
}

ChangeVolume replace(const std::string& volume, const std::string& node) {
  ChangeVolume request = change_of(volume, "replace-" + node);
  request.replace = node;
  return request;
}

// The wish is fulfilled, the volume serves, and nothing of what it left behind is still there.
bool is_done(World& world, VolumeId volume) {
  const auto record = world.record(volume);
  return record && !record->wish && record->retired.empty() && world.is_settled(volume);
}

std::set<std::size_t> nodes_of(World& world, VolumeId volume) {
  std::set<std::size_t> nodes;
  const auto record = world.record(volume);
  for (const ReplicaRecord& replica : record->replicas) {
    nodes.insert(world.index_of(replica.node));
  }
  return nodes;
}

std::set<std::size_t> directories_of(World& world, VolumeId volume, std::size_t nodes) {
  std::set<std::size_t> held;
  for (std::size_t i = 0; i < nodes; ++i) {
    if (world.node(i).replicas.contains(volume)) held.insert(i);
  }
  return held;
}

std::size_t some_follower(World& world, VolumeId volume) {
  for (const std::size_t index : nodes_of(world, volume)) {
    if (index != world.primary_index(volume)) return index;
  }
  return 0;
}

Refusal refusal_of(World& world, const ChangeVolume& request) {
  const Answer answer = world.ask_and_wait(request);
  EXPECT_TRUE(answer.refusal.has_value());
  return answer.refusal.value_or(Refusal{});
}

void expect_taken(World& world, const ChangeVolume& request) {
  const Answer answer = world.ask_and_wait(request);
  EXPECT_FALSE(answer.refusal) << answer.refusal->message;
}

TEST(ChangeVolume, P14_what_cannot_be_is_refused_by_name) {
  World world(4);
  world.create("v", 3, "quorum");
  const auto expect = [&](const char* field, const char* value, auto&& fill) {
    ChangeVolume request = change_of("v", "op");
    fill(request);
    const Refusal refusal = refusal_of(world, request);
    EXPECT_EQ(refusal.field, field) << refusal.message;
    EXPECT_EQ(refusal.value, value) << refusal.message;
    EXPECT_FALSE(refusal.wanted.empty());
  };
  expect("policy", "most", [](ChangeVolume& r) { r.policy = "most"; });
  expect("min_in_sync", "0", [](ChangeVolume& r) { r.policy = "in-sync", r.min_in_sync = 0; });
  expect("min_in_sync", "4", [](ChangeVolume& r) { r.policy = "in-sync", r.min_in_sync = 4; });
  expect("min_in_sync", "2", [](ChangeVolume& r) { r.min_in_sync = 2; });
  expect("write_cache", "some", [](ChangeVolume& r) { r.write_cache = "some"; });
  expect("replicas", "0", [](ChangeVolume& r) { r.replicas = 0; });
  expect("replicas", "8", [](ChangeVolume& r) { r.replicas = 8; });
  expect("replicas", "5", [](ChangeVolume& r) { r.replicas = 5; });  // four nodes
  expect("node", "n9", [](ChangeVolume& r) { r.replace = "n9"; });
  expect("change", "", [](ChangeVolume&) {});
  expect("cancel", "true", [](ChangeVolume& r) { r.cancel = true, r.policy = "all"; });
  expect("to", "n4", [](ChangeVolume& r) { r.to = "n4"; });
}

TEST(ChangeVolume, P39_three_to_two_to_three_leaves_no_directory_and_no_id_twice) {
  World world(4);
  const VolumeId volume = world.create("v", 3, "quorum");
  std::set<ReplicaId> ids;
  const auto made = world.record(volume);
  for (const ReplicaRecord& each : made->replicas) ids.insert(each.id);
  expect_taken(world, replicas("v", 2));
  ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); }));
  EXPECT_EQ(world.record(volume)->config.members.size(), 2u);
  EXPECT_EQ(directories_of(world, volume, 4), nodes_of(world, volume));
  expect_taken(world, replicas("v", 3));
  ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); }));
  const auto record = world.record(volume);
  EXPECT_EQ(record->config.members.size(), 3u);
  EXPECT_EQ(directories_of(world, volume, 4), nodes_of(world, volume));
  std::size_t fresh = 0;
  for (const ReplicaRecord& each : record->replicas) fresh += ids.contains(each.id) ? 0 : 1;
  EXPECT_EQ(fresh, 1u) << "a replica came back under the id of one that was removed";
}

TEST(ChangeVolume, P175_the_dead_one_of_all_is_replaced_and_its_files_go_when_it_returns) {
  World world(4);
  const VolumeId volume = world.create("v", 2, "all");
  const std::size_t dead = some_follower(world, volume);
  world.kill(dead);
  world.run(2'000);
  EXPECT_FALSE(world.write(volume)) << "all means all";
  expect_taken(world, replace("v", world.node(dead).name));
  ASSERT_TRUE(world.run_until([&] { return !world.record(volume)->wish; }));
  const auto record = world.record(volume);
  EXPECT_EQ(record->config.min_in_sync, 2);
  EXPECT_EQ(record->config.in_sync, record->config.members);
  EXPECT_FALSE(nodes_of(world, volume).contains(dead));
  EXPECT_TRUE(world.write(volume));
  ASSERT_EQ(record->retired.size(), 1u);
  world.start(dead);
  ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); }));
  EXPECT_FALSE(world.node(dead).replicas.contains(volume));
}

TEST(ChangeVolume, P158_policies_and_write_caches_change_and_name_their_least_number) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  ChangeVolume request = change_of("v", "a");
  request.policy = "in-sync";
  request.write_cache = "none";
  expect_taken(world, request);
  ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); }));
  Configuration config = world.record(volume)->config;
  EXPECT_EQ(config.policy, Policy::in_sync);
  EXPECT_EQ(config.min_in_sync, 2);
  EXPECT_EQ(config.in_sync, config.members);
  EXPECT_EQ(config.write_cache, WriteCache::none);
  request = change_of("v", "b");
  request.policy = "quorum";
  expect_taken(world, request);
  ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); }));
  config = world.record(volume)->config;
  EXPECT_EQ(config.policy, Policy::quorum);
  EXPECT_TRUE(config.in_sync.empty());
  EXPECT_EQ(config.write_cache, WriteCache::none);
}

TEST(ChangeVolume, a_policy_keeps_its_meaning_when_the_number_of_replicas_changes) {
  struct Case {
    const char* policy;
    std::uint32_t from, to, least;
  };
  for (const Case& each : {Case{"all", 3, 2, 2}, Case{"in-sync", 3, 4, 3},
                           Case{"best-effort", 3, 4, 1}, Case{"in-sync", 2, 3, 2}}) {
    World world(4);
    const VolumeId volume = world.create("v", each.from, each.policy);
    expect_taken(world, replicas("v", each.to));
    ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); }));
    EXPECT_EQ(world.record(volume)->config.min_in_sync, each.least) << each.policy;
  }
}

TEST(ChangeVolume, P38_one_at_a_time_and_the_same_one_again_is_no_second) {
  World world(5);
  const VolumeId volume = world.create("v", 3, "quorum");
  for (std::size_t i = 0; i < 5; ++i) world.node(i).lags = true;  // no newcomer gets level
  expect_taken(world, replicas("v", 4));
  const Revision revision = world.record(volume)->revision;
  expect_taken(world, replicas("v", 4));
  ChangeVolume same = replicas("v", 4);
  same.operation = "another-word";
  expect_taken(world, same);
  EXPECT_EQ(world.record(volume)->revision, revision);
  const Refusal refusal = refusal_of(world, replicas("v", 2));
  EXPECT_EQ(refusal.code, RefusalCode::busy) << refusal.message;
  for (std::size_t i = 0; i < 5; ++i) world.node(i).lags = false;
  ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); }));
  expect_taken(world, replicas("v", 4));  // in force
  EXPECT_EQ(world.record(volume)->config.members.size(), 4u);
}

TEST(ChangeVolume, P37_a_newcomer_that_dies_holds_up_nothing_and_the_wish_can_be_cancelled) {
  World world(4);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::set<std::size_t> before = nodes_of(world, volume);
  std::size_t newcomer = 0;
  while (before.contains(newcomer)) ++newcomer;
  world.node(newcomer).lags = true;
  expect_taken(world, replicas("v", 4));
  world.run(1'000);
  world.kill(newcomer);
  world.run(3'000);
  EXPECT_TRUE(world.write(volume));
  ChangeVolume cancel = change_of("v", "cancel");
  cancel.cancel = true;
  expect_taken(world, cancel);
  expect_taken(world, cancel);  // there is none any more: nothing to do
  EXPECT_FALSE(world.record(volume)->wish);
  EXPECT_EQ(nodes_of(world, volume), before);
  world.start(newcomer);
  ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); }));
  EXPECT_FALSE(world.node(newcomer).replicas.contains(volume));
}

TEST(ChangeVolume, a_newcomer_that_cannot_be_made_undoes_the_wish) {
  World world(4);
  const VolumeId volume = world.create("v", 3, "quorum");
  for (std::size_t i = 0; i < 4; ++i) world.node(i).fails_create = true;
  expect_taken(world, replicas("v", 4));
  ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); }));
  EXPECT_EQ(world.record(volume)->config.members.size(), 3u);
  EXPECT_EQ(directories_of(world, volume, 4).size(), 3u);
}

TEST(ChangeVolume, the_primary_hands_over_before_its_replica_goes) {
  for (const std::uint32_t count : {1u, 2u, 3u}) {
    World world(4);
    const VolumeId volume = world.create("v", count, count == 3 ? "quorum" : "in-sync");
    ASSERT_TRUE(world.write(volume));
    const std::size_t leaving = world.primary_index(volume);
    expect_taken(world, replace("v", world.node(leaving).name));
    ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); })) << count;
    EXPECT_FALSE(nodes_of(world, volume).contains(leaving)) << count;
    EXPECT_EQ(world.record(volume)->config.members.size(), count);
    EXPECT_FALSE(world.node(leaving).replicas.contains(volume));
    EXPECT_TRUE(world.write(volume));
  }
}

TEST(ChangeVolume, a_primary_that_leaves_is_not_chosen_because_it_reports_first) {
  World world(4);
  const VolumeId volume = world.create("v", 2, "in-sync");
  const std::size_t leaving = world.primary_index(volume);
  for (std::size_t i = 0; i < 4; ++i) world.node(i).mute_fences = i != leaving;
  expect_taken(world, replace("v", world.node(leaving).name));
  ASSERT_TRUE(world.run_until([&] { return world.record(volume)->pending.has_value(); }));
  const Epoch pending = *world.record(volume)->pending;
  world.run(1'200);  // the others wait out what they granted
  for (std::size_t i = 0; i < 4; ++i) world.node(i).mute_fences = false;
  ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); }));
  EXPECT_EQ(world.record(volume)->epoch, pending) << "more than one failover";
  EXPECT_FALSE(nodes_of(world, volume).contains(leaving));
}

// P177: the pool that comes back empty holds no replica, and none is made under the lost one's id.
TEST(ChangeVolume, P177_a_replica_whose_disk_is_gone_is_replaced_and_never_returns) {
  World world(4);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t lost = some_follower(world, volume);
  const ReplicaId id = world.replica(lost, volume).facts.replica;
  world.kill(lost);
  world.node(lost).replicas.clear();
  world.start(lost);
  world.run(20'000);
  EXPECT_TRUE(world.node(lost).replicas.empty()) << "made anew under its old id";
  ASSERT_TRUE(world.run_until([&] { return !world.record(volume)->is_member(id); }));
  ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); }));
  EXPECT_EQ(world.record(volume)->config.members.size(), 3u);
  EXPECT_FALSE(nodes_of(world, volume).contains(lost));
}

TEST(ChangeVolume, a_member_whose_node_stays_away_for_long_is_replaced_once) {
  World world(4);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t away = some_follower(world, volume);
  world.kill(away);
  world.run(29 * 60'000);
  EXPECT_TRUE(nodes_of(world, volume).contains(away));
  ASSERT_TRUE(world.run_until([&] { return !nodes_of(world, volume).contains(away); }, 180'000));
  world.start(away);
  ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); }));
  EXPECT_EQ(world.record(volume)->config.members.size(), 3u);
  EXPECT_FALSE(world.node(away).replicas.contains(volume));
}

TEST(ChangeVolume, a_volume_deleted_in_the_middle_of_a_change_leaves_nothing) {
  World world(4);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t dead = some_follower(world, volume);
  world.kill(dead);
  expect_taken(world, replace("v", world.node(dead).name));
  world.run(300);
  DeleteVolume removal;
  removal.operation = "delete";
  removal.name = "v";
  ASSERT_FALSE(world.ask_and_wait(removal).refusal);
  world.start(dead);
  ASSERT_TRUE(world.run_until([&] { return !world.record(volume); }));
  EXPECT_TRUE(directories_of(world, volume, 4).empty());
}

// P36, P37: the controller dies at each step of a replacement, before and after each commit.
TEST(ChangeVolume, P36_P37_a_replacement_survives_the_controllers_death_at_each_step) {
  std::uint64_t steps = 0;
  for (std::uint64_t at = 0; at == 0 || at <= steps; ++at) {
    World world(4);
    const VolumeId volume = world.create("v", 3, "quorum");
    const std::size_t dead = some_follower(world, volume);
    world.kill(dead);
    world.run(2'000);
    const std::uint64_t before = world.steps();
    if (at != 0) world.crash_at_step(before + at);
    expect_taken(world, replace("v", world.node(dead).name));
    ASSERT_TRUE(world.run_until([&] { return !world.record(volume)->wish; })) << "step " << at;
    if (at == 0) steps = world.steps() - before;
    world.start(dead);
    ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); })) << "step " << at;
    EXPECT_EQ(world.record(volume)->config.members.size(), 3u);
    EXPECT_EQ(directories_of(world, volume, 4), nodes_of(world, volume)) << "step " << at;
    EXPECT_TRUE(world.write(volume));
  }
  EXPECT_GT(steps, 10u);
}

TEST(ChangeVolume, P36_a_primary_that_dies_in_the_middle_leaves_the_wish_to_its_successor) {
  for (std::uint64_t wait = 0; wait <= 1'000; wait += 50) {
    World world(5);
    const VolumeId volume = world.create("v", 3, "quorum");
    ASSERT_TRUE(world.write(volume));
    const std::size_t leaving = some_follower(world, volume);
    expect_taken(world, replace("v", world.node(leaving).name));
    world.run(wait);
    const std::size_t primary = world.primary_index(volume);
    world.kill(primary);
    ASSERT_TRUE(world.run_until([&] { return !world.record(volume)->wish; })) << wait;
    world.start(primary);
    ASSERT_TRUE(world.run_until([&] { return is_done(world, volume); })) << wait;
    EXPECT_FALSE(nodes_of(world, volume).contains(leaving));
  }
}

}  // namespace
}  // namespace seawall::controller
