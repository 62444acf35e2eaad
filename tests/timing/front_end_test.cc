// Timing of the front end: ioTimeout against the completion of one request over two failovers.
#include <gtest/gtest.h>

#include <memory>

#include "tests/support/three_nodes.h"

namespace seawall::testing {
namespace {

// One write whose primary dies before it answers, and whose next primary dies as well. The same
// steps at the same times whatever its ioTimeout is, so that the moment of its completion can be
// aimed at.
class TwoFailovers final : public ThreeNodes {
 public:
  struct Outcome {
    ClientStatus status = ClientStatus::busy;
    std::uint64_t after_ms = 0;  // since its first submission
    std::uint64_t resent = 0;
  };
  explicit TwoFailovers(std::uint32_t io_timeout_ms) { io_timeout_ms_ = io_timeout_ms; }

  Outcome run() {
    SetUp();
    promote(1, 0);
    until([&] { return serves(0); });
    attach_on(2);
    const std::uint64_t first = write(3, 1, 0x11);
    until([&] { return answers_.contains(first); });
    EXPECT_EQ(answers_[first].status, ClientStatus::ok);
    const Instant submitted = clock_.now();
    const std::uint64_t cookie = write(3, 1, 0x22);
    Outcome outcome;
    const auto step = [&](int ms) {
      for (int i = 0; i < ms; ++i) {
        settle();
        if (outcome.after_ms == 0 && answers_.contains(cookie)) {
          outcome.status = answers_[cookie].status;
          outcome.after_ms = (clock_.now() - submitted).value();
        }
        clock_.advance(Duration{1});
      }
    };
    send_and_kill(0);
    step(300);
    fence_and_assign(2, 1, step);
    until_connected();
    send_and_kill(1);
    step(100);
    start(0);
    step(100);
    fence_and_assign(3, 2, step);
    step(4000);
    outcome.resent = attachment_->counters().resent;
    if (outcome.status == ClientStatus::io_error) expect_unknown();
    TearDown();
    return outcome;
  }

 private:
  void TestBody() override {}
  // What is open leaves the front end; its primary dies with it in the socket.
  void send_and_kill(int primary) {
    node(2).round(clock_.now());
    kill(primary);
  }
  // Stops at the very step in which the front end hears that it is connected.
  void until_connected() {
    for (int steps = 0; steps < 200'000 && !attachment_->connected(); ++steps) {
      bool any = network_.deliver_one();
      if (attachment_->connected()) return;
      for (auto& n : nodes_) any = (n != nullptr && n->round(clock_.now())) || any;
      if (!any) clock_.advance(Duration{1});
    }
    ASSERT_TRUE(attachment_->connected());
  }
  // promote() stops as soon as the reports are there; this one takes the same time in every run.
  template <class Step>
  void fence_and_assign(std::uint64_t epoch, int primary, Step step) {
    for (int i = 0; i < count; ++i) {
      if (nodes_[static_cast<std::size_t>(i)] == nullptr) continue;
      node(i).host.on_control(
          control::Fence{FenceRequest{volume, replica(i), Epoch{epoch}, Revision{revision_}}});
    }
    step(1500);
    const auto reports = node(primary).control.all<control::Fenced>();
    ASSERT_FALSE(reports.empty());
    const FenceReport winner = reports.back().report;
    ASSERT_EQ(winner.epoch, Epoch{epoch});
    current_ = assignment(epoch, primary, &winner);
    for (int i = 0; i < count; ++i) {
      if (nodes_[static_cast<std::size_t>(i)] != nullptr) node(i).host.on_control(current_);
    }
  }
  // An error means that nobody knows: the block is old or new, and stays what it was once read.
  void expect_unknown() {
    const auto read = [&] {
      return wait(submit({ClientOp::read, Lba{3}, BlockCount{1}, no_slot, false, 0}));
    };
    const Answer answer = read();
    ASSERT_EQ(answer.status, ClientStatus::ok);
    EXPECT_TRUE(answer.data[5] == std::byte{0x11} || answer.data[5] == std::byte{0x22});
    pass(2000);
    EXPECT_EQ(read().data[5], answer.data[5]);
  }
};

TEST(FrontEnd, T12_time_runs_from_the_first_submission_over_two_failovers) {
  const TwoFailovers::Outcome patient = TwoFailovers(20'000).run();
  ASSERT_EQ(patient.status, ClientStatus::ok) << "two failovers within one request";
  ASSERT_GE(patient.resent, 2u);
  ASSERT_GT(patient.after_ms, 3'000u);
  const auto needed = static_cast<std::uint32_t>(patient.after_ms);

  const TwoFailovers::Outcome just_so = TwoFailovers(needed + 1).run();
  EXPECT_EQ(just_so.status, ClientStatus::ok);
  EXPECT_EQ(just_so.after_ms, needed);

  for (const std::uint32_t timeout : {needed - 1, needed - 300, 1'000u, 5u}) {
    const TwoFailovers::Outcome early = TwoFailovers(timeout).run();
    EXPECT_EQ(early.status, ClientStatus::io_error) << timeout;
    EXPECT_EQ(early.after_ms, timeout) << "a resend has restarted the clock";
  }
}

}  // namespace
}  // namespace seawall::testing
