// The channels that end a process: CHECK and fatal, with and without hooks.
#include "engine/base/check.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "engine/base/fatal.h"

namespace seawall {
namespace {

TEST(CheckDeathTest, NamesConditionMessageAndPlace) {
  EXPECT_DEATH(CHECK_MSG(1 > 2, "one is small"),
               "CHECK failed: 1 > 2 \\(one is small\\) at .*check_test.cc:[0-9]+");
}

TEST(CheckDeathTest, AcceptsConditionsWithCommas) {
  CHECK(std::pair<int, int>{1, 2}.first == 1);
  EXPECT_DEATH(UNREACHABLE("never"), "unreachable \\(never\\)");
}

TEST(CheckDeathTest, CallsTheHookInsteadOfStderr) {
  EXPECT_DEATH(
      {
        set_check_hook([](const CheckFailure& failure) {
          std::fprintf(stderr, "hook saw %s\n", failure.condition);
        });
        CHECK(2 + 2 == 5);
      },
      "^hook saw 2 \\+ 2 == 5\n$");
}

TEST(CheckDeathTest, FailureInsideTheHookStillAborts) {
  EXPECT_DEATH(
      {
        set_check_hook([](const CheckFailure&) { CHECK(false && "inner"); });
        CHECK(false && "outer");
      },
      "inner");
}

TEST(Check, EvaluatesItsConditionOnce) {
  int evaluations = 0;
  CHECK(++evaluations == 1);
  MAYBE(++evaluations == 7);
  EXPECT_EQ(evaluations, 2);
}

TEST(FatalDeathTest, ExitsWithTheCodeOfItsReason) {
  EXPECT_EXIT(FATAL(FatalReason::disk_flush_failed, "pool 7"), ::testing::ExitedWithCode(12),
              "fatal: disk_flush_failed \\(pool 7\\)");
}

TEST(FatalDeathTest, CallsTheHook) {
  EXPECT_EXIT(
      {
        set_fatal_hook([](FatalReason reason, const char*) {
          std::fprintf(stderr, "hook saw %s", fatal_reason_name(reason));
        });
        FATAL(FatalReason::pool_in_use, "");
      },
      ::testing::ExitedWithCode(15), "^hook saw pool_in_use$");
}

}  // namespace
}  // namespace seawall
