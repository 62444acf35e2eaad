// Failover by the book, and by everything that goes wrong in it.
#include <gtest/gtest.h>

#include "controller/core/plan.h"
#include "engine/promotion.h"
#include "tests/unit/controller_world.h"

namespace seawall::controller {
namespace {

std::size_t count_events(World& world, VolumeId volume, const std::string& type) {
  std::size_t count = 0;
  const auto events = world.store().events(volume, Revision(0), 1000);
  for (const ChangeEvent& event : events.value()) count += event.type == type ? 1 : 0;
  return count;
}

std::size_t other_than(std::size_t index, std::size_t nodes) { return (index + 1) % nodes; }

TEST(Failover, a_new_volume_gets_its_first_epoch_by_fence_and_promotion) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const auto record = world.record(volume);
  EXPECT_EQ(record->epoch, Epoch(1));
  EXPECT_FALSE(record->pending);
  EXPECT_EQ(count_events(world, volume, "assigned"), 1U);
  EXPECT_TRUE(world.write(volume));
}

TEST(Failover, a_dead_primary_is_replaced_and_nothing_completed_is_lost) {
  for (const char* policy : {"quorum", "in-sync"}) {
    World world(3);
    const VolumeId volume = world.create("v", 3, policy);
    EXPECT_TRUE(world.write(volume));
    const std::size_t primary = world.primary_index(volume);
    world.kill(primary);
    ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); })) << policy;
    EXPECT_NE(world.primary_index(volume), primary);
    EXPECT_EQ(world.record(volume)->epoch, Epoch(2));
    EXPECT_TRUE(world.write(volume));
  }
}

TEST(Failover, a_primary_is_not_suspected_before_one_and_a_half_seconds) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  world.kill(world.primary_index(volume));
  world.run(1'300);
  EXPECT_EQ(count_events(world, volume, "fencing"), 0U);
  world.run(1'000);
  EXPECT_EQ(count_events(world, volume, "fencing"), 1U);
}

TEST(Failover, P45_trap_41_every_start_of_a_primary_gets_a_new_epoch_however_fast_it_was) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t primary = world.primary_index(volume);
  world.kill(primary);
  world.start(primary);  // before anybody could have missed it
  ASSERT_TRUE(world.run_until(
      [&] { return world.record(volume)->epoch == Epoch(2) && world.is_settled(volume); }, 1'500));
  EXPECT_TRUE(world.write(volume));
}

TEST(Failover, a_restarted_replica_gets_the_assignment_again_and_no_new_epoch) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t replica = other_than(world.primary_index(volume), 3);
  world.kill(replica);
  EXPECT_TRUE(world.write(volume));
  world.run(5'000);
  world.start(replica);
  ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
  EXPECT_EQ(world.record(volume)->epoch, Epoch(1));
  EXPECT_EQ(world.replica(replica, volume).assignment.epoch, Epoch(1));
}

TEST(Failover, two_failures_in_turn_each_end_in_an_epoch_of_their_own) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  for (std::uint64_t epoch = 2; epoch <= 5; ++epoch) {
    EXPECT_TRUE(world.write(volume));
    const std::size_t primary = world.primary_index(volume);
    world.kill(primary);
    ASSERT_TRUE(world.run_until(
        [&] { return world.record(volume)->epoch == Epoch(epoch) && world.is_serving(volume); }));
    EXPECT_TRUE(world.write(volume));
    world.start(primary);
    ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
  }
}

TEST(Failover, a_full_cluster_restart_comes_back_with_everything_completed) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  EXPECT_TRUE(world.write(volume));
  for (std::size_t i = 0; i < 3; ++i) world.kill(i);
  world.crash_controller();
  world.run(10'000);
  for (std::size_t i = 0; i < 3; ++i) world.start(i);
  ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
  EXPECT_TRUE(world.write(volume));
}

TEST(Failover, P48_a_fence_that_reaches_too_few_ends_in_its_epoch_once_more_answer) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t primary = world.primary_index(volume);
  const std::size_t other = other_than(primary, 3);
  world.node(other).mute_fences = true;
  world.kill(primary);
  world.run(5'000);
  ASSERT_TRUE(world.record(volume)->pending);
  const Epoch pending = *world.record(volume)->pending;
  world.crash_controller();  // the controller changes: the pending epoch stays
  world.run(3'000);
  EXPECT_EQ(world.record(volume)->pending, pending);
  world.node(other).mute_fences = false;
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
  EXPECT_EQ(world.record(volume)->epoch, pending);
}

TEST(Failover, P56_one_report_of_three_promotes_nobody_under_quorum) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t primary = world.primary_index(volume);
  const std::size_t cut = other_than(primary, 3);
  world.cut(cut);
  EXPECT_TRUE(world.write(volume));
  world.kill(primary);
  world.run(40'000);
  EXPECT_FALSE(world.is_serving(volume));
  world.heal(cut);
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
}

TEST(Failover, P58_P59_reports_of_another_epoch_or_without_its_promise_do_not_count) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t primary = world.primary_index(volume);
  for (std::size_t i = 0; i < 3; ++i) world.node(i).mute_fences = true;
  world.kill(primary);
  world.run(3'000);
  ASSERT_EQ(world.record(volume)->pending, Epoch(2));
  for (std::size_t i = 0; i < 3; ++i) {
    if (i == primary) continue;
    const ReplicaFacts& facts = world.replica(i, volume).facts;
    world.say(i, control::Fenced{FenceReport{volume, Epoch(1), facts}, facts.replica});
    world.say(i, control::Fenced{FenceReport{volume, Epoch(3), facts}, facts.replica});
  }
  world.run(3'000);
  EXPECT_EQ(world.record(volume)->pending, Epoch(2));
  for (std::size_t i = 0; i < 3; ++i) world.node(i).mute_fences = false;
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
}

TEST(Failover, P59_the_longer_log_of_an_older_term_does_not_win) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t first = world.primary_index(volume);
  for (int i = 0; i < 20; ++i) world.write_privately(volume);
  // It loses its replicas and the controller before any of that left it.
  world.kill(first);
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
  EXPECT_TRUE(world.write(volume));
  const std::size_t second = world.primary_index(volume);
  EXPECT_GT(world.replica(first, volume).facts.marks.written,
            world.replica(second, volume).facts.marks.written);
  world.kill(second);
  world.start(first);
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
  EXPECT_NE(world.primary_index(volume), first);
}

TEST(Failover, P54_P55_messages_of_an_older_session_of_a_node_change_nothing) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t primary = world.primary_index(volume);
  const ReplicaId id = world.replica(primary, volume).facts.replica;
  const control::FailoverWanted late{volume, id, Epoch(1), "an old word"};
  world.say(primary, late);         // in the queue of the old session
  world.node(primary).session = 0;  // a new session begins before it arrives
  world.run(1'000);
  EXPECT_EQ(count_events(world, volume, "fencing"), 0U);
}

TEST(Failover, a_primary_that_asks_is_replaced_at_once_and_only_in_its_own_epoch) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  world.run(6'000);  // long calm: no pause is owed
  const std::size_t primary = world.primary_index(volume);
  const ReplicaId id = world.replica(primary, volume).facts.replica;
  world.say(primary, control::FailoverWanted{volume, id, Epoch(9), "another epoch"});
  world.run(500);
  EXPECT_EQ(world.record(volume)->epoch, Epoch(1));
  world.say(primary, control::FailoverWanted{volume, id, Epoch(1), "disk failed"});
  ASSERT_TRUE(world.run_until(
      [&] { return world.record(volume)->epoch > Epoch(1) && world.is_serving(volume); }, 2'000));
  EXPECT_NE(world.primary_index(volume), primary) << "others could, so it is not chosen again";
}

// AssignRefused is said once; its session, or the controller, can die before it is heard.
TEST(Failover, a_primary_that_took_its_assignment_and_leads_nothing_is_replaced) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  ModelReplica& refuses = world.replica(world.primary_index(volume), volume);
  refuses.role = Role::replica;
  refuses.serving = false;
  ASSERT_TRUE(world.run_until(
      [&] { return world.record(volume)->epoch == Epoch(2) && world.is_settled(volume); }, 5'000));
  EXPECT_TRUE(world.write(volume));
}

TEST(Failover, a_primary_that_asks_is_chosen_again_when_nobody_else_can) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "in-sync");
  world.run(6'000);
  const std::size_t primary = world.primary_index(volume);
  const ReplicaId id = world.replica(primary, volume).facts.replica;
  for (std::size_t i = 0; i < 3; ++i) world.node(i).mute_fences = i != primary;
  world.say(primary, control::FailoverWanted{volume, id, Epoch(1), "lost its lease"});
  ASSERT_TRUE(world.run_until([&] { return world.record(volume)->epoch == Epoch(2); }));
  EXPECT_EQ(world.primary_index(volume), primary);
}

TEST(Failover, a_primary_whose_heartbeat_says_that_its_log_failed_is_replaced) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  world.run(6'000);
  const std::size_t primary = world.primary_index(volume);
  world.replica(primary, volume).log_failed = true;
  ASSERT_TRUE(world.run_until(
      [&] { return world.record(volume)->epoch > Epoch(1) && world.is_serving(volume); }, 2'000));
  EXPECT_NE(world.primary_index(volume), primary) << "its disk cannot carry a primary";
}

TEST(Failover,
     P176_trap_66_a_winner_that_restarted_since_its_report_refuses_and_a_higher_epoch_follows) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  EXPECT_TRUE(world.write(volume));
  const std::size_t primary = world.primary_index(volume);
  world.kill(primary);
  ASSERT_TRUE(world.run_until([&] { return world.record(volume)->pending.has_value(); }));
  ASSERT_TRUE(world.run_until([&] { return world.record(volume)->epoch == Epoch(2); }));
  // The assignment is committed; the winner's process dies and comes back at once.
  const std::size_t winner = world.primary_index(volume);
  world.kill(winner);
  world.start(winner);
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
  EXPECT_GE(world.record(volume)->epoch, Epoch(3));
}

TEST(Failover, P165_a_primary_that_only_the_controller_has_lost_is_left_in_peace) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t primary = world.primary_index(volume);
  const std::size_t dead = other_than(primary, 3);
  const std::size_t alive = 3 - primary - dead;
  world.kill(dead);
  world.replica(alive, volume).grants = true;  // it hears the primary
  world.cut(primary);
  world.run(20'000);
  EXPECT_EQ(world.record(volume)->epoch, Epoch(1));
  EXPECT_FALSE(world.record(volume)->pending) << "a fence would have stopped its I/O";
  EXPECT_TRUE(world.write(volume));
}

TEST(Failover, P165_trap_57_a_grant_that_runs_forbids_what_enough_answers_would_allow) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t primary = world.primary_index(volume);
  const std::size_t one = other_than(primary, 3);
  world.replica(one, volume).grants = true;
  world.cut(primary);
  world.run(20'000);
  EXPECT_EQ(world.record(volume)->epoch, Epoch(1));
  EXPECT_FALSE(world.record(volume)->pending);
  world.replica(one, volume).grants = false;  // now it has lost the primary as well
  ASSERT_TRUE(world.run_until([&] { return world.record(volume)->epoch == Epoch(2); }, 5'000));
  EXPECT_NE(world.primary_index(volume), primary);
}

TEST(Failover, P165_only_what_was_said_since_the_suspicion_is_an_answer) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t primary = world.primary_index(volume);
  for (std::size_t i = 0; i < 3; ++i) world.replica(i, volume).grants = false;
  while (world.now().value() % 250 != 0) world.run(50);
  world.cut(primary);
  world.run(1'500);  // all have just said that they grant nothing
  EXPECT_FALSE(world.record(volume)->pending);
  world.replica(other_than(primary, 3), volume).grants = true;  // and hear the primary again
  world.run(20'000);
  EXPECT_FALSE(world.record(volume)->pending);
  EXPECT_EQ(world.record(volume)->epoch, Epoch(1));
}

TEST(Failover, T16_a_report_after_the_assignment_is_committed_changes_nothing) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t primary = world.primary_index(volume);
  const std::size_t late = other_than(primary, 3);
  world.kill(primary);
  ASSERT_TRUE(world.run_until([&] { return world.record(volume)->pending.has_value(); }));
  ReplicaFacts facts = world.replica(late, volume).facts;
  facts.promised = Epoch(2);
  facts.marks.written = Lsn(1'000);  // it would have won
  ASSERT_TRUE(world.run_until([&] { return world.record(volume)->epoch == Epoch(2); }));
  const VolumeRecord record = *world.record(volume);
  world.say(late, control::Fenced{FenceReport{volume, Epoch(2), facts}, facts.replica});
  world.run(5'000);
  EXPECT_EQ(*world.record(volume), record);
  EXPECT_TRUE(world.write(volume));
}

TEST(Failover, P147_all_lose_power_and_the_first_that_returns_waits_for_those_that_may_hold_more) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  EXPECT_TRUE(world.write(volume));
  const std::size_t primary = world.primary_index(volume);
  for (std::size_t i = 0; i < 3; ++i) world.kill(i);
  world.crash_controller();
  const std::size_t early = other_than(primary, 3);
  const std::size_t second = 3 - primary - early;
  world.start(early, true);
  world.run(20'000);
  EXPECT_FALSE(world.is_serving(volume)) << "one of three is too few, however long it waits";
  world.start(second, true);
  world.run(20'000);
  EXPECT_FALSE(world.is_serving(volume)) << "two would do, and an intact one may yet come";
  world.start(primary, true);
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }, 2'000))
      << "every member has reported";
  const auto record = world.record(volume);
  EXPECT_TRUE(record->after_power_loss);
  EXPECT_TRUE(world.replica(world.primary_index(volume), volume).assignment.after_power_loss);
}

TEST(Failover, P57_P147_without_the_last_one_the_settle_time_decides) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t primary = world.primary_index(volume);
  for (std::size_t i = 0; i < 3; ++i) world.kill(i);
  for (std::size_t i = 0; i < 3; ++i) {
    if (i != primary) world.start(i, true);
  }
  ASSERT_TRUE(world.run_until([&] { return world.record(volume)->pending.has_value(); }));
  const Instant fenced = world.now();
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
  EXPECT_GE((world.now() - fenced).value(), limits::settle_time_ms - 100);
  EXPECT_LE((world.now() - fenced).value(), limits::settle_time_ms + 2'000);
  EXPECT_TRUE(world.record(volume)->after_power_loss);
}

TEST(Failover, a_report_ends_with_the_process_that_made_it) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t primary = world.primary_index(volume);
  std::size_t first = other_than(primary, 3);
  std::size_t second = 3 - primary - first;
  const auto id = [&](std::size_t index) { return world.replica(index, volume).facts.replica; };
  if (id(second) < id(first)) std::swap(first, second);  // the tie is the first one's
  world.node(second).mute_fences = true;
  world.kill(primary);
  ASSERT_TRUE(world.run_until([&] { return world.record(volume)->pending.has_value(); }));
  world.run(1'000);  // its report is there
  world.node(first).mute_fences = true;
  world.kill(first);
  world.start(first);
  world.run(1'000);
  world.node(second).mute_fences = false;
  world.run(2'000);
  EXPECT_FALSE(world.is_serving(volume)) << "one report: that of the old process is void";
  world.node(first).mute_fences = false;
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
  EXPECT_EQ(world.record(volume)->epoch, Epoch(2)) << "and nobody had to refuse";
}

TEST(Failover, F15_a_primary_that_only_its_replicas_have_lost_is_replaced_and_not_chosen_again) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t primary = world.primary_index(volume);
  world.run(6'000);
  const std::size_t one = other_than(primary, 3);
  const std::size_t two = 3 - primary - one;
  world.replica(one, volume).grants = false;
  world.run(20'000);
  EXPECT_EQ(world.record(volume)->epoch, Epoch(1)) << "one of two others proves nothing";
  world.replica(two, volume).grants = false;
  world.write_privately(volume);  // its log is the longest
  world.run(3'000);
  EXPECT_EQ(world.record(volume)->epoch, Epoch(1)) << "a moment's silence is no reason";
  ASSERT_TRUE(world.run_until(
      [&] { return world.record(volume)->epoch == Epoch(2) && world.is_serving(volume); }));
  EXPECT_NE(world.primary_index(volume), primary);
}

TEST(Failover, P57_suspicion_begins_nothing_that_could_not_end_in_a_promotion) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t primary = world.primary_index(volume);
  world.kill(other_than(primary, 3));
  world.run(3'000);
  world.cut(primary);
  world.run(20'000);
  EXPECT_FALSE(world.record(volume)->pending) << "one of three could not have been enough";
  world.heal(primary);
  ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
  EXPECT_EQ(world.record(volume)->epoch, Epoch(1));
}

TEST(Failover, P172_trap_64_a_record_older_than_what_a_replica_has_seen_promotes_nobody) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const VolumeRecord backup = *world.record(volume);
  const std::size_t primary = world.primary_index(volume);
  ASSERT_FALSE(world.ask_and_wait(AttachVolume{"op", "v", "n1", NodeId(0)}).refusal);
  ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
  // The store is restored from before the attachment: same epoch, older revision.
  const Version present = world.record(volume)->version();
  ASSERT_EQ(world.store().compare_and_set(volume, present, backup, ChangeEvent{}),
            StoreOutcome::committed);
  world.crash_controller();
  world.run(1'000);
  world.kill(primary);
  world.run(40'000);
  EXPECT_FALSE(world.is_serving(volume));
  EXPECT_EQ(*world.record(volume), backup) << "it may decide nothing";
  const Answer answer = world.ask_and_wait(AttachVolume{"op2", "v", "n2", NodeId(0)});
  ASSERT_TRUE(answer.refusal);
  EXPECT_EQ(answer.refusal->code, RefusalCode::not_ready);
}

TEST(Failover, F20_doubled_messages_both_ways_make_no_difference) {
  World world(3);
  world.duplicate_messages(true);
  const VolumeId volume = world.create("v", 3, "in-sync");
  EXPECT_TRUE(world.write(volume));
  const std::size_t primary = world.primary_index(volume);
  world.kill(primary);
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
  world.start(primary);
  ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
  EXPECT_EQ(world.record(volume)->epoch, Epoch(2));
  EXPECT_EQ(count_events(world, volume, "created"), 1U);
}

TEST(Failover, P42_the_in_sync_set_becomes_those_that_qualified_in_the_same_commit) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "in-sync");  // minInSync 2
  const std::size_t primary = world.primary_index(volume);
  const ReplicaId dead = world.replica(primary, volume).facts.replica;
  world.kill(primary);
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
  const auto record = world.record(volume);
  EXPECT_EQ(record->config.in_sync.size(), 2U);
  EXPECT_FALSE(record->config.in_sync.contains(dead));
  EXPECT_EQ(count_events(world, volume, "configured"), 0U) << "no second commit";
}

TEST(Failover, P42_trap_59_a_set_that_would_fall_below_min_in_sync_stays_as_it_was) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "all");  // minInSync 3
  const std::size_t primary = world.primary_index(volume);
  world.kill(primary);
  ASSERT_TRUE(world.run_until([&] { return world.record(volume)->epoch == Epoch(2); }));
  EXPECT_EQ(world.record(volume)->config.in_sync.size(), 3U) << "nobody loses its candidacy";
  world.run(2'000);
  EXPECT_FALSE(world.is_serving(volume)) << "promoted, and holds its I/O";
  world.start(primary);
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
}

TEST(Failover, P65_the_assignment_tells_a_primary_that_knew_nobody_everything) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "in-sync");
  ASSERT_FALSE(world.ask_and_wait(AttachVolume{"op", "v", "n2", NodeId(0)}).refusal);
  world.kill(world.primary_index(volume));
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
  const auto record = world.record(volume);
  const control::Assign assign = make_assign(*record);
  EXPECT_EQ(assign.addresses.size(), 3U);
  for (const control::ReplicaAddress& address : assign.addresses) {
    EXPECT_FALSE(address.address.empty());
  }
  const Assignment& got = world.replica(world.primary_index(volume), volume).assignment;
  EXPECT_EQ(got, assign.assignment);
  EXPECT_EQ(got.endpoints.size(), 3U);
  EXPECT_EQ(got.config.members.size(), 3U);
  EXPECT_EQ(got.config.policy, Policy::in_sync);
  EXPECT_EQ(got.size, BlockCount(limits::GiB / limits::block_bytes));
  ASSERT_EQ(got.attachments.size(), 1U);
  EXPECT_EQ(got.attachments[0].node, NodeId(2));
}

TEST(Failover, P64_a_winner_whose_term_start_cannot_commit_is_followed_by_a_further_failover) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t first = world.primary_index(volume);
  world.kill(first);
  ASSERT_TRUE(world.run_until([&] { return world.record(volume)->epoch == Epoch(2); }));
  const std::size_t second = world.primary_index(volume);
  world.kill(3 - first - second);
  world.kill(second);  // before anything was committed in epoch 2, perhaps
  world.run(5'000);
  EXPECT_FALSE(world.is_serving(volume));
  world.start(first);
  world.start(3 - first - second);
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
  EXPECT_GE(world.record(volume)->epoch, Epoch(3));
}

TEST(Failover, P67_under_in_sync_an_outsider_with_a_longer_log_is_no_candidate) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "best-effort");
  const std::size_t first = world.primary_index(volume);
  world.kill(first);  // the set shrinks to the two others
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
  const std::size_t second = world.primary_index(volume);
  const std::size_t third = 3 - first - second;
  world.replica(first, volume).facts.marks.written = Lsn(1'000);
  world.replica(first, volume).facts.last_term = Epoch(2);
  world.cut(second);
  world.kill(second);
  world.start(first);
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
  EXPECT_EQ(world.primary_index(volume), third);
}

TEST(Failover, an_address_that_changes_gets_a_new_endpoint_version_in_the_same_epoch) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t replica = other_than(world.primary_index(volume), 3);
  world.kill(replica);
  world.node(replica).address = "127.0.0.9:7009";
  world.start(replica);
  ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
  world.run(1'000);
  const ReplicaRecord& moved =
      *world.record(volume)->replica(world.replica(replica, volume).facts.replica);
  EXPECT_EQ(moved.address, "127.0.0.9:7009");
  EXPECT_EQ(moved.endpoint, EndpointVersion(2));
  EXPECT_EQ(world.record(volume)->epoch, Epoch(1));
  EXPECT_TRUE(world.is_settled(volume)) << "everybody was told";
}

TEST(Failover, a_primary_that_fails_again_and_again_is_replaced_with_growing_pauses) {
  World world(1);
  const VolumeId volume = world.create("v", 1, "quorum");
  const std::size_t before = count_events(world, volume, "fencing");
  for (int i = 0; i < 200; ++i) {
    const auto record = world.record(volume);
    world.say(0, control::FailoverWanted{volume, record->primary, record->epoch, "disk failed"});
    world.run(100);
  }
  EXPECT_GT(count_events(world, volume, "fencing"), before);
  EXPECT_LT(count_events(world, volume, "fencing"), before + 15) << "20 s of asking";
}

}  // namespace
}  // namespace seawall::controller
