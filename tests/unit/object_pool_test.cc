#include "engine/base/object_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace seawall {
namespace {

TEST(ObjectPool, HandsOutEachObjectOnce) {
  ObjectPool<int, 3> pool;
  std::set<int*> taken;
  for (int i = 0; i < 3; ++i) taken.insert(pool.take());
  EXPECT_EQ(taken.size(), 3U);
  EXPECT_EQ(taken.count(nullptr), 0U);
  EXPECT_EQ(pool.take(), nullptr);
  EXPECT_EQ(pool.available(), 0U);
}

TEST(ObjectPool, GivesBackFreshObjects) {
  ObjectPool<int, 1> pool;
  int* item = pool.take();
  *item = 7;
  pool.give_back(item);
  EXPECT_EQ(*pool.take(), 0);
  EXPECT_EQ(pool.in_use(), 1U);
}

TEST(ObjectPool, FindsAnObjectByItsIndex) {
  ObjectPool<int, 4> pool;
  static_cast<void>(pool.take());
  int* item = pool.take();
  EXPECT_EQ(&pool.at(pool.index_of(item)), item);
}

TEST(ObjectPoolDeathTest, SecondReturnAndForeignObjectsAreBugs) {
  ObjectPool<int, 2> pool;
  int* item = pool.take();
  pool.give_back(item);
  EXPECT_DEATH(pool.give_back(item), "CHECK failed");
  EXPECT_DEATH(static_cast<void>(pool.at(0)), "CHECK failed");
  int foreign = 0;
  EXPECT_DEATH(pool.give_back(&foreign), "CHECK failed");
}

}  // namespace
}  // namespace seawall
