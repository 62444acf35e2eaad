#include "sim/scheduler.h"

#include <gtest/gtest.h>

#include <string>

namespace seawall::sim {
namespace {

TEST(SimScheduler, RunsByTimeAndThenInTheOrderOfAsking) {
  Scheduler scheduler;
  std::string ran;
  scheduler.at(20, world, [&] { ran += "c"; });
  scheduler.at(10, world, [&] { ran += "a"; });
  scheduler.at(10, world, [&] { ran += "b"; });
  while (scheduler.step()) {
  }
  EXPECT_EQ(ran, "abc");
  EXPECT_EQ(scheduler.now(), 20u);
}

TEST(SimScheduler, ACancelledTaskNeverRuns) {
  Scheduler scheduler;
  bool ran = false;
  const TaskId id = scheduler.after(5, world, [&] { ran = true; });
  scheduler.cancel(id);
  scheduler.cancel(id);
  scheduler.after(1, world, [] {});  // takes the place that became free
  scheduler.cancel(id);
  EXPECT_TRUE(scheduler.step());
  EXPECT_FALSE(scheduler.step());
  EXPECT_FALSE(ran);
}

TEST(SimScheduler, TheTasksOfADeadProcessAreDropped) {
  Scheduler scheduler;
  const Owner process = scheduler.new_owner();
  int ran = 0;
  scheduler.after(1, process, [&] { ++ran; });
  scheduler.after(1, world, [&] { ++ran; });
  scheduler.kill(process);
  scheduler.after(2, process, [&] { ++ran; });
  while (scheduler.step()) {
  }
  EXPECT_EQ(ran, 1);
}

TEST(SimScheduler, APausedProcessCatchesUpInItsOldOrder) {
  Scheduler scheduler;
  const Owner process = scheduler.new_owner();
  std::string ran;
  scheduler.at(1, process, [&] { ran += "1"; });
  scheduler.at(2, process, [&] { ran += "2"; });
  scheduler.at(50, world, [&] { scheduler.resume(process); });
  scheduler.at(60, process, [&] { ran += "3"; });
  scheduler.pause(process);
  while (scheduler.step()) {
  }
  EXPECT_EQ(ran, "123");
}

}  // namespace
}  // namespace seawall::sim
