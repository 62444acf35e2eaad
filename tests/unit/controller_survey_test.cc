// Another controller has written to the same store: its records are found, read and carried on.
#include <gtest/gtest.h>

#include "controller/core/plan.h"
#include "tests/unit/controller_world.h"

namespace seawall::controller {
namespace {

void commit_behind_its_back(World& world, const VolumeRecord& before, const Change& change) {
  ASSERT_EQ(world.store().compare_and_set(before.id, before.version(), change.next, change.event),
            StoreOutcome::committed);
}

TEST(ControllerSurvey, F19_P185_a_pending_epoch_of_another_controller_is_driven_on) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume) && world.write(volume); }));
  const VolumeRecord before = *world.record(volume);
  commit_behind_its_back(world, before,
                         make_change(with_pending_epoch(before), "fencing", "reason=rival"));
  ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
  EXPECT_GT(world.record(volume)->epoch, before.epoch);
  EXPECT_TRUE(world.write(volume));
}

TEST(ControllerSurvey, what_another_controller_has_committed_is_told_to_the_nodes) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
  VolumeRecord next = *world.record(volume);
  const ModelNode& node = world.node(0);
  next.attachments = {{AttachmentId(1), node.id, node.process_start}};
  next.last_generation = AttachmentId(1);
  EXPECT_FALSE(node.views.contains(AttachmentId(1)));
  commit_behind_its_back(world, *world.record(volume), make_change(next, "attached", ""));
  ASSERT_TRUE(world.run_until([&] { return node.views.contains(AttachmentId(1)); }));
  EXPECT_EQ(world.replica(0, volume).assignment.revision, world.record(volume)->revision);
}

TEST(ControllerSurvey, a_volume_that_another_controller_made_or_deleted_is_known) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
  const VolumeRecord known = *world.record(volume);
  VolumeRecord made;
  made.id = VolumeId{7, 7};
  made.name = "w";
  made.state = VolumeState::deleting;  // all its replicas have gone: what is left is to say so
  ASSERT_EQ(world.store().compare_and_set(
                made.id, std::nullopt, made,
                ChangeEvent{made.id, Epoch(0), Revision(0), "creating", ""}),
            StoreOutcome::committed);
  ASSERT_TRUE(world.run_until([&] { return !world.record(made.id).has_value(); }));
  Change gone = make_change(known, "deleted", "");
  gone.next.reset();
  commit_behind_its_back(world, known, gone);
  ASSERT_TRUE(world.run_until([&] { return world.core().volumes().empty(); }));
}

}  // namespace
}  // namespace seawall::controller
