// Every way a session ends, at every step of a rebuild and of a catch-up: its pins and its freeze
// go in that step, once, and what comes later of that plan is inert.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/engine.h"
#include "tests/script/runner.h"

namespace seawall::script {
namespace {

constexpr ReplicaId source{1}, target{3};

void run_all(Script& script, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    ASSERT_TRUE(script.run(line)) << line;
    if (!script.cluster.manual) script.cluster.settle();
  }
  script.cluster.take_output();
}

const std::vector<std::string> held = {"hold 1 base stream", "hold 3 base super log flush rewind",
                                       "hold 1->3 3->1"};

// The moves of a recovery, one at a time; false: none is left.
bool move_on(Script& script) {
  Cluster& cluster = script.cluster;
  const auto run = [&](ReplicaId id, const char* kind) {
    return cluster.node(id).core != nullptr && cluster.run_op(id, kind);
  };
  const bool moved = cluster.deliver(source, target) || cluster.deliver(target, source) ||
                     run(target, "super") || run(target, "rewind") || run(target, "base") ||
                     run(source, "base") || run(source, "stream") || run(target, "log") ||
                     run(target, "flush");
  if (moved) cluster.settle();
  return moved;
}

// Two replicas besides the source; the third one has to come back, and every move of it waits.
void begin(Script& script, bool rebuild) {
  run_all(script, {"replicas n=3", "assign 1 1", "attach 1", "write a at=0", "write b at=20",
                   "flush", "tick 600", "checkpoint 1"});
  if (rebuild) run_all(script, {"damage 3 base", "crash 3"});
  else run_all(script, {"crash 3", "write c times=3", "flush", "tick 600"});
  run_all(script, {"restart 3"});
  run_all(script, held);
  run_all(script, {"tick 1100"});
}

std::size_t pins_of_session(const Script& script) {
  const Peer* peer = const_cast<Script&>(script)
                         .cluster.node(source).core->engine().primary().peer(target);
  return peer == nullptr ? 0 : (peer->pin.held() ? 1u : 0u) + (peer->base.freeze.held() ? 1u : 0u);
}

struct Cause {
  const char* name;
  std::vector<std::string> lines;
  bool final = false;  // the source is no source any more
};

const std::vector<Cause> causes = {
    {"the link breaks", {"disconnect 1-3"}},
    {"a newer link", {"new-link 1 3"}},
    {"the endpoint changes", {"assign 1 1 endpoint=3:2"}},
    {"the target dies", {"crash 3", "release 3->1", "tick 10"}},
    {"silence", {"cut 1-3", "tick 2000"}},
    {"the replica is removed", {"assign 1 1 members=1,2 in_sync=1,2"}},
    {"a higher epoch", {"fence 2 1 2"}, true},
    {"the log of the source fails", {"fail-log 1"}, true},
    {"the volume is deleted", {"remove 1"}, true},
};

void end_everywhere(bool rebuild) {
  std::size_t steps = 0;
  {
    Script script;
    begin(script, rebuild);
    while (move_on(script)) ++steps;
    ASSERT_GE(steps, rebuild ? 10u : 5u);
  }
  for (const Cause& cause : causes) {
    for (std::size_t step = 0; step <= steps; ++step) {
      SCOPED_TRACE(std::string(cause.name) + ", after " + std::to_string(step) + " moves");
      Script script;
      begin(script, rebuild);
      for (std::size_t i = 0; i < step; ++i) move_on(script);
      const std::size_t before = pins_of_session(script);
      const bool in_flight = step > 1 && step < steps;
      if (in_flight) {
        EXPECT_GE(before, step > 2 ? 1u : 0u) << "a plan under way holds something";
      }
      run_all(script, cause.lines);
      // In that step: nothing of the ended session is held, and no base is frozen for it.
      const Node& node = script.cluster.node(source);
      EXPECT_EQ(pins_of_session(script), 0u);
      EXPECT_EQ(node.store.frozen, 0);
      EXPECT_EQ(node.core->engine().context().freezes, 0u);
      if (cause.final) {
        EXPECT_EQ(node.store.pins(), 0u);
        EXPECT_EQ(node.core->engine().context().pins, 0u);
      }
      // What the disks and the network still bring of that plan is inert.
      script.cluster.held_links.clear();
      for (auto& [id, other] : script.cluster.nodes()) {
        while (!other->ops.empty() && other->core != nullptr) {
          bool ran = false;
          for (const char* kind : {"base", "stream", "super", "rewind", "log", "flush"}) {
            ran = script.cluster.run_op(id, kind) || ran;
          }
          if (!ran) break;
        }
        other->held.clear();
      }
      script.cluster.settle();
      EXPECT_FALSE(script.cluster.failed);
      if (cause.final) {
        EXPECT_EQ(node.store.pins(), 0u);
        EXPECT_EQ(node.store.frozen, 0);
        continue;
      }
      // The way back is open: whatever it was, the next plan ends well and leaves nothing.
      if (std::string(cause.name) == "silence") run_all(script, {"heal 1-3"});
      if (std::string(cause.name) == "the target dies") run_all(script, {"restart 3"});
      run_all(script, {"tick 14000", "remove 1"});
      EXPECT_EQ(node.store.pins(), 0u);
      EXPECT_EQ(node.store.frozen, 0);
      EXPECT_FALSE(script.cluster.failed);
    }
  }
}

TEST(Pins, D07_P137_every_end_at_every_step_of_a_rebuild_releases_once) { end_everywhere(true); }

TEST(Pins, D07_P137_every_end_at_every_step_of_a_catch_up_releases_once) {
  end_everywhere(false);
}

}  // namespace
}  // namespace seawall::script
