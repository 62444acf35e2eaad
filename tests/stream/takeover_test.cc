// Controllers that die, sleep and take over, seen by one who follows: rows E09 and E10.
#include <gtest/gtest.h>

#include "controller/store/runner.h"
#include "tests/stream/rig.h"
#include "tests/unit/controller_world.h"

namespace seawall::controller::stream {
namespace {

struct Succession {
  World world;
  Truths truths;
  Station station;
  VolumeId volume{};

  explicit Succession(std::uint64_t crash_at)
      : world(3), truths(world.store()), station(world.store(), truths, true) {
    world.crash_at_step(crash_at);
    station.start();
    volume = world.create("v", 3, "quorum");
    station.settle();
    EXPECT_FALSE(world.ask_and_wait(AttachVolume{"a", "v", "n2", NodeId(0)}).refusal);
    const std::size_t primary = world.primary_index(volume);
    world.kill(primary);
    EXPECT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
    station.settle();
    world.start(primary);
    EXPECT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
    station.settle();
  }
};

// Each death is followed by another controller that knows the store and nothing else.
TEST(ControlStream, E09_a_leader_killed_at_each_commit_leaves_one_history) {
  const std::uint64_t steps = Succession(0).world.steps();
  ASSERT_GT(steps, 20U);
  for (std::uint64_t step = 1; step <= steps; ++step) {
    SCOPED_TRACE("the leader dies at step " + std::to_string(step));
    std::string first;
    for (int repeat = 0; repeat < 3; ++repeat) {
      Succession story(step);
      EXPECT_EQ(check(story.station.transcript(), story.truths.truth(), true), "");
      const auto events = story.world.store().events(story.volume, Revision(0), 1'000).value();
      for (std::size_t i = 0; i < events.size(); ++i) {
        EXPECT_EQ(events[i].revision, Revision(i + 1)) << "no revision is used twice";
      }
      const auto record = story.world.record(story.volume);
      ASSERT_TRUE(record);
      EXPECT_EQ(story.station.disk().at(story.volume).state, fields_of(*record));
      if (repeat == 0) first = story.station.transcript().text();
      ASSERT_EQ(story.station.transcript().text(), first);
    }
    if (::testing::Test::HasFailure()) return;
  }
}

control::Register hello_of(std::uint64_t node) {
  control::Register hello;
  hello.node = NodeId(node);
  hello.name = "n" + std::to_string(node);
  hello.pool_id = "p" + std::to_string(node);
  hello.data_address = "127.0.0." + std::to_string(node) + ":7000";
  hello.process_start = ProcessStart(node);
  hello.pool_free_bytes = limits::TiB;
  return hello;
}

CreateVolume volume_named(const std::string& name, std::uint64_t number) {
  CreateVolume create;
  create.operation = name;
  create.name = name;
  create.size_bytes = limits::GiB;
  create.replicas = 3;
  create.fresh_id = volume_id(number);
  create.fresh_incarnation = Incarnation{1, number};
  return create;
}

struct Leader {
  Runner runner;
  std::vector<Output> said;
  std::uint64_t session = 0;

  explicit Leader(Store& store) : runner(store) {
    EXPECT_TRUE(runner.start(Instant(1'000), said).has_value());
  }
  void meet_nodes(std::uint64_t base) {
    for (std::uint64_t node = 1; node <= 3; ++node) {
      runner.step(input::NodeSaid{base + node, hello_of(node)}, Instant(1'000), said);
    }
    session = base;
  }
  void hear_created(VolumeId volume, Instant now) {
    std::vector<Output> told = std::move(said);
    said.clear();
    for (const Output& output : told) {
      const auto* delivery = std::get_if<output::Deliver>(&output);
      if (delivery == nullptr) continue;
      const auto* create = std::get_if<control::CreateReplica>(&delivery->message);
      if (create == nullptr || create->volume != volume) continue;
      control::ReplicaCreated done;
      done.operation = create->operation;
      done.volume = create->volume;
      done.replica = create->replica;
      done.ok = true;
      runner.step(input::NodeSaid{delivery->session, done}, now, said);
    }
  }
};

TEST(ControlStream, E10_a_leader_that_slept_through_its_succession_is_refused) {
  for (int repeat = 0; repeat < 100; ++repeat) {
    MemoryStore store;
    Truths truths(store);
    Station station(store, truths, true);
    station.start();
    Leader sleeper(store);
    sleeper.meet_nodes(0);
    sleeper.runner.step(input::Asked{1, volume_named("v", 1), Instant(60'000)}, Instant(1'000),
                        sleeper.said);
    station.settle();
    // It sleeps with the volume in the making; another one takes over and finishes it.
    Leader heir(store);
    heir.meet_nodes(10);
    heir.runner.step(input::Tick{}, Instant(2'000), heir.said);
    heir.hear_created(volume_id(1), Instant(2'050));
    heir.runner.step(input::Tick{}, Instant(2'100), heir.said);
    station.settle();
    const auto record = store.volume(volume_id(1)).value();
    ASSERT_TRUE(record);
    ASSERT_EQ(record->state, VolumeState::ready);
    const std::size_t commits = store.commits();
    // It wakes with answers in its socket, and believes that it is the one to say "ready".
    sleeper.hear_created(volume_id(1), Instant(2'200));
    EXPECT_GE(store.conflicts(), 1U) << "it did try";
    EXPECT_EQ(store.commits(), commits) << "compare-and-set lets nothing of it through";
    EXPECT_EQ(store.volume(volume_id(1)).value(), record);
    station.settle();
    EXPECT_EQ(check(station.transcript(), truths.truth(), true), "");
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace seawall::controller::stream
