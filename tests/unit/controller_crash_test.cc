// The controller dies before and after every commit and before every delivery, one run a place, and
// in random places many times: what is in the store is enough.
#include <gtest/gtest.h>

#include <functional>

#include "engine/base/prng.h"
#include "tests/unit/controller_world.h"

namespace seawall::controller {
namespace {

// Creates, attaches, loses a primary, gets it back, detaches, deletes a second volume.
struct Story {
  World world;
  VolumeId volume{};

  explicit Story(std::uint64_t crash_at) : world(3) {
    world.crash_at_step(crash_at);
    run("quorum");
  }

  Answer must(Request request) {
    const Answer answer = world.ask_and_wait(std::move(request));
    EXPECT_FALSE(answer.refusal) << answer.refusal->message;
    return answer;
  }

  void run(const std::string& policy) {
    CreateVolume create;
    create.operation = "create";
    create.name = "v";
    create.size_bytes = limits::GiB;
    create.replicas = 3;
    create.policy = policy;
    volume = *must(create).volume;
    const Answer attached = must(AttachVolume{"attach", "v", "n2", NodeId(0)});
    EXPECT_EQ(attached.generation, AttachmentId(1)) << "one attachment, asked for twice or not";
    EXPECT_TRUE(world.run_until([&] { return world.write(volume); }));
    const std::size_t primary = world.primary_index(volume);
    world.kill(primary);
    EXPECT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
    EXPECT_TRUE(world.run_until([&] { return world.write(volume); }));
    world.start(primary);
    EXPECT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
    world.run(1'000);
    // n2's daemon may have been the one that died; its attachment then ended with it.
    must(AttachVolume{"attach-again", "v", "n2", NodeId(0)});
    must(DetachVolume{"detach", "v", "n2", NodeId(0), AttachmentId(0), false});
    create.operation = "create-w";
    create.name = "w";
    create.replicas = 2;
    create.policy = "";
    const VolumeId second = *must(create).volume;
    must(DeleteVolume{"delete", "w"});
    EXPECT_TRUE(world.run_until([&] { return !world.record(second).has_value(); }));
    for (std::size_t i = 0; i < 3; ++i) EXPECT_FALSE(world.node(i).replicas.contains(second));
    EXPECT_TRUE(world.run_until([&] { return world.is_settled(volume) && world.write(volume); }));
  }
};

TEST(ControllerCrash, E01_E02_F19_P185_at_every_step_the_story_has_the_same_end) {
  Story whole(0);
  const std::uint64_t steps = whole.world.steps();
  ASSERT_GT(steps, 40U);
  for (std::uint64_t step = 1; step <= steps; ++step) {
    SCOPED_TRACE("controller dies at step " + std::to_string(step));
    Story story(step);
    const auto record = story.world.record(story.volume);
    ASSERT_TRUE(record);
    EXPECT_FALSE(record->pending);
    EXPECT_TRUE(record->attachments.empty());
    EXPECT_EQ(record->replicas.size(), 3U);
    if (::testing::Test::HasFailure()) break;
  }
}

TEST(ControllerCrash, the_same_inputs_have_the_same_outputs) {
  Story first(0);
  Story second(0);
  EXPECT_EQ(first.world.steps(), second.world.steps());
  EXPECT_EQ(first.world.record(first.volume), second.world.record(second.volume));
  ASSERT_EQ(first.world.history().size(), second.world.history().size());
  for (std::size_t i = 0; i < first.world.history().size(); ++i) {
    EXPECT_EQ(first.world.history()[i].first, second.world.history()[i].first);
    EXPECT_EQ(first.world.history()[i].second.index(), second.world.history()[i].second.index());
  }
}

void one_random_fault(World& world, Prng& prng, std::size_t nodes) {
  const auto index = static_cast<std::size_t>(prng.below(nodes));
  ModelNode& node = world.node(index);
  switch (prng.below(7)) {
    case 0:
      if (node.alive) world.kill(index);
      break;
    case 1:
      if (!node.alive) world.start(index);
      break;
    case 2:
      if (node.alive) {
        world.kill(index);
        world.start(index);
      }
      break;
    case 3: world.cut(index); break;
    case 4: world.heal(index); break;
    case 5: world.crash_at_step(world.steps() + prng.range(1, 8)); break;
    case 6:
      world.store().fail_next(prng.coin() ? MemoryStore::Fault::unknown_done
                                          : MemoryStore::Fault::unknown_not_done);
      break;
  }
}

TEST(ControllerCrash, P62_E17_many_random_faults_lose_nothing_and_end_in_a_serving_volume) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Prng prng(seed);
    World world(3, seed);
    world.duplicate_messages(prng.coin());
    const char* policies[] = {"quorum", "in-sync", "best-effort", "all"};
    const VolumeId volume = world.create("v", 3, policies[prng.below(4)]);
    for (int i = 0; i < 60; ++i) {
      one_random_fault(world, prng, 3);
      world.run(prng.range(1, 40) * 50);
      world.write(volume);  // World checks that no promotion loses what completed
    }
    for (std::size_t i = 0; i < 3; ++i) {
      if (!world.node(i).alive) world.start(i);
      world.heal(i);
    }
    ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume) && world.write(volume); }));
    if (::testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace seawall::controller
