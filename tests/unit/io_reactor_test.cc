#include "node/io/reactor.h"

#include <gtest/gtest.h>
#include <ctime>

#include <thread>

#include "node/io/worker.h"
#include "tests/support/io_loop.h"

namespace seawall::io {
namespace {

using testing::IdleTurn;
using testing::Loops;

struct Alarm final : runtime::TimerUser {
  void on_timer(Instant now) override {
    ++fired;
    at = now;
    if (again != nullptr) again->wake_at(*this, now);  // due at once: must not starve the loop
  }
  int fired = 0;
  Instant at;
  Reactor* again = nullptr;
};

TEST(IoReactor, A_message_of_another_thread_wakes_a_sleeping_loop) {
  Loops loops;
  std::thread::id ran_on;
  std::thread other([&] {
    EXPECT_TRUE(loops[0].post([&] { ran_on = std::this_thread::get_id(); }));
  });
  EXPECT_TRUE(loops.run_until([&] { return ran_on != std::thread::id{}; }));
  other.join();
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST(IoReactor, A_full_mailbox_refuses_and_keeps_what_it_has) {
  io::SteadyClock clock;
  auto reactor = std::move(Reactor::create(clock, {.entries = 64, .mailbox_max = 3})).value();
  int ran = 0;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(reactor->post([&] { ++ran; }));
  EXPECT_FALSE(reactor->post([&] { ++ran; }));
  IdleTurn turn;
  for (int i = 0; i < 10 && ran == 0; ++i) reactor->pass(turn, Duration{10});
  EXPECT_EQ(ran, 3);
  EXPECT_TRUE(reactor->post([&] { ++ran; }));
}

TEST(IoReactor, A_deferred_call_never_runs_inside_the_call_that_asked) {
  Loops loops;
  struct Note {
    RingOp op;
    int result = 0;
    int runs = 0;
  } note;
  note.op = RingOp{[](RingOp& op, std::int32_t result, std::uint32_t) {
                     auto& self = *static_cast<Note*>(op.owner);
                     self.result = result;
                     ++self.runs;
                   },
                   &note};
  loops[0].defer(note.op, -5);
  EXPECT_EQ(note.runs, 0);
  loops.pass();
  EXPECT_EQ(note.runs, 1);
  EXPECT_EQ(note.result, -5);
  EXPECT_EQ(loops[0].in_flight(), 0U);
}

TEST(IoReactor, A_later_deadline_replaces_the_one_before_it) {
  Loops loops;
  Alarm alarm;
  const Instant start = loops.clock().now();
  loops[0].wake_at(alarm, start + Duration{5});
  loops[0].wake_at(alarm, start + Duration{40});
  EXPECT_TRUE(loops.run_until([&] { return alarm.fired > 0; }));
  EXPECT_GE(alarm.at, start + Duration{40});
  EXPECT_EQ(alarm.fired, 1);
  loops[0].wake_at(alarm, alarm.at + Duration{1});
  loops[0].cancel(alarm);
  EXPECT_FALSE(loops.run_until([&] { return alarm.fired > 1; }, Duration{30}));
}

TEST(IoReactor, A_timer_that_is_due_for_ever_does_not_starve_the_loop) {
  Loops loops;
  Alarm alarm;
  alarm.again = &loops[0];
  loops[0].wake_at(alarm, loops.clock().now());
  loops.pass();
  loops.pass();
  EXPECT_LE(alarm.fired, 2);
  loops[0].cancel(alarm);
}

TEST(IoReactor, Timers_fire_in_the_order_of_their_deadlines) {
  Loops loops;
  struct Ordered final : runtime::TimerUser {
    void on_timer(Instant) override { log->push_back(number); }
    std::vector<int>* log = nullptr;
    int number = 0;
  };
  std::vector<int> log;
  std::vector<Ordered> users(50);
  const Instant base = loops.clock().now() + Duration{2};
  for (int i = 0; i < 50; ++i) {
    users[static_cast<std::size_t>(i)].log = &log;
    users[static_cast<std::size_t>(i)].number = i;
    loops[0].wake_at(users[static_cast<std::size_t>(i)],
                     base + Duration{static_cast<std::uint64_t>((i * 37) % 50)});
  }
  ASSERT_TRUE(loops.run_until([&] { return log.size() == 50; }));
  for (std::size_t i = 1; i < log.size(); ++i) {
    EXPECT_LE(log[i - 1] * 37 % 50, log[i] * 37 % 50);
  }
  for (Ordered& user : users) loops[0].cancel(user);
}

TEST(IoReactor, An_idle_loop_costs_no_cpu) {
  io::SteadyClock clock;
  auto reactor = std::move(Reactor::create(clock)).value();
  IdleTurn turn;
  reactor->pass(turn, Duration::zero());
  const auto cpu = [] {
    timespec used{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * 1'000'000'000L + used.tv_nsec;
  };
  const Instant until = clock.now() + Duration{500};
  const long before = cpu();
  while (clock.now() < until) reactor->pass(turn, until - clock.now());
  EXPECT_LT(cpu() - before, 10'000'000) << "of 500 ms";
  EXPECT_LE(reactor->stats().sleeps, 3U);
}

TEST(IoReactor, Blocking_work_runs_elsewhere_and_its_done_on_the_loop) {
  Loops loops;
  Worker worker(loops[0], 2);
  std::thread::id worked, finished;
  worker.run([&] { worked = std::this_thread::get_id(); },
             [&] { finished = std::this_thread::get_id(); });
  EXPECT_TRUE(loops.run_until([&] { return finished != std::thread::id{}; }));
  EXPECT_NE(worked, finished);
  EXPECT_EQ(finished, std::this_thread::get_id());
  EXPECT_EQ(worker.pending(), 0U);
}

TEST(IoReactor, More_operations_than_entries_are_handed_over_in_between) {
  io::SteadyClock clock;
  auto reactor = std::move(Reactor::create(clock, {.entries = 8, .mailbox_max = 8})).value();
  IdleTurn turn;
  reactor->pass(turn, Duration::zero());
  int done = 0;
  std::vector<RingOp> ops(40, RingOp{[](RingOp& op, std::int32_t, std::uint32_t) {
                                       ++*static_cast<int*>(op.owner);
                                     },
                                     &done});
  for (RingOp& op : ops) {
    io_uring_sqe* sqe = reactor->entry();
    io_uring_prep_nop(sqe);
    reactor->submit(sqe, op);
  }
  EXPECT_EQ(done, 0);
  EXPECT_TRUE(reactor->drain(turn, Duration{5'000}));
  EXPECT_EQ(done, 40);
}

}  // namespace
}  // namespace seawall::io
