// Every tests/script/*.txt is one test, named like its file.
//
//   script_test                 runs them       script_test --rewrite   stores today's output
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/script/runner.h"

namespace seawall::script {
namespace {

bool rewrite = false;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class ScriptFile : public testing::Test {
 public:
  explicit ScriptFile(std::filesystem::path path) : path_(std::move(path)) {}

  void TestBody() override {
    const std::string golden = read_file(path_);
    Runner runner;
    const ScriptResult result = runner.run(golden);
    EXPECT_FALSE(result.broken) << result.text;
    if (rewrite) {
      std::ofstream(path_) << result.text;
      return;
    }
    EXPECT_EQ(golden, result.text) << "run with --rewrite and review the diff";
  }

 private:
  std::filesystem::path path_;
};

void register_scripts() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator("tests/script")) {
    if (entry.path().extension() == ".txt" && entry.path().stem() != "CMakeLists") {
      paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  for (const std::filesystem::path& path : paths) {
    testing::RegisterTest("Script", path.stem().c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [path]() -> testing::Test* { return new ScriptFile(path); });
  }
}

}  // namespace
}  // namespace seawall::script

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--rewrite") seawall::script::rewrite = true;
  }
  seawall::script::register_scripts();
  return RUN_ALL_TESTS();
}
