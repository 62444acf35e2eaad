#include "wal/named.h"

#include <gtest/gtest.h>

#include <deque>
#include <set>
#include <vector>

#include "engine/base/prng.h"

namespace seawall::wal {
namespace {

constexpr std::uint32_t blocks = 4;

std::vector<std::uint32_t> crcs_of(std::uint32_t extent) {
  return {extent * 10, extent * 10 + 1, extent * 10 + 2, extent * 10 + 3};
}

struct Known {
  Lsn lsn;
  std::uint32_t extent;
};

// Pushes and drops for many laps of the ring, beside a model that is only lists.
TEST(Named, AnswersAsAListOfRecordsWould) {
  Prng prng(1);
  Named named(50, blocks);
  std::deque<Known> model;
  std::uint64_t lsn = 0;
  for (int step = 0; step < 20000; ++step) {
    if (prng.below(3) > 0) {
      ++lsn;
      for (std::uint64_t left = prng.range(1, 6); left > 0; --left) {
        const auto extent = static_cast<std::uint32_t>(prng.below(90) * 4096);
        bool fits = model.size() < 50;
        for (const Known& known : model) fits = fits && known.extent != extent;
        ASSERT_EQ(named.push(Lsn(lsn), extent, crcs_of(extent)), fits);
        if (fits) model.push_back(Known{Lsn(lsn), extent});
      }
    } else {
      const Lsn below(lsn - std::min<std::uint64_t>(lsn, prng.below(12)));
      std::multiset<std::uint32_t> gone;
      named.drop_before(below, [&](std::uint32_t extent) { gone.insert(extent); });
      for (; !model.empty() && model.front().lsn < below; model.pop_front()) {
        ASSERT_EQ(gone.erase(model.front().extent), 1u);
      }
      ASSERT_TRUE(gone.empty());
    }
    ASSERT_EQ(named.size(), model.size());
    ASSERT_EQ(named.room(), 50 - model.size());
    std::set<std::uint32_t> held;
    for (const Known& known : model) held.insert(known.extent);
    for (std::uint32_t i = 0; i < 90; ++i) {
      ASSERT_EQ(named.contains(i * 4096), held.contains(i * 4096));
    }
  }
}

// A place goes on behind its first block, over the end of the ring, too.
TEST(Named, PlacesGoOnBlockByBlock) {
  Named named(7, blocks);
  for (std::uint64_t lsn = 1; lsn < 200; ++lsn) {
    named.drop_before(Lsn(lsn - 1), [](std::uint32_t) {});
    const auto base = static_cast<std::uint32_t>(lsn * 3);
    for (std::uint32_t i = 0; i < 3; ++i) {
      ASSERT_TRUE(named.push(Lsn(lsn), base + i, crcs_of(base + i)));
    }
    const std::uint32_t place = named.place_of(Lsn(lsn));
    ASSERT_TRUE(Named::is_place(place));
    for (std::uint32_t block = 0; block < 3 * blocks; ++block) {
      const std::uint32_t extent = base + block / blocks;
      ASSERT_EQ(named.base_block(place + block), std::uint64_t{extent} * blocks + block % blocks);
      ASSERT_EQ(named.crc(place + block), extent * 10 + block % blocks);
    }
    EXPECT_EQ(named.beyond(Lsn(lsn - 1)), 3u);
    EXPECT_EQ(named.place_of(Lsn(lsn + 1)), Named::no_place);
  }
}

TEST(Named, NoPlaceOfTheLogIsOneOfThese) {
  EXPECT_FALSE(Named::is_place(0));
  EXPECT_FALSE(Named::is_place(262143));  // the last block of the largest log
  EXPECT_FALSE(Named::is_place(Named::no_place));
  Named none(0, blocks);
  EXPECT_EQ(none.room(), 0u);
  EXPECT_FALSE(none.push(Lsn(1), 1, crcs_of(1)));
}

}  // namespace
}  // namespace seawall::wal
