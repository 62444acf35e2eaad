// Many elections: what a golden script would have to repeat a hundred times.
#include <gtest/gtest.h>

#include "tests/script/runner.h"

namespace seawall::script {
namespace {

// Runs commands and returns what the last one printed.
std::string run(Script& script, const std::vector<std::string>& commands) {
  Block block;
  block.commands = commands;
  const std::vector<std::string> lines = run_block(script, block);
  return lines.back();
}

void elect(Script& script, std::uint64_t epoch) {
  const std::string number = std::to_string(epoch);
  run(script, {"fence " + number, "tick 1100"});
  const std::string said = run(script, {"elect " + number + " assign"});
  ASSERT_TRUE(said.starts_with("elected ")) << said;
}

TEST(Elections, P168_seventy_whose_term_start_never_commits_and_then_peace) {
  Script script;
  run(script, {"replicas n=3", "assign 1 1", "attach 1", "write a", "flush", "cut 1-2 1-3 2-3"});
  for (std::uint64_t epoch = 2; epoch <= 71; ++epoch) elect(script, epoch);
  EXPECT_EQ(run(script, {"attach 1"}), "attach at 1: not_serving hint=1 epoch=71");
  run(script, {"heal 1-2 1-3 2-3"});
  elect(script, 72);
  run(script, {"tick 3000"});
  // The client has waited since epoch 1: its position is there, by term and lsn.
  EXPECT_EQ(run(script, {"attach 1"}), "attach at 1: ok epoch=72");
  EXPECT_TRUE(run(script, {"read at=0"}).starts_with("read r3 ok a "));
  EXPECT_TRUE(run(script, {"write b"}).starts_with("write r4 ok"));
  EXPECT_EQ(run(script, {"tick 1000", "equal"}), "compared 3 at 74");
  EXPECT_FALSE(script.cluster.failed);
}

// The table of terms keeps 64 of what is folded: an attachment that saw nothing new for longer is
// known by the last epoch that proved it, and by nothing when it proved nothing.
TEST(Elections, P168_an_idle_attachment_is_proved_by_the_epoch_that_proved_it_last) {
  Script script;
  run(script, {"replicas n=3 attachments=1,2", "assign 1 1", "attach 1", "attach 1 att=2",
               "write a", "flush", "read at=0 att=2"});
  for (std::uint64_t epoch = 2; epoch <= 300; ++epoch) {
    elect(script, epoch);
    run(script, {"tick 1500", "checkpoint 1", "checkpoint 2", "checkpoint 3"});
    // The second one comes by now and then, and does nothing.
    if (epoch % 20 == 0) {
      EXPECT_EQ(run(script, {"attach 1 att=2"}),
                "attach at 1: ok epoch=" + std::to_string(epoch));
    }
  }
  EXPECT_EQ(run(script, {"attach 1 att=2"}), "attach at 1: ok epoch=300");
  EXPECT_EQ(run(script, {"attach 1"}), "attach at 1: position_lost hint=1 epoch=300");
  EXPECT_FALSE(script.cluster.failed);
}

}  // namespace
}  // namespace seawall::script
