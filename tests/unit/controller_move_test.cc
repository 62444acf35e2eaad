// The planned move of a primary: the target serves, or the old one goes on, whatever fails and
// when.
#include <gtest/gtest.h>

#include "tests/unit/controller_world.h"

namespace seawall::controller {
namespace {

std::size_t count_events(World& world, VolumeId volume, const std::string& type) {
  std::size_t count = 0;
  const auto events = world.store().events(volume, Revision(0), 1000);
  for (const ChangeEvent& event : events.value()) count += event.type == type ? 1 : 0;
  return count;
}

// A volume on three nodes, one of them asked to take over.
struct Move {
  World world{4};
  VolumeId volume;
  std::size_t from = 0, to = 0, third = 0;
  std::uint64_t id = 0;

  explicit Move(const std::string& policy = "quorum") {
    volume = world.create("v", 3, policy);
    EXPECT_TRUE(world.write(volume));
    from = world.primary_index(volume);
    std::vector<std::size_t> others;
    const auto record = world.record(volume);
    for (const ReplicaRecord& replica : record->replicas) {
      const std::size_t index = world.index_of(replica.node);
      if (index != from) others.push_back(index);
    }
    to = others[1];  // not the one that a free choice among equals would take
    third = others[0];
    world.run(500);  // the controller has heard that it serves
  }
  void ask() { id = world.ask(MoveVolume{"move", "v", world.node(to).name, NodeId(0)}); }
  bool is_draining() {
    const auto record = world.record(volume);
    return record->move && !record->pending;
  }
  bool is_fenced() {
    const auto record = world.record(volume);
    return record->move && record->pending;
  }
  const Answer& answer() {
    EXPECT_TRUE(world.run_until([&] { return world.answer_of(id) != nullptr; }));
    return *world.answer_of(id);
  }
  void expect_end(Epoch epoch, std::size_t primary) {
    ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume) && world.write(volume); }));
    const auto record = world.record(volume);
    EXPECT_EQ(record->epoch, epoch);
    EXPECT_EQ(world.primary_index(volume), primary);
    EXPECT_FALSE(record->move);
    for (const ReplicaRecord& replica : record->replicas) {
      const std::size_t index = world.index_of(replica.node);
      if (!world.node(index).alive) continue;
      EXPECT_FALSE(world.replica(index, volume).assignment.drains) << "admission is open again";
    }
  }
};

TEST(Move, P66_the_target_serves_in_the_next_epoch_and_the_order_is_gone) {
  for (const char* policy : {"quorum", "in-sync", "all"}) {
    SCOPED_TRACE(policy);
    Move move(policy);
    move.ask();
    EXPECT_FALSE(move.answer().refusal);
    move.expect_end(Epoch(2), move.to);
    const auto record = move.world.record(move.volume);
    if (record->config.policy == Policy::in_sync) {
      EXPECT_EQ(record->config.in_sync.size(), 3U) << "nobody leaves the set by a move";
    }
  }
}

TEST(Move, P66_nothing_is_fenced_before_the_primary_has_come_to_rest) {
  Move move;
  move.world.replica(move.from, move.volume).never_rests = true;
  move.ask();
  ASSERT_TRUE(move.world.run_until([&] { return move.is_draining(); }));
  EXPECT_TRUE(move.world.replica(move.from, move.volume).assignment.drains);
  move.world.run(1'000);
  EXPECT_TRUE(move.is_draining());
  ASSERT_TRUE(move.answer().refusal);
  EXPECT_EQ(move.answer().refusal->code, RefusalCode::not_moved);
  EXPECT_NE(move.answer().refusal->message.find("come to rest"), std::string::npos);
  move.expect_end(Epoch(1), move.from);
}

TEST(Move, P66_a_target_that_is_behind_or_dies_while_the_primary_drains_costs_no_epoch) {
  for (const bool dies : {true, false}) {
    SCOPED_TRACE(dies);
    Move move;
    move.world.replica(move.from, move.volume).never_rests = true;
    move.ask();
    ASSERT_TRUE(move.world.run_until([&] { return move.is_draining(); }));
    if (dies) {
      move.world.kill(move.to);
    } else {
      move.world.replica(move.to, move.volume).assignment.epoch = Epoch(0);  // it has no session
    }
    ASSERT_TRUE(move.answer().refusal);
    EXPECT_EQ(move.answer().refusal->code, RefusalCode::not_moved);
    EXPECT_EQ(count_events(move.world, move.volume, "fencing"), 0U);
    EXPECT_EQ(move.world.record(move.volume)->epoch, Epoch(1));
    EXPECT_TRUE(move.world.run_until([&] { return move.world.write(move.volume); }));
  }
}

TEST(Move, P66_a_target_that_dies_or_falls_behind_after_the_fence_leaves_it_to_the_old_one) {
  for (const bool dies : {true, false}) {
    SCOPED_TRACE(dies);
    Move move;
    move.world.node(move.to).mute_fences = true;
    move.ask();
    ASSERT_TRUE(move.world.run_until([&] { return move.is_fenced(); }));
    if (dies) {
      move.world.kill(move.to);
    } else {
      Lsn& end = move.world.replica(move.to, move.volume).facts.marks.written;
      end = end.prev();
      move.world.node(move.to).mute_fences = false;
    }
    ASSERT_TRUE(move.answer().refusal);
    EXPECT_EQ(move.answer().refusal->code, RefusalCode::not_moved);
    move.expect_end(Epoch(2), move.from);
  }
}

TEST(Move, P66_an_old_primary_that_dies_while_it_drains_makes_a_plain_failover) {
  Move move;
  move.world.replica(move.from, move.volume).never_rests = true;
  move.ask();
  ASSERT_TRUE(move.world.run_until([&] { return move.is_draining(); }));
  move.world.kill(move.from);
  ASSERT_TRUE(move.world.run_until([&] { return move.world.is_settled(move.volume); }));
  move.expect_end(Epoch(2), move.third);  // the free choice, and no word of a target
}

TEST(Move, P66_an_old_primary_that_dies_after_the_fence_does_not_stop_the_target) {
  Move move;
  move.world.node(move.from).mute_fences = true;
  move.world.node(move.to).mute_fences = true;
  move.ask();
  ASSERT_TRUE(move.world.run_until([&] { return move.is_fenced(); }));
  move.world.kill(move.from);
  move.world.node(move.to).mute_fences = false;
  EXPECT_FALSE(move.answer().refusal);
  move.expect_end(Epoch(2), move.to);
}

TEST(Move, P66_both_gone_after_the_fence_make_a_plain_failover_in_a_higher_epoch) {
  Move move;
  move.world.node(move.from).mute_fences = true;
  move.world.node(move.to).mute_fences = true;
  move.ask();
  ASSERT_TRUE(move.world.run_until([&] { return move.is_fenced(); }));
  move.world.kill(move.from);
  move.world.kill(move.to);
  ASSERT_TRUE(move.world.run_until(
      [&] { return move.world.record(move.volume)->pending == Epoch(3); }, 5'000));
  EXPECT_FALSE(move.world.record(move.volume)->move);
  move.world.node(move.from).mute_fences = false;
  move.world.start(move.from);
  ASSERT_TRUE(move.answer().refusal);
  ASSERT_TRUE(move.world.run_until([&] { return move.world.is_settled(move.volume); }));
  EXPECT_NE(move.world.primary_index(move.volume), move.to);
  move.expect_end(Epoch(3), move.world.primary_index(move.volume));
}

TEST(Move, P66_P185_the_controller_dies_at_every_step_and_one_of_the_two_serves) {
  std::uint64_t steps = 0;
  {
    Move whole;
    const std::uint64_t before = whole.world.steps();
    whole.ask();
    whole.answer();
    steps = whole.world.steps() - before;
  }
  ASSERT_GT(steps, 8U);
  for (std::uint64_t step = 1; step <= steps; ++step) {
    SCOPED_TRACE("controller dies at step " + std::to_string(step));
    Move move;
    move.world.crash_at_step(move.world.steps() + step);
    move.ask();
    const bool moved = !move.answer().refusal.has_value();
    ASSERT_TRUE(move.world.run_until([&] { return move.world.is_settled(move.volume); }));
    EXPECT_TRUE(move.world.write(move.volume));
    EXPECT_FALSE(move.world.record(move.volume)->move);
    EXPECT_EQ(move.world.primary_index(move.volume), moved ? move.to : move.from);
    if (::testing::Test::HasFailure()) break;
  }
}

TEST(Move, what_cannot_be_moved_is_refused_and_says_why) {
  Move move;
  const auto refusal = [&](const std::string& node) {
    const Answer answer = move.world.ask_and_wait(MoveVolume{"m-" + node, "v", node, NodeId(0)});
    return answer.refusal ? answer.refusal->code : RefusalCode::busy;
  };
  const std::size_t stranger = 6 - move.from - move.to - move.third;
  EXPECT_EQ(refusal(move.world.node(stranger).name), RefusalCode::not_found);
  EXPECT_EQ(refusal("nobody"), RefusalCode::not_found);
  EXPECT_FALSE(move.world
                   .ask_and_wait(MoveVolume{"m", "v", move.world.node(move.from).name, NodeId(0)})
                   .refusal)
      << "it is there already";
  move.world.kill(move.to);
  move.world.run(2'000);
  EXPECT_EQ(refusal(move.world.node(move.to).name), RefusalCode::not_ready);
  EXPECT_EQ(move.world.record(move.volume)->epoch, Epoch(1));
}

}  // namespace
}  // namespace seawall::controller
