// What exploration prints is a script that tests/script runs, to the same end.
#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>

#include "tests/explore/explorer.h"
#include "tests/script/runner.h"

namespace seawall::explore {
namespace {

std::string ends_of(script::Cluster& cluster) {
  std::string text;
  for (const auto& [id, node] : cluster.nodes()) {
    text += std::to_string(id.value()) + (node->core ? " promised " : " down promised ") +
            std::to_string(node->store.promised().value()) + " written " +
            std::to_string(node->store.written().value()) + " durable " +
            std::to_string(node->store.durable().value()) + "\n";
  }
  return text;
}

// Runs its commands; what the cluster then is, or what it refused.
std::string run(const std::string& text) {
  script::Script script;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line) && line != "----";) {
    if (line.empty() || line[0] == '#') continue;
    if (!script.run(line)) return "not understood: " + line;
    if (script.cluster.failed) return "BROKEN behind: " + line;
  }
  return ends_of(script.cluster);
}

TEST(ExploreScript, a_way_that_was_found_runs_as_a_golden_script_to_the_same_end) {
  ExploreOptions options;
  options.states_max = 20'000;
  options.keep_way_every = 37;
  const ExploreResult result = explore(options);
  ASSERT_EQ(result.wrong, "");
  ASSERT_GT(result.kept.size(), 50u);
  std::uint64_t same = 0;
  std::string first;
  for (const std::vector<Step>& way : result.kept) {
    World world(options.world);
    for (const Step step : way) world.take(step);
    const std::string text = World::golden_script(options.world, way, "none");
    const std::string reached = run(text);
    EXPECT_EQ(reached.find("not understood"), std::string::npos) << text;
    EXPECT_EQ(reached.find("BROKEN"), std::string::npos) << reached << text;
    same += reached == world.ends() ? 1 : 0;
    if (reached != world.ends() && first.empty()) {
      first = text + "reached\n" + reached + "instead of\n" + world.ends();
    }
  }
  std::printf("%zu ways as scripts, %llu to the same end\n%s", result.kept.size(),
              static_cast<unsigned long long>(same), first.c_str());
  EXPECT_EQ(same, result.kept.size());
}

}  // namespace
}  // namespace seawall::explore
