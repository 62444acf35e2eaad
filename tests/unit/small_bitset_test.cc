#include "engine/base/small_bitset.h"

#include <gtest/gtest.h>

#include <vector>

namespace seawall {
namespace {

using Set = SmallBitset<7>;

TEST(SmallBitset, CountsAndIteratesInAscendingOrder) {
  Set set;
  set.set(5);
  set.set(0);
  set.set(3);
  set.reset(3);
  EXPECT_EQ(set.count(), 2U);
  EXPECT_EQ(set.find_first(), 0U);
  std::vector<std::size_t> seen;
  set.for_each([&](std::size_t number) { seen.push_back(number); });
  EXPECT_EQ(seen, (std::vector<std::size_t>{0, 5}));
}

TEST(SmallBitset, SetAlgebra) {
  const Set a = Set::from_word(0b0111);
  const Set b = Set::from_word(0b1100);
  EXPECT_EQ((a | b).word(), 0b1111U);
  EXPECT_EQ((a & b).word(), 0b0100U);
  EXPECT_EQ((a - b).word(), 0b0011U);
  EXPECT_TRUE(a.intersects(b));
  EXPECT_FALSE(a.contains_all(b));
  EXPECT_TRUE(Set::first(7).contains_all(a | b));
}

TEST(SmallBitset, EmptySetHasNoFirst) { EXPECT_EQ(Set().find_first(), Set::capacity()); }

TEST(SmallBitset, HoldsSixtyFourNumbers) {
  SmallBitset<64> set = SmallBitset<64>::first(64);
  EXPECT_EQ(set.count(), 64U);
  EXPECT_TRUE(set.test(63));
}

TEST(SmallBitsetDeathTest, NumberBeyondTheEndIsABug) {
  Set set;
  EXPECT_DEATH(set.set(7), "CHECK failed");
  EXPECT_DEATH(Set::from_word(0x80), "CHECK failed");
}

}  // namespace
}  // namespace seawall
