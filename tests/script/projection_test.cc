// The projection is a value and never an input: whole scripts, traced, with every Core asked for
// its status after each step and with none asked, say the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/volume_projection.h"
#include "tests/script/runner.h"

namespace seawall::script {
namespace {

std::vector<std::string> traced(const std::filesystem::path& path, bool projects) {
  Script script;
  script.cluster.trace = true;
  if (projects) {
    script.cluster.after_step = [](const Node& node, Instant now) {
      // What it says is a function of state and time: asked twice, it says the same.
      const VolumeView first = project_volume(node.core->engine(), now);
      EXPECT_TRUE(first == project_volume(node.core->engine(), now));
    };
  }
  std::vector<std::string> lines;
  for (const Block& block : read_script(path)) {
    for (std::string& line : run_block(script, block)) lines.push_back(std::move(line));
  }
  return lines;
}

TEST(Projection, P152_the_same_commands_with_and_without_it) {
  std::vector<std::filesystem::path> paths;
  const std::string directories = SCRIPT_DIR;  // of the protocol, first of all
  const std::string protocol = directories.substr(0, directories.find(':'));
  for (const auto& entry : std::filesystem::directory_iterator(protocol)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("P1") && name.ends_with(".txt") && !name.starts_with("P122")) {
      paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  ASSERT_GT(paths.size(), 20u);
  std::size_t compared = 0;
  for (std::size_t i = 0; i < paths.size(); i += 3) {  // a third of them: a trace is long
    const std::vector<std::string> without = traced(paths[i], false);
    EXPECT_TRUE(without == traced(paths[i], true)) << paths[i];
    compared += without.size();
  }
  EXPECT_GT(compared, 1'000u);
}

}  // namespace
}  // namespace seawall::script
