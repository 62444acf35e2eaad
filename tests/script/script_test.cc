// One test case for each script of a directory (or of several, with ':' between them); its name is
// the file's, so the ids show, and its suite is that of the directory: Script or Timing.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/script/runner.h"

namespace seawall::script {
namespace {

class ScriptCase : public testing::Test {
 public:
  explicit ScriptCase(std::filesystem::path path) : path_(std::move(path)) {}

  void TestBody() override {
    std::vector<Block> blocks = read_script(path_.string());
    ASSERT_FALSE(blocks.empty());
    ASSERT_FALSE(blocks.front().before.empty()) << "a script begins by naming its hazard";
    const bool rewrite = std::getenv("SEAWALL_REWRITE") != nullptr;
    Script script;
    for (Block& block : blocks) {
      if (block.commands.empty()) continue;
      const std::vector<std::string> actual = run_block(script, block);
      if (rewrite) {
        block.expected = actual;
        continue;
      }
      EXPECT_EQ(actual, block.expected) << path_.filename() << ": " << block.commands.front();
    }
    EXPECT_FALSE(script.cluster.failed) << "an invariant is broken, or a command is wrong";
    if (!rewrite) return;
    std::ofstream file(path_);
    file << text_of(blocks);
    ASSERT_TRUE(file.good());
  }

 private:
  std::filesystem::path path_;
};

bool register_directory(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".txt" && entry.path().filename() != "CMakeLists.txt") {
      paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  const char* suite = directory.filename() == "timing" ? "Timing" : "Script";
  for (const std::filesystem::path& path : paths) {
    testing::RegisterTest(suite, path.stem().c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [path]() -> testing::Test* { return new ScriptCase(path); });
  }
  return !paths.empty();
}

bool register_all() {
  std::stringstream directories(SCRIPT_DIR);
  bool any = false;
  for (std::string directory; std::getline(directories, directory, ':');) {
    any = register_directory(directory) || any;
  }
  return any;
}

const bool registered = register_all();

TEST(Scripts, the_directory_is_not_empty) { EXPECT_TRUE(registered); }

}  // namespace
}  // namespace seawall::script
