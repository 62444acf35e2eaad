#include "sim/trace.h"

#include <gtest/gtest.h>

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
