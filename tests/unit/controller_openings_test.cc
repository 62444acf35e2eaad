// F28: a replica that comes back older than it was is told from one that was away.
#include "controller/core/openings.h"

#include <gtest/gtest.h>

#include "tests/unit/controller_world.h"

namespace seawall::controller {
namespace {

constexpr ProcessStart first{10}, second{11}, elsewhere{99};

Opening opened(ProcessStart start, ProcessStart before, std::uint64_t found, std::uint64_t end) {
  return Opening{start, before, found, Lsn(end), found + 2};
}

TEST(Openings, F28_a_store_finds_at_least_what_it_ever_said) {
  const OpeningTold told{first, 7, Lsn(45), Lsn(40)};
  EXPECT_FALSE(is_older(told, opened(second, first, 7, 45))) << "stopped, and started";
  EXPECT_FALSE(is_older(told, opened(second, first, 9, 12))) << "it went on, rewound, and crashed";
  EXPECT_FALSE(is_older(told, opened(second, elsewhere, 9, 50))) << "an opening that nobody heard";
  EXPECT_FALSE(is_older(told, opened(first, {}, 3, 0))) << "this opening itself";
  EXPECT_TRUE(is_older(told, opened(second, first, 6, 99))) << "an older super block";
  EXPECT_TRUE(is_older(told, opened(second, first, 7, 44))) << "less than it had written";
  Opening dark = opened(second, first, 7, 40);
  dark.power_lost = true;
  EXPECT_FALSE(is_older(told, dark)) << "what was not flushed may be gone";
  dark.end = Lsn(39);
  EXPECT_TRUE(is_older(told, dark)) << "less than it had flushed";
  EXPECT_TRUE(is_older(told, opened(second, elsewhere, 7, 45))) << "another opening came to that";
  Opening knows = opened(second, first, 7, 0);
  knows.end.reset();
  EXPECT_FALSE(is_older(told, knows)) << "a store that knows of its loss has a floor";
  EXPECT_FALSE(is_older(told, Opening{second, {}, 0, Lsn(0), 0})) << "it cannot say";
  EXPECT_FALSE(is_older(OpeningTold{}, opened(second, first, 1, 0))) << "nothing was ever told";
}

ReplicaStatus says(const Opening& opening, std::uint64_t durable) {
  ReplicaStatus status;
  status.replica = ReplicaId(2);
  status.opening = opening;
  status.marks.written = status.marks.durable = Lsn(durable);
  return status;
}

TEST(Openings, F28_what_comes_late_or_twice_changes_nothing) {
  const ReplicaRecord record{ReplicaId(2), NodeId(2), EndpointVersion(1), ""};
  ReplicaSeen seen;
  Opening old = opened(first, {}, 5, 10);
  old.generation = 20;
  hear_opening(record, seen, says(old, 30));
  hear_opening(record, seen, says(opened(second, first, 22, 31), 31));
  EXPECT_FALSE(is_doubted(record, &seen));
  hear_opening(record, seen, says(old, 30));  // of the opening before, late
  EXPECT_FALSE(is_doubted(record, &seen));
  EXPECT_EQ(seen.told->start, second);
  Opening later = opened(second, first, 22, 31);
  later.generation = 40;
  hear_opening(record, seen, says(later, 50));
  hear_opening(record, seen, says(opened(second, first, 22, 31), 31));  // the first word again
  EXPECT_EQ(seen.told->generation, 40U);
}

TEST(Openings, F28_doubt_outlives_openings_and_the_controller_and_ends_with_the_true_files) {
  ReplicaRecord record{ReplicaId(2), NodeId(2), EndpointVersion(1), ""};
  record.told = OpeningTold{first, 20, Lsn(30), Lsn(30)};  // what the store holds
  ReplicaSeen seen;
  hear_opening(record, seen, says(opened(second, first, 12, 30), 30));
  EXPECT_TRUE(is_doubted(record, &seen));
  // It has written a lot since, and restarts: that proves nothing.
  hear_opening(record, seen, says(opened(ProcessStart(12), second, 25, 50), 50));
  EXPECT_TRUE(is_doubted(record, &seen));
  record.trouble = older_copy_trouble;  // as plan_doubts() has committed it
  ReplicaSeen anew;
  hear_opening(record, anew, says(opened(ProcessStart(13), ProcessStart(12), 60, 90), 90));
  EXPECT_TRUE(is_doubted(record, &anew));
  hear_opening(record, anew, says(opened(ProcessStart(14), first, 20, 30), 30));
  EXPECT_FALSE(is_doubted(record, &anew)) << "what it was is there again";
}

TEST(Openings, F28_a_report_counts_when_its_opening_was_heard) {
  ReplicaRecord record{ReplicaId(2), NodeId(2), EndpointVersion(1), ""};
  record.told = OpeningTold{first, 20, Lsn(30), Lsn(30)};
  ReplicaSeen seen;
  FenceReport report;
  report.facts.process_start = second;
  EXPECT_TRUE(is_doubted(record, seen, report)) << "it may be anything";
  hear_opening(record, seen, says(opened(second, first, 20, 30), 30));
  EXPECT_FALSE(is_doubted(record, seen, report));
}

TEST(Openings, F28_only_a_primary_in_office_proves_and_only_the_opening_that_it_speaks_of) {
  VolumeRecord record;
  record.epoch = Epoch(4);
  record.primary = ReplicaId(1);
  record.replicas = {{ReplicaId(1), NodeId(1), EndpointVersion(1), ""},
                     {ReplicaId(2), NodeId(2), EndpointVersion(1), ""}};
  VolumeSeen seen;
  ReplicaSeen& copy = seen.replicas[ReplicaId(2)];
  copy.told = OpeningTold{first, 20, Lsn(30), Lsn(30)};
  hear_opening(record.replicas[1], copy, says(opened(second, first, 12, 30), 30));
  ASSERT_TRUE(copy.older);
  ReplicaStatus primary;
  primary.replica = ReplicaId(1);
  primary.epoch = Epoch(4);
  primary.serving = true;
  PeerStatus peer;
  peer.replica = ReplicaId(2);
  peer.state = ReplicaState::in_sync;
  peer.start = first;
  primary.peers.push_back(peer);
  hear_proofs(record, seen, primary);
  EXPECT_TRUE(copy.older) << "that was the replica before it became older";
  primary.peers[0].start = second;
  primary.peers[0].state = ReplicaState::proving;
  hear_proofs(record, seen, primary);
  EXPECT_TRUE(copy.older) << "not proved yet";
  primary.peers[0].state = ReplicaState::in_sync;
  primary.epoch = Epoch(3);
  hear_proofs(record, seen, primary);
  EXPECT_TRUE(copy.older) << "the word of a primary that is deposed";
  primary.epoch = Epoch(4);
  hear_proofs(record, seen, primary);
  EXPECT_FALSE(copy.older);
}

// --- with elections ---

struct Scene {
  World world{3};
  VolumeId volume = world.create("v", 3, "quorum");
  std::size_t primary = world.primary_index(volume);
  std::size_t copied = (primary + 1) % 3;
  std::size_t third = (primary + 2) % 3;

  // The copy is put back; what was written since is on the primary alone, and that is silent.
  void restore_an_older_copy() {
    EXPECT_TRUE(world.write(volume));
    const ModelReplica copy = world.replica(copied, volume);
    world.kill(copied);  // one opening later
    world.start(copied);
    ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
    world.node(third).lags = true;
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(world.write(volume));
    world.run(500);
    world.kill(primary);
    world.kill(copied);
    world.put_back(copied, volume, copy);
    world.start(copied);
    world.node(third).lags = false;
  }
  std::string trouble() {
    return world.record(volume)->replica(world.replica(copied, volume).facts.replica)->trouble;
  }
};

TEST(Openings, F28_an_older_copy_elects_nobody_and_is_no_source) {
  Scene scene;
  scene.restore_an_older_copy();
  scene.world.run(40'000);
  EXPECT_FALSE(scene.world.is_serving(scene.volume)) << "three completed writes would be gone";
  EXPECT_EQ(scene.trouble(), older_copy_trouble);
  scene.world.start(scene.primary);
  ASSERT_TRUE(scene.world.run_until([&] { return scene.world.is_settled(scene.volume); }));
  EXPECT_NE(scene.world.primary_index(scene.volume), scene.copied);
  EXPECT_TRUE(scene.world.write(scene.volume));
}

TEST(Openings, F28_what_a_primary_has_proved_counts_again) {
  Scene scene;
  scene.restore_an_older_copy();
  scene.world.run(2'000);
  scene.world.start(scene.primary);
  ASSERT_TRUE(scene.world.run_until(
      [&] { return scene.world.is_settled(scene.volume) && scene.trouble().empty(); }));
  const std::size_t leads = scene.world.primary_index(scene.volume);
  EXPECT_TRUE(scene.world.write(scene.volume));
  scene.world.run(500);
  scene.world.kill(leads);
  ASSERT_TRUE(scene.world.run_until([&] { return scene.world.is_serving(scene.volume); }));
  EXPECT_TRUE(scene.world.write(scene.volume));
}

TEST(Openings, F28_a_controller_that_starts_anew_doubts_as_well) {
  Scene scene;
  scene.restore_an_older_copy();
  scene.world.run(1'000);
  scene.world.crash_controller();
  scene.world.run(20'000);
  scene.world.crash_controller();
  scene.world.kill(scene.copied);
  scene.world.start(scene.copied);  // opened once more
  scene.world.run(20'000);
  EXPECT_FALSE(scene.world.is_serving(scene.volume));
}

TEST(Openings, F28_an_operator_may_force_what_is_doubted) {
  Scene scene;
  scene.restore_an_older_copy();
  scene.world.run(5'000);
  ForceVolume force;
  force.operation = "force-1";
  force.volume = "v";
  force.nodes = {scene.world.node(scene.copied).name, scene.world.node(scene.third).name};
  force.who = "somebody";
  force.why = "the third machine has burnt down";
  force.old_primary_stopped = true;
  scene.world.expect_loss(scene.volume);
  scene.world.ask(force);
  EXPECT_TRUE(scene.world.run_until([&] { return scene.world.is_serving(scene.volume); }));
}

}  // namespace
}  // namespace seawall::controller
