#include "engine/base/prng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <span>

namespace seawall {
namespace {

TEST(Prng, SeedMeansTheSameForEver) {
  // splitmix64(0) gives the published state e220a8397b1dcdaf ...; the draws follow from it.
  Prng prng(0);
  EXPECT_EQ(prng.next(), 0x99ec5f36cb75f2b4ULL);
  EXPECT_EQ(prng.next(), 0xbf6e1f784956452aULL);
  Prng again(0);
  again.next();
  again.next();
  EXPECT_EQ(again.next(), prng.next());
}

TEST(Prng, RangeReachesBothEndsAndStaysInside) {
  Prng prng(3);
  std::array<int, 4> hits{};
  for (int i = 0; i < 4'000; ++i) {
    const auto draw = prng.range(10, 13);
    ASSERT_GE(draw, 10U);
    ASSERT_LE(draw, 13U);
    ++hits[draw - 10];
  }
  for (const int count : hits) EXPECT_NEAR(count, 1'000, 150);
  static_cast<void>(prng.range(0, ~0ULL));
  EXPECT_EQ(prng.range(5, 5), 5U);
}

TEST(Prng, ChanceFollowsTheRatio) {
  Prng prng(4);
  int hits = 0;
  for (int i = 0; i < 10'000; ++i) {
    hits += prng.chance(percent(20)) ? 1 : 0;
    ASSERT_FALSE(prng.chance(Ratio{0, 1}));
    ASSERT_TRUE(prng.chance(Ratio{1, 1}));
  }
  EXPECT_NEAR(hits, 2'000, 200);
}

TEST(Prng, ShuffleIsAPermutation) {
  Prng prng(5);
  std::array<int, 50> items{};
  std::iota(items.begin(), items.end(), 0);
  const auto before = items;
  prng.shuffle(std::span(items));
  EXPECT_NE(items, before);
  EXPECT_TRUE(std::is_permutation(items.begin(), items.end(), before.begin()));
}

TEST(Prng, ForkIsIndependentOfLaterDraws) {
  Prng a(6);
  Prng b(6);
  Prng fork_a = a.fork();
  Prng fork_b = b.fork();
  a.next();
  EXPECT_EQ(fork_a.next(), fork_b.next());
}

TEST(PrngDeathTest, EmptyRangesAreBugs) {
  Prng prng(7);
  EXPECT_DEATH(prng.below(0), "CHECK failed");
  EXPECT_DEATH(prng.range(2, 1), "CHECK failed");
  EXPECT_DEATH(prng.chance(Ratio{2, 1}), "CHECK failed");
}

}  // namespace
}  // namespace seawall
