// The verdict over a catch-up, the throttle of its writers, and the bytes that both count in.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/byte_marks.h"
#include "engine/convergence.h"
#include "engine/write_throttle.h"

namespace seawall {
namespace {

constexpr std::uint64_t block = 4096;
const ConvergenceLimits limits;

// One replica that takes, and writers that add, so many bytes in each window.
class Chase {
 public:
  explicit Chase(std::uint64_t owed) : at_{0, owed} { verdict_.note(now_, at_, limits); }
  Verdict window(std::uint64_t drained, std::uint64_t added, bool at_floor = false) {
    now_ = now_ + limits.window;
    at_.goal += added;
    at_.sent = std::min(at_.sent + drained, at_.goal);
    return verdict_.judge(now_, at_, at_floor, limits);
  }
  [[nodiscard]] const Convergence& state() const { return verdict_; }

 private:
  Instant now_{10'000};
  StreamBytes at_;
  Convergence verdict_;
};

TEST(Convergence, P128_ingest_slower_than_drain_wins_however_large_the_gap) {
  for (const std::uint64_t gap : {std::uint64_t{10} * block, (std::uint64_t{1} << 40) * block}) {
    Chase chase(gap);
    for (int i = 0; i < 10'000; ++i) {  // over five hours: there is no time limit
      const Verdict verdict = chase.window(100 * block, 50 * block);
      ASSERT_TRUE(verdict == Verdict::wins || verdict == Verdict::none) << gap << " " << i;
    }
  }
}

TEST(Convergence, P128_equal_or_faster_ingest_is_lost_in_two_windows_however_small_the_gap) {
  for (const std::uint64_t gap : {std::uint64_t{10} * block, (std::uint64_t{1} << 40) * block}) {
    for (const std::uint64_t added : {100 * block, 101 * block, 10'000 * block}) {
      Chase chase(gap);
      EXPECT_EQ(chase.window(100 * block, added), Verdict::slow);
      EXPECT_EQ(chase.window(100 * block, added), Verdict::lost);
    }
  }
}

TEST(Convergence, P128_a_burst_between_quiet_windows_ends_nothing) {
  Chase chase(1000 * block);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(chase.window(100 * block, 150 * block), Verdict::slow);
    EXPECT_EQ(chase.window(100 * block, 50 * block), Verdict::wins);
  }
}

TEST(Convergence, P128_so_little_progress_that_it_ends_far_beyond_the_limit_is_none) {
  Chase chase(1'000'000 * block);
  EXPECT_EQ(chase.window(100 * block, 99 * block), Verdict::slow);  // shrinks, for 23 days
  EXPECT_EQ(chase.window(100 * block, 99 * block), Verdict::lost);
}

TEST(Convergence, P128_a_window_without_progress_is_measured_with_the_next) {
  Chase chase(1000 * block);
  EXPECT_EQ(chase.window(0, 50 * block), Verdict::none);
  EXPECT_EQ(chase.window(0, 50 * block), Verdict::none);
  EXPECT_EQ(chase.window(300 * block, 50 * block), Verdict::wins);
  EXPECT_EQ(chase.state().drain_rate(), 300 * block / 6);
  EXPECT_EQ(chase.state().ingest_rate(), 150 * block / 6);
}

TEST(Convergence, P129_a_debt_that_grows_at_the_floor_is_lost_at_once) {
  Chase grows(1000 * block);
  EXPECT_EQ(grows.window(100 * block, 101 * block, true), Verdict::lost);
  Chase stays(1000 * block);
  EXPECT_EQ(stays.window(100 * block, 100 * block, true), Verdict::slow);
}

TEST(Convergence, T10_nothing_is_owed_at_the_end_of_the_second_bad_window) {
  Chase chase(200 * block);
  EXPECT_EQ(chase.window(100 * block, 100 * block), Verdict::slow);
  EXPECT_EQ(chase.window(300 * block, 100 * block), Verdict::none);
  EXPECT_FALSE(chase.state().due().has_value());
}

TEST(WriteThrottle, P129_holds_the_rate_and_lets_no_write_wait_longer_than_its_bound) {
  for (const std::uint64_t rate : {std::uint64_t{1} << 14, std::uint64_t{1} << 20,
                                   std::uint64_t{1} << 30}) {
    for (const std::uint64_t size : {block, 256 * block}) {
      WriteThrottle throttle;
      Instant now{5'000};
      throttle.set(rate, now);
      std::uint64_t bytes = 0;
      Duration longest{0};
      const Instant end = now + Duration{20'000};
      while (now < end) {
        const Instant since = now;
        now = throttle.opens_at(now, since);
        ASSERT_TRUE(throttle.open(now, since));
        longest = std::max(longest, now - since);
        throttle.spend(size, now);
        bytes += size;
      }
      EXPECT_LE(longest, WriteThrottle::hold_max);
      const std::uint64_t paid = rate * 20 + rate / 5 + size;
      const std::uint64_t by_age = 22 * size;  // one a second enters whatever the rate
      EXPECT_LE(bytes, std::max(paid, by_age)) << rate << " " << size;
      EXPECT_GE(bytes, rate * 18) << rate << " " << size;
    }
  }
}

TEST(WriteThrottle, P129_is_nothing_while_it_is_off) {
  WriteThrottle throttle;
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_TRUE(throttle.open(Instant{7}, Instant{7}));
    throttle.spend(1'000'000'000, Instant{7});
  }
  throttle.set(1'000, Instant{8});
  throttle.spend(1'000'000, Instant{8});
  EXPECT_FALSE(throttle.open(Instant{9}, Instant{9}));
  throttle.set(std::nullopt, Instant{9});
  EXPECT_TRUE(throttle.open(Instant{9}, Instant{9}));
}

TEST(ByteMarks, P128_old_records_have_nearly_their_own_sizes) {
  std::vector<std::uint64_t> exact{0};
  ByteMarks marks;
  for (std::uint64_t lsn = 1; lsn <= 300'000; ++lsn) {
    const std::uint64_t size = lsn / 50'000 % 2 == 0 ? block : 64 * block;  // two kinds of writers
    exact.push_back(exact.back() + size);
    marks.add(Lsn{lsn}, exact.back());
  }
  const ByteMarks::Mark end{Lsn{300'000}, exact.back()};
  for (std::uint64_t lsn = 1'000; lsn < 300'000; lsn += 997) {
    const auto upto = marks.upto(Lsn{lsn}, end);
    ASSERT_TRUE(upto.has_value());
    const std::uint64_t off = std::max(*upto, exact[lsn]) - std::min(*upto, exact[lsn]);
    EXPECT_LE(off, exact.back() / 100) << lsn;
  }
  EXPECT_FALSE(marks.upto(Lsn{0}, end).has_value());
}

}  // namespace
}  // namespace seawall
