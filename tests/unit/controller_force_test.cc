// Force: an operator names the set when no promotion is allowed, and it is remembered who, when,
// why and what it may have cost.
#include <gtest/gtest.h>

#include "tests/unit/controller_world.h"

namespace seawall::controller {
namespace {

// Two of three are gone for good, the primary among them.
struct Loss {
  World world{3};
  VolumeId volume;
  std::size_t primary = 0, left = 0, other = 0;

  explicit Loss(const std::string& policy = "quorum") {
    volume = world.create("v", 3, policy);
    EXPECT_TRUE(world.write(volume));
    primary = world.primary_index(volume);
    left = (primary + 1) % 3;
    other = (primary + 2) % 3;
    world.run(500);  // the controller has heard that it serves
  }
  void lose_two() {
    world.kill(other);
    world.write(volume);  // the last one that completed
    world.kill(primary);
    world.run(10'000);
    EXPECT_FALSE(world.is_serving(volume));
  }
  ForceVolume order(const std::vector<std::size_t>& nodes, bool stopped) {
    ForceVolume request;
    request.operation = "force";
    request.volume = "v";
    for (const std::size_t index : nodes) request.nodes.push_back(world.node(index).name);
    request.who = "anna";
    request.why = "two racks burnt";
    request.old_primary_stopped = stopped;
    request.asked_ms = 1'234'567;
    return request;
  }
  ReplicaId id(std::size_t index) { return world.replica(index, volume).facts.replica; }
};

TEST(Force, P68_F23_unavailable_until_it_is_forced_and_then_it_is_recorded) {
  for (const char* policy : {"quorum", "in-sync", "all"}) {
    SCOPED_TRACE(policy);
    Loss loss(policy);
    loss.world.kill(loss.other);
    loss.world.kill(loss.primary);
    loss.world.run(40'000);
    if (loss.world.is_serving(loss.volume)) continue;  // its set could go on by itself
    const Answer answer = loss.world.ask_and_wait(loss.order({loss.left}, true));
    ASSERT_FALSE(answer.refusal) << answer.refusal->message;
    const auto record = loss.world.record(loss.volume);
    EXPECT_EQ(loss.world.primary_index(loss.volume), loss.left);
    EXPECT_EQ(record->config.members, ReplicaSet{loss.id(loss.left)});
    EXPECT_EQ(record->config.min_in_sync, 1);
    ASSERT_TRUE(record->forced);
    EXPECT_FALSE(record->force);
    EXPECT_EQ(record->forced->order.who, "anna");
    EXPECT_EQ(record->forced->order.why, "two racks burnt");
    EXPECT_EQ(record->forced->order.asked_ms, 1'234'567U);
    EXPECT_TRUE(record->forced->order.old_primary_stopped);
    EXPECT_EQ(record->forced->epoch, record->epoch);
    EXPECT_TRUE(loss.world.write(loss.volume));
  }
}

TEST(Force, P07_P76_what_may_be_lost_is_said_by_two_positions) {
  Loss loss;
  const Position old_end{Term(1),
                         loss.world.replica(loss.primary, loss.volume).facts.marks.written};
  const Position kept{Term(1), old_end.lsn.prev()};
  loss.world.kill(loss.primary);
  loss.world.kill(loss.other);
  loss.world.expect_loss(loss.volume);
  loss.world.replica(loss.left, loss.volume).facts.marks.written = kept.lsn;  // it lacks the last
  loss.world.run(3'000);
  ASSERT_FALSE(loss.world.ask_and_wait(loss.order({loss.left}, true)).refusal);
  const auto record = loss.world.record(loss.volume);
  EXPECT_EQ(record->forced->kept, kept);
  ASSERT_TRUE(record->forced->known);
  EXPECT_EQ(*record->forced->known, old_end);
  const auto events = loss.world.store().events(loss.volume, Revision(0), 1000);
  bool told = false;
  for (const ChangeEvent& event : events.value()) {
    told = told || event.fields.find("who=anna") != std::string::npos;
  }
  EXPECT_TRUE(told) << "its history says so, too";
}

TEST(Force, P76_without_the_promises_of_the_others_it_wants_the_word_of_the_operator) {
  Loss loss;
  loss.lose_two();
  const std::uint64_t id = loss.world.ask(loss.order({loss.left}, false), 5'000);
  ASSERT_TRUE(loss.world.run_until([&] { return loss.world.answer_of(id) != nullptr; }));
  ASSERT_TRUE(loss.world.answer_of(id)->refusal);
  EXPECT_EQ(loss.world.answer_of(id)->refusal->code, RefusalCode::timed_out);
  EXPECT_NE(loss.world.answer_of(id)->refusal->message.find("nobody has said that the old primary"),
            std::string::npos);
  EXPECT_FALSE(loss.world.is_serving(loss.volume)) << "the old primary may hold a lease yet";
  EXPECT_EQ(loss.world.record(loss.volume)->config.members.size(), 3U);
  ForceVolume again = loss.order({loss.left}, true);
  again.operation = "again";
  ASSERT_FALSE(loss.world.ask_and_wait(again).refusal);
  EXPECT_TRUE(loss.world.is_serving(loss.volume));
}

TEST(Force, P76_promises_of_every_replica_that_is_left_out_do_without_the_word) {
  Loss loss;
  for (std::size_t i = 0; i < 3; ++i) loss.world.node(i).mute_fences = i != loss.left;
  loss.world.kill(loss.primary);
  loss.world.start(loss.primary);  // alive, and not a word of its log
  loss.world.run(3'000);
  EXPECT_FALSE(loss.world.is_serving(loss.volume));
  const std::uint64_t id = loss.world.ask(loss.order({loss.left}, false));
  loss.world.run(2'000);
  EXPECT_FALSE(loss.world.is_serving(loss.volume));
  loss.world.node(loss.other).mute_fences = false;
  loss.world.run(2'000);
  EXPECT_FALSE(loss.world.is_serving(loss.volume)) << "the old primary has not promised";
  loss.world.node(loss.primary).mute_fences = false;
  ASSERT_TRUE(loss.world.run_until([&] { return loss.world.answer_of(id) != nullptr; }));
  EXPECT_FALSE(loss.world.answer_of(id)->refusal);
  EXPECT_EQ(loss.world.record(loss.volume)->config.members, ReplicaSet{loss.id(loss.left)});
}

// Nobody may win: what is left is below what it had acknowledged. Forced, it is told so, for as
// long as that epoch lasts, and lets its floor go.
TEST(Force, P183_below_its_floor_it_is_told_that_this_is_an_operators_decision) {
  Loss loss;
  loss.lose_two();
  loss.world.expect_loss(loss.volume);
  ReplicaFacts& facts = loss.world.replica(loss.left, loss.volume).facts;
  facts.floor = Floor{Term(1), facts.marks.written + LsnCount(7)};
  const Position kept{facts.last_term, facts.marks.written};
  loss.world.run(3'000);
  EXPECT_FALSE(loss.world.is_serving(loss.volume));
  ASSERT_FALSE(loss.world.ask_and_wait(loss.order({loss.left}, true)).refusal);
  const auto record = loss.world.record(loss.volume);
  ASSERT_TRUE(record->forced);
  EXPECT_EQ(record->forced->kept, kept);
  EXPECT_TRUE(make_assign(*record).assignment.forced);
  loss.world.kill(loss.left);
  loss.world.start(loss.left);
  ASSERT_TRUE(loss.world.run_until([&] { return loss.world.is_serving(loss.volume); }));
  EXPECT_GT(loss.world.record(loss.volume)->epoch, record->epoch);
  EXPECT_FALSE(make_assign(*loss.world.record(loss.volume)).assignment.forced)
      << "the next epoch is won by the rule";
}

TEST(Force, P68_those_left_out_return_and_count_for_nothing) {
  Loss loss;
  loss.lose_two();
  ASSERT_FALSE(loss.world.ask_and_wait(loss.order({loss.left}, true)).refusal);
  loss.world.start(loss.primary);
  loss.world.start(loss.other);
  loss.world.run(20'000);
  const auto record = loss.world.record(loss.volume);
  EXPECT_EQ(record->config.members, ReplicaSet{loss.id(loss.left)});
  EXPECT_EQ(loss.world.primary_index(loss.volume), loss.left);
  EXPECT_FALSE(make_assign(*record).assignment.config.members.contains(loss.id(loss.primary)));
  loss.world.kill(loss.left);
  loss.world.run(20'000);
  EXPECT_FALSE(loss.world.is_serving(loss.volume)) << "no majority of those who are no members";
}

TEST(Force, onto_replicas_in_the_middle_of_a_rebuild_is_refused_in_words_and_changes_nothing) {
  Loss loss;
  loss.world.replica(loss.left, loss.volume).facts.marker = RebuildMarker{};
  loss.lose_two();
  const Answer answer = loss.world.ask_and_wait(loss.order({loss.left}, true));
  ASSERT_TRUE(answer.refusal);
  EXPECT_EQ(answer.refusal->code, RefusalCode::not_forced);
  EXPECT_NE(answer.refusal->message.find("in the middle of a rebuild"), std::string::npos);
  EXPECT_EQ(loss.world.record(loss.volume)->config.members.size(), 3U);
  EXPECT_FALSE(loss.world.record(loss.volume)->force);
  loss.world.start(loss.primary);  // and the ordinary rules go on
  loss.world.start(loss.other);
  ASSERT_TRUE(loss.world.run_until([&] { return loss.world.is_settled(loss.volume); }));
}

TEST(Force, a_volume_that_serves_is_never_forced) {
  Loss loss;
  const Answer answer = loss.world.ask_and_wait(loss.order({loss.left}, true));
  ASSERT_TRUE(answer.refusal);
  EXPECT_EQ(answer.refusal->code, RefusalCode::still_serving);
  EXPECT_EQ(loss.world.record(loss.volume)->epoch, Epoch(1));
}

TEST(Force, it_is_refused_without_a_name_a_reason_or_living_members) {
  Loss loss;
  loss.lose_two();
  ForceVolume request = loss.order({loss.left}, true);
  request.who.clear();
  EXPECT_EQ(loss.world.ask_and_wait(request).refusal->field, "who");
  request = loss.order({loss.left}, true);
  request.why = std::string(300, 'x');
  EXPECT_EQ(loss.world.ask_and_wait(request).refusal->field, "why");
  request = loss.order({}, true);
  EXPECT_EQ(loss.world.ask_and_wait(request).refusal->field, "members");
  EXPECT_EQ(loss.world.ask_and_wait(loss.order({loss.primary}, true)).refusal->code,
            RefusalCode::not_ready);
  request = loss.order({loss.left}, true);
  request.nodes.push_back("nobody");
  EXPECT_EQ(loss.world.ask_and_wait(request).refusal->code, RefusalCode::not_found);
  EXPECT_FALSE(loss.world.record(loss.volume)->force);
}

TEST(Force, the_controller_dies_at_every_step_and_it_is_done_once) {
  std::uint64_t steps = 0;
  {
    Loss whole;
    whole.lose_two();
    const std::uint64_t before = whole.world.steps();
    ASSERT_FALSE(whole.world.ask_and_wait(whole.order({whole.left}, true)).refusal);
    steps = whole.world.steps() - before;
  }
  ASSERT_GT(steps, 4U);
  for (std::uint64_t step = 1; step <= steps; ++step) {
    SCOPED_TRACE("controller dies at step " + std::to_string(step));
    Loss loss;
    loss.lose_two();
    loss.world.crash_at_step(loss.world.steps() + step);
    ASSERT_FALSE(loss.world.ask_and_wait(loss.order({loss.left}, true)).refusal);
    const auto record = loss.world.record(loss.volume);
    EXPECT_TRUE(record->forced);
    EXPECT_FALSE(record->force);
    std::size_t orders = 0;
    const auto events = loss.world.store().events(loss.volume, Revision(0), 1000);
    for (const ChangeEvent& event : events.value()) orders += event.type == "force_ordered";
    EXPECT_EQ(orders, 1U);
    if (::testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace seawall::controller
