#include "sim/trace.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <regex>
#include <string>

#include "sim/batch.h"

namespace seawall::sim {
namespace {

TEST(SimTrace, EqualEventsGiveEqualHashesAndAnyDifferenceAnother) {
  Trace a(false), b(false), c(false);
  a.add(TraceRecord{1, What::crash, 2, 3});
  b.add(TraceRecord{1, What::crash, 2, 3});
  c.add(TraceRecord{1, What::crash, 2, 4});
  EXPECT_EQ(a.hash(), b.hash());
  EXPECT_NE(a.hash(), c.hash());
}

TEST(SimTrace, NamesTheFirstEventThatDiffers) {
  Trace first(true), second(true);
  second.set_reference(&first);
  for (std::uint64_t i = 0; i < 5; ++i) first.add(TraceRecord{i, What::timer, 1});
  for (std::uint64_t i = 0; i < 5; ++i) {
    second.add(TraceRecord{i, i == 3 ? What::crash : What::timer, 1});
  }
  EXPECT_NE(second.first_difference().find("event 3"), std::string::npos);
  EXPECT_NE(second.first_difference().find("crash"), std::string::npos);
}

// The whole text that a failing batch prints.
std::string printed_by(const BatchOptions& batch) {
  testing::internal::CaptureStdout();
  const BatchResult result = run_batch(batch);
  std::fflush(stdout);
  EXPECT_EQ(result.failed, 1u);
  return testing::internal::GetCapturedStdout();
}

TEST(SimTrace, T21_a_failing_run_prints_its_last_events_in_order_and_the_line_that_replays_it) {
  BatchOptions batch;
  batch.tail_lines = 5;
  batch.check_determinism = true;
  batch.overrides.canary = true;
  batch.overrides.nodes = 3;
  batch.overrides.chaos = 4 * seconds;
  const std::string text = printed_by(batch);
  const std::regex lines(
      "seed 1 FAILED: determinism\n  what: .*\n  options: .*\n  last events:\n"
      "(    #[0-9]+ +[0-9]+\\.[0-9]{6} (n[0-9]+|--) .*\n){5}"
      "  replay: \\./dev sim --seed 1 --seeds 1 --nodes 3 --chaos-ms 4000 --canary "
      "--check-determinism --trace\n");
  EXPECT_TRUE(std::regex_search(text, lines)) << text;
}

TEST(SimTrace, T21_what_an_engine_did_has_the_order_of_the_event_that_caused_it) {
  Trace trace(false);
  trace.set_details(true);
  trace.add(TraceRecord{1, What::timer, 1});
  trace.add(TraceRecord{7, What::frame, 2, 9});
  trace.note(7, 2, "r2 <- Append");
  trace.note(7, 2, "r2    -> AppendLog");
  trace.add(TraceRecord{8, What::timer, 1});
  const std::vector<std::string> tail = trace.tail(4);
  ASSERT_EQ(tail.size(), 4u);
  EXPECT_EQ(tail[0].substr(0, 3), "#2 ");
  EXPECT_NE(tail[0].find("frame"), std::string::npos);
  EXPECT_EQ(tail[1].substr(0, 3), "#2 ");
  EXPECT_NE(tail[2].find("-> AppendLog"), std::string::npos);
  EXPECT_EQ(tail[2].substr(0, 3), "#2 ");
  EXPECT_EQ(tail[3].substr(0, 3), "#3 ");
}

TEST(SimTrace, KeepsTheLastEventsOnly) {
  Trace trace(false);
  for (std::uint64_t i = 0; i < Trace::tail_max + 10; ++i)
    trace.add(TraceRecord{i, What::timer, 1});
  const auto tail = trace.tail(2);
  ASSERT_EQ(tail.size(), 2u);
  EXPECT_NE(tail[1].find("0.004105"), std::string::npos);
  EXPECT_NE(tail[0].find("0.004104"), std::string::npos);
}

}  // namespace
}  // namespace seawall::sim
