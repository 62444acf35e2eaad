#include "engine/base/bounded_vector.h"

#include <gtest/gtest.h>

#include <memory>
#include <type_traits>

namespace seawall {
namespace {

static_assert(std::is_trivially_copyable_v<BoundedVector<int, 4>>);

TEST(BoundedVector, KeepsOrderThroughInsertAndErase) {
  BoundedVector<int, 4> v{1, 3, 4};
  v.insert_at(1, 2);
  EXPECT_EQ(v, (BoundedVector<int, 4>{1, 2, 3, 4}));
  v.erase_at(0);
  v.erase_at(2);
  EXPECT_EQ(v, (BoundedVector<int, 4>{2, 3}));
}

TEST(BoundedVector, EraseIfKeepsTheOthersInOrder) {
  BoundedVector<int, 8> v{1, 2, 3, 4, 5, 6};
  EXPECT_EQ(v.erase_if([](int value) { return value % 2 == 0; }), 3U);
  EXPECT_EQ(v, (BoundedVector<int, 8>{1, 3, 5}));
}

TEST(BoundedVector, TryPushBackAnswersFalseWhenFull) {
  BoundedVector<int, 1> v;
  EXPECT_TRUE(v.try_push_back(1));
  EXPECT_FALSE(v.try_push_back(2));
  EXPECT_EQ(v.back(), 1);
}

TEST(BoundedVector, ReleasesWhatAnElementOwned) {
  BoundedVector<std::shared_ptr<int>, 2> v;
  const auto owned = std::make_shared<int>(1);
  v.push_back(owned);
  v.push_back(owned);
  EXPECT_EQ(owned.use_count(), 3);
  v.erase_at(0);
  EXPECT_EQ(owned.use_count(), 2);
  v.clear();
  EXPECT_EQ(owned.use_count(), 1);
}

TEST(BoundedVector, GrowsWithFreshElements) {
  BoundedVector<int, 4> v{7, 8};
  v.clear();
  v.resize(2);
  EXPECT_EQ(v, (BoundedVector<int, 4>{0, 0}));
}

TEST(BoundedVectorDeathTest, OverflowIsABug) {
  BoundedVector<int, 1> v{1};
  EXPECT_DEATH(v.push_back(2), "CHECK failed");
}

TEST(BoundedVectorDeathTest, AccessBeyondTheEndIsABug) {
  BoundedVector<int, 4> v{1};
  EXPECT_DEATH(static_cast<void>(v[1]), "CHECK failed");
  EXPECT_DEATH(static_cast<void>((BoundedVector<int, 4>{}.back())), "CHECK failed");
}

}  // namespace
}  // namespace seawall
