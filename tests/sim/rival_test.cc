// Two controllers on one store: what the one has committed, the other must carry on.
#include <gtest/gtest.h>

#include "sim/scene.h"
#include "tests/sim/scenario.h"

namespace seawall::sim {
namespace {

const controller::VolumeRecord& record_of(Scene& scene) {
  const VolumeClient& volume = std::as_const(scene.cluster).volume(0);
  return *scene.cluster.controller().volume(volume.id());
}

NodeNumber primary_of(Scene& scene) {
  const controller::VolumeRecord& record = record_of(scene);
  return static_cast<NodeNumber>(record.replica(record.primary)->node.value());
}

void cut_off(Scene& scene, NodeNumber node) {
  scene.cluster.control_net().hold(node);
  for (NodeNumber other = 1; other <= scene.cluster.machines(); ++other) {
    if (other == node) continue;
    scene.cluster.network().hold(node, other);
    scene.cluster.network().hold(other, node);
  }
}

// The primary is silent; the controller stands still while its pending epoch is on the way to the
// store, behind the back of the one that has just read it. Then everything is healed, and nobody
// has a reason of his own to leave the first epoch.
void take_over_behind_a_pending_epoch(Scene& scene) {
  ControllerHost& controller = scene.cluster.controller();
  const auto whole = [&] { return scene.cluster.what_is_not_in_sync().empty(); };
  ASSERT_TRUE(scene.until(whole, 5 * seconds));
  cut_off(scene, primary_of(scene));
  bool asked = false;
  scene.trace.set_on_boundary([&](const TraceRecord& event) {
    if (event.what != What::commit_asked || asked) return;
    asked = true;
    scene.scheduler.next([&controller] { controller.take_over(); });
  });
  EXPECT_TRUE(scene.until([&] { return record_of(scene).pending.has_value(); }, 20 * seconds));
  scene.trace.set_on_boundary({});
  EXPECT_TRUE(asked);
  scene.cluster.network().release_all();
  scene.cluster.control_net().release_all();
  controller.end_rivals();
}

// Seed 3618: the commit landed after the successor had read the store. Nobody drove the pending
// epoch on, the volume could not change any more, and any failover of its own would have waited.
TEST(SimRival, F19_I14_a_pending_epoch_of_another_controller_is_driven_on) {
  for (std::uint64_t seed = 1; seed <= scenario_seeds; ++seed) {
    RunOptions options = calm(seed);
    options.script = take_over_behind_a_pending_epoch;
    EXPECT_GE(run_good(options).failovers, 2u) << "the scenario must leave the first epoch";
  }
}

}  // namespace
}  // namespace seawall::sim
