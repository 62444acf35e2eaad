#include "cli/app.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace seawall::cli {
namespace {

struct Outcome {
  ExitCode code;
  std::string out, err;
};

Outcome run(const std::vector<std::string>& words) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const ExitCode code = run_command_line(words);
  return Outcome{code, testing::internal::GetCapturedStdout(),
                 testing::internal::GetCapturedStderr()};
}

bool says(const Outcome& outcome, const std::string& part) {
  return outcome.err.find(part) != std::string::npos;
}

TEST(CliApp, an_unknown_command_is_a_usage_error_with_the_nearest_one) {
  const Outcome outcome = run({"volum", "list"});
  EXPECT_EQ(outcome.code, ExitCode::usage);
  EXPECT_TRUE(says(outcome, "did you mean \"volume\"?")) << outcome.err;
  EXPECT_EQ(outcome.out, "");
}

TEST(CliApp, an_unknown_option_is_a_usage_error_with_the_nearest_one) {
  const Outcome outcome = run({"volume", "create", "x", "--size", "1GiB", "--polcy", "all"});
  EXPECT_EQ(outcome.code, ExitCode::usage);
  EXPECT_TRUE(says(outcome, "did you mean \"--policy\"?")) << outcome.err;
}

TEST(CliApp, bad_values_are_refused_before_anything_is_asked) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
      {{"--policy", "most"}, "one of quorum, in-sync, all, best-effort is wanted"},
      {{"--write-cache", "non"}, "did you mean none?"},
      {{"--replicas", "0"}, "a whole number from 1 to 7 is wanted"},
      {{"--replicas", "8"}, "a whole number from 1 to 7 is wanted"},
      {{"--replicas", "2x"}, "a whole number from 1 to 7 is wanted"},
      {{"--log-size", "64 MiB"}, "--log-size is \"64 MiB\""},
      {{"--output", "yaml"}, "one of table, json is wanted"},
      {{"--io-timeout", "0"}, "it must be more than 0"},
  };
  for (const auto& [extra, part] : cases) {
    std::vector<std::string> words{"volume", "create",       "x",          "--size",
                                   "1GiB",   "--controller", "127.0.0.1:1"};
    words.insert(words.end(), extra.begin(), extra.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, ExitCode::usage) << extra[0];
    EXPECT_TRUE(says(outcome, part)) << outcome.err;
  }
}

TEST(CliApp, global_options_may_stand_before_and_after_the_command) {
  EXPECT_EQ(run({"--controller", "127.0.0.1:1", "volume", "list"}).code, ExitCode::unreachable);
  EXPECT_EQ(run({"volume", "list", "--controller", "127.0.0.1:1"}).code, ExitCode::unreachable);
}

TEST(CliApp, a_failure_is_json_when_json_is_wanted) {
  const Outcome outcome =
      run({"volume", "list", "--controller", "127.0.0.1:1", "--output", "json"});
  EXPECT_EQ(outcome.code, ExitCode::unreachable);
  const boost::json::value json = boost::json::parse(outcome.err);
  EXPECT_EQ(json.at("error").at("code"), boost::json::value(6));
  EXPECT_EQ(json.at("error").at("kind"), "unreachable");
}

TEST(CliApp, help_is_done_and_lists_the_exit_codes) {
  const Outcome outcome = run({"--help"});
  EXPECT_EQ(outcome.code, ExitCode::done);
  EXPECT_NE(outcome.out.find("Exit codes: 0 done"), std::string::npos);
}

}  // namespace
}  // namespace seawall::cli
