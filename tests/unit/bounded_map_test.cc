#include "engine/base/bounded_map.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <vector>

#include "engine/base/prng.h"

namespace seawall {
namespace {

TEST(BoundedMap, IteratesInKeyOrder) {
  BoundedMap<int, int, 8> map;
  for (const int key : {5, 1, 4, 2}) map.insert(key, key * 10);
  std::vector<int> keys;
  for (const auto& [key, value] : map) {
    EXPECT_EQ(value, key * 10);
    keys.push_back(key);
  }
  EXPECT_EQ(keys, (std::vector<int>{1, 2, 4, 5}));
}

TEST(BoundedMap, TryInsertRefusesWhenFullAndWhenTheKeyIsThere) {
  BoundedMap<int, int, 2> map;
  EXPECT_NE(map.try_insert(1, 1), nullptr);
  EXPECT_EQ(map.try_insert(1, 2), nullptr);
  EXPECT_EQ(map.at(1), 1);
  EXPECT_NE(map.try_insert(2, 2), nullptr);
  EXPECT_EQ(map.try_insert(3, 3), nullptr);
}

TEST(BoundedMap, BehavesLikeAStdMap) {
  Prng prng(1);
  BoundedMap<std::uint64_t, std::uint64_t, 16> map;
  std::map<std::uint64_t, std::uint64_t> twin;
  for (int step = 0; step < 20'000; ++step) {
    const std::uint64_t key = prng.below(24);
    const std::uint64_t value = prng.next();
    switch (prng.below(4)) {
      case 0: {
        const bool fits = twin.size() < 16 && !twin.contains(key);
        if (fits) twin.emplace(key, value);
        EXPECT_EQ(map.try_insert(key, value) != nullptr, fits);
        break;
      }
      case 1:
        if (twin.size() < 16 || twin.contains(key)) {
          twin[key] = value;
          map.insert_or_assign(key, value);
        }
        break;
      case 2: EXPECT_EQ(map.erase(key), twin.erase(key) == 1); break;
      default: EXPECT_EQ(map.contains(key), twin.contains(key)); break;
    }
    ASSERT_EQ(map.size(), twin.size());
    auto expected = twin.begin();
    for (const auto& [k, v] : map) {
      ASSERT_EQ(k, expected->first);
      ASSERT_EQ(v, expected->second);
      ++expected;
    }
  }
}

TEST(BoundedMap, EraseIfSeesKeyAndValue) {
  BoundedMap<int, int, 4> map;
  for (int key = 0; key < 4; ++key) map.insert(key, 4 - key);
  EXPECT_EQ(map.erase_if([](int key, int value) { return key > value; }), 1U);
  EXPECT_FALSE(map.contains(3));
}

TEST(BoundedMapDeathTest, MissingKeyAndOverflowAreBugs) {
  BoundedMap<int, int, 1> map;
  EXPECT_DEATH(static_cast<void>(map.at(1)), "CHECK failed");
  map.insert(1, 1);
  EXPECT_DEATH(map.insert(1, 2), "CHECK failed");
  EXPECT_DEATH(map.insert_or_assign(2, 2), "CHECK failed");
}

}  // namespace
}  // namespace seawall
