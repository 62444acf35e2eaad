#include "engine/base/ring_buffer.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "engine/base/prng.h"

namespace seawall {
namespace {

TEST(RingBuffer, BehavesLikeADeque) {
  Prng prng(2);
  RingBuffer<std::uint64_t, 5> ring;
  std::deque<std::uint64_t> twin;
  for (int step = 0; step < 10'000; ++step) {
    const std::uint64_t value = prng.next();
    switch (prng.below(5)) {
      case 0:
        if (!twin.empty()) {
          EXPECT_EQ(ring.pop_front(), twin.front());
          twin.pop_front();
        }
        break;
      case 1:
        if (!twin.empty()) {
          EXPECT_EQ(ring.pop_back(), twin.back());
          twin.pop_back();
        }
        break;
      default:
        EXPECT_EQ(ring.try_push_back(value), twin.size() < 5);
        if (twin.size() < 5) twin.push_back(value);
        break;
    }
    ASSERT_EQ(ring.size(), twin.size());
    std::size_t index = 0;
    for (const std::uint64_t item : ring) ASSERT_EQ(item, twin[index++]);
    ASSERT_EQ(index, twin.size());
  }
}

TEST(RingBuffer, ReleasesWhatAnElementOwned) {
  RingBuffer<std::shared_ptr<int>, 2> ring;
  const auto owned = std::make_shared<int>(1);
  ring.push_back(owned);
  ring.push_back(owned);
  static_cast<void>(ring.pop_front());
  EXPECT_EQ(owned.use_count(), 2);
  ring.clear();
  EXPECT_EQ(owned.use_count(), 1);
}

TEST(RingBufferDeathTest, OverflowAndUnderflowAreBugs) {
  RingBuffer<int, 1> ring;
  EXPECT_DEATH(ring.pop_front(), "CHECK failed");
  EXPECT_DEATH(static_cast<void>(ring.back()), "CHECK failed");
  ring.push_back(1);
  EXPECT_DEATH(ring.push_back(2), "CHECK failed");
}

}  // namespace
}  // namespace seawall
