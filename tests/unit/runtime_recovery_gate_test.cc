// Recoveries take turns, and no more of a node than its clients can spare.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "node/runtime/recovery_gate.h"

namespace seawall::runtime {
namespace {

constexpr std::uint64_t column = 64 * limits::KiB;

// A node: its clients' writes take a millisecond, and one more for each `hurts` bytes a second that
// recoveries moved lately. Lanes ask for turns as fast as they get them.
class Model {
 public:
  Model(std::size_t lanes, std::uint64_t hurts) : lanes_(lanes), hurts_(hurts) {
    for (auto& lane : lanes_) lane = std::make_unique<Lane>();
  }
  void run(Duration time, bool recoveries, int writes_a_ms) {
    const Instant end = now_ + time;
    for (; now_ < end; now_ = now_ + Duration{1}) {
      std::uint64_t moved = 0;
      for (auto& lane : lanes_) {
        if (lane->turn.running()) lane->turn.end();
      }
      if (recoveries) {
        for (auto& lane : lanes_) {
          while (lane->turn.begin(gate, column, now_)) {
            moved += column;
            ++lane->turns;
            most_ = std::max(most_, gate.running());
            if (moved > 8 * limits::MiB) break;  // what the disks can do in a millisecond
            lane->turn.end();
          }
        }
      }
      moved_ += moved;
      load_ = load_ - load_ / 16 + moved;  // of the last 16 ms
      const std::uint64_t took = 1 + load_ / 16 * 1'000 / hurts_;
      for (int i = 0; i < writes_a_ms; ++i) {
        gate.note_write(Duration{took}, now_);
        writes_.push_back(took);
      }
    }
  }
  std::uint64_t p99() {
    std::sort(writes_.begin(), writes_.end());
    const std::uint64_t at = writes_[writes_.size() * 99 / 100];
    writes_.clear();
    return at;
  }
  std::uint64_t take_moved() { return std::exchange(moved_, 0); }
  [[nodiscard]] std::uint64_t turns(std::size_t lane) const { return lanes_[lane]->turns; }
  [[nodiscard]] std::uint32_t most() const { return most_; }

  RecoveryGate gate;

 private:
  struct Lane {
    RecoveryTurn turn;
    std::uint64_t turns = 0;
  };
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::uint64_t hurts_;
  Instant now_{1'000};
  std::uint64_t load_ = 0, moved_ = 0;
  std::uint32_t most_ = 0;
  std::vector<std::uint64_t> writes_;
};

TEST(RecoveryGate, R22_the_p99_of_foreground_writes_stays_within_the_stated_factor) {
  for (const std::uint64_t hurts : {10 * limits::MiB, 40 * limits::MiB, 400 * limits::MiB}) {
    Model model(8, hurts);
    model.run(Duration{5'000}, false, 2);
    ASSERT_EQ(model.gate.quiet(), Duration{1});
    model.run(Duration{5'000}, true, 2);  // it finds the rate
    static_cast<void>(model.p99());
    static_cast<void>(model.take_moved());
    model.run(Duration{20'000}, true, 2);
    // One step of growth beyond the bound is how it is found.
    EXPECT_LE(model.p99(), model.gate.bound().value() * 5 / 4 + 1) << hurts;
    EXPECT_GE(model.take_moved() / 20, 7 * limits::MiB) << hurts;  // and they make progress
  }
}

TEST(RecoveryGate, R22_nobody_writes_and_recoveries_have_all_of_it) {
  Model model(4, 10 * limits::MiB);
  model.run(Duration{5'000}, true, 2);
  static_cast<void>(model.take_moved());
  model.run(Duration{20'000}, true, 0);
  EXPECT_GE(model.take_moved() / 20, 200 * limits::MiB);
}

TEST(RecoveryGate, P132_many_laggards_take_their_turns_in_a_fixed_order) {
  Model model(100, 10 * limits::MiB);
  model.run(Duration{5'000}, false, 2);
  model.run(Duration{60'000}, true, 2);
  std::uint64_t least = model.turns(0), greatest = model.turns(0);
  for (std::size_t lane = 0; lane < 100; ++lane) {
    least = std::min(least, model.turns(lane));
    greatest = std::max(greatest, model.turns(lane));
  }
  EXPECT_GT(least, 0u);
  EXPECT_LE(greatest, least * 2) << "somebody is served twice as often as somebody else";
}

TEST(RecoveryGate, P132_so_many_turns_at_a_time_and_no_more) {
  RecoveryGate gate(RecoveryLimits{.at_once = 2});
  std::array<RecoveryTurn, 5> turns;
  const Instant now{1'000};
  EXPECT_TRUE(turns[0].begin(gate, column, now));
  EXPECT_TRUE(turns[1].begin(gate, column, now));
  EXPECT_FALSE(turns[2].begin(gate, column, now));
  EXPECT_FALSE(turns[3].begin(gate, column, now));
  turns[0].end();
  EXPECT_FALSE(turns[3].begin(gate, column, now)) << "the other one has asked first";
  EXPECT_TRUE(turns[2].begin(gate, column, now));
  turns[1].end();
  turns[3].end();  // its lane has gone: its place as well
  EXPECT_TRUE(turns[4].begin(gate, column, now));
  EXPECT_EQ(gate.running(), 2u);
  for (RecoveryTurn& turn : turns) turn.end();
  EXPECT_EQ(gate.running(), 0u);
  EXPECT_EQ(gate.waiting(), 0u);
}

TEST(RecoveryGate, P132_who_does_not_ask_again_is_passed_over) {
  RecoveryGate gate(RecoveryLimits{.at_once = 1});
  RecoveryTurn running, gone, asks;
  EXPECT_TRUE(running.begin(gate, column, Instant{1'000}));
  EXPECT_FALSE(gone.begin(gate, column, Instant{1'000}));
  EXPECT_FALSE(asks.begin(gate, column, Instant{1'001}));
  running.end();
  EXPECT_FALSE(asks.begin(gate, column, Instant{1'040}));
  EXPECT_TRUE(asks.begin(gate, column, Instant{1'060}));
}

TEST(ForegroundWatch, R22_measures_a_write_from_its_append_to_its_completion) {
  RecoveryGate gate;
  ForegroundWatch watch;
  const auto commands = std::make_unique<Commands>();
  Instant now{1'000};
  for (std::uint64_t i = 1; i <= 200; ++i) {
    commands->clear();
    command::AppendLog append;
    append.header.attachment = AttachmentId{1};
    append.header.request = RequestNumber{i};
    commands->push_back(Command(append));
    watch.after_step(true, *commands, now, gate);
    now = now + Duration{8};
    commands->clear();
    command::Complete done;
    done.done.attachment = AttachmentId{1};
    done.done.request = RequestNumber{i};
    commands->push_back(Command(done));
    watch.after_step(true, *commands, now, gate);
  }
  EXPECT_EQ(gate.quiet(), Duration{8});
  EXPECT_EQ(gate.bound(), Duration{16});
}

}  // namespace
}  // namespace seawall::runtime
