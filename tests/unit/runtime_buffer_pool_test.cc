#include <algorithm>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/prng.h"
#include "node/runtime/buffer_pool.h"

namespace seawall::runtime {
namespace {

constexpr std::size_t MiB = 1024 * 1024;

TEST(BufferPool, GivesExactlyTheBytesAskedFor) {
  BufferPool pool(MiB);
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{4096}, std::size_t{4097}, MiB}) {
    const Slot slot = pool.take(bytes);
    ASSERT_NE(slot, no_slot);
    EXPECT_EQ(pool.bytes(slot).size(), bytes);
    EXPECT_EQ(pool.crcs(slot).size(), (bytes + 4095) / 4096);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pool.bytes(slot).data()) % 4096, 0u);
    pool.unref(slot);
  }
  EXPECT_EQ(pool.free_bytes(), MiB);
}

TEST(BufferPool, AFullPoolAnswersNoSlotAndServesAgainAfterAReturn) {
  BufferPool pool(MiB);
  std::vector<Slot> slots;
  for (Slot slot = pool.take(4096); slot != no_slot; slot = pool.take(4096)) slots.push_back(slot);
  EXPECT_EQ(slots.size(), 256u);
  EXPECT_EQ(pool.free_bytes(), 0u);
  EXPECT_EQ(pool.take(1), no_slot);
  pool.unref(slots.back());
  slots.back() = pool.take(4096);
  EXPECT_NE(slots.back(), no_slot);
  for (const Slot slot : slots) pool.unref(slot);
  EXPECT_EQ(pool.in_use(), 0u);
  const Slot whole = pool.take(MiB);  // every split was undone
  EXPECT_NE(whole, no_slot);
  pool.unref(whole);
}

TEST(BufferPool, AFragmentedPoolRefusesTheLargeAndServesTheSmall) {
  BufferPool pool(MiB);
  const Slot low = pool.take(512 * 1024);
  const Slot high = pool.take(4096);
  pool.unref(low);
  EXPECT_EQ(pool.take(MiB), no_slot);
  const Slot half = pool.take(512 * 1024);
  EXPECT_NE(half, no_slot);
  pool.unref(half);
  pool.unref(high);
}

TEST(BufferPool, TheLastReferenceReturnsTheMemory) {
  BufferPool pool(MiB);
  const Slot slot = pool.take(8192);
  pool.ref(slot);
  pool.unref(slot);
  EXPECT_EQ(pool.in_use(), 1u);
  EXPECT_EQ(pool.bytes(slot).size(), 8192u);
  pool.unref(slot);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(BufferPoolDeathTest, AStaleSlotIsNoticedAlthoughItsMemoryIsTakenAgain) {
  BufferPool pool(MiB);
  const Slot old = pool.take(4096);
  pool.unref(old);
  const Slot fresh = pool.take(4096);
  ASSERT_EQ(pool.bytes(fresh).data(), pool.arena().data());  // the same memory
  EXPECT_DEATH(pool.unref(old), "");
  EXPECT_DEATH(static_cast<void>(pool.bytes(old)), "");
  pool.unref(fresh);
  EXPECT_DEATH(pool.unref(fresh), "");
}

TEST(BufferPool, AReferenceThatGoesOutOfScopeIsGivenBack) {
  BufferPool pool(MiB);
  {
    SlotRef first(pool, pool.take(4096));
    SlotRef second = std::move(first);
    EXPECT_FALSE(first);
    EXPECT_EQ(pool.in_use(), 1u);
  }
  EXPECT_EQ(pool.in_use(), 0u);
  SlotRef kept(pool, pool.take(4096));
  const Slot slot = kept.release();
  EXPECT_EQ(pool.in_use(), 1u);
  pool.unref(slot);
}

// Against a dumb twin: pieces never overlap, sizes add up, everything comes back.
TEST(BufferPool, RandomUseNeverHandsOutOverlappingPieces) {
  constexpr std::size_t chunks = 4;
  BufferPool pool(chunks * MiB);
  Prng prng(20261121);
  struct Piece {
    Slot slot;
    std::size_t begin, end;
    std::uint8_t stamp;
  };
  std::vector<Piece> pieces;
  for (int step = 0; step < 20000; ++step) {
    if (prng.chance(Ratio{1, 2})) {
      const std::size_t bytes = 1 + prng.below(std::size_t{1} << prng.range(1, 20));
      const Slot slot = pool.take(bytes);
      if (slot == no_slot) {
        EXPECT_LT(pool.free_bytes(), chunks * MiB);
        continue;
      }
      const auto span = pool.bytes(slot);
      const auto begin = static_cast<std::size_t>(span.data() - pool.arena().data());
      const Piece piece{slot, begin, begin + span.size(), static_cast<std::uint8_t>(step)};
      for (const Piece& other : pieces) {
        ASSERT_TRUE(piece.end <= other.begin || other.end <= piece.begin);
      }
      span.front() = span.back() = std::byte{piece.stamp};
      pieces.push_back(piece);
    } else if (!pieces.empty()) {
      const std::size_t index = prng.below(pieces.size());
      const auto span = pool.bytes(pieces[index].slot);
      ASSERT_EQ(span.front(), std::byte{pieces[index].stamp});
      ASSERT_EQ(span.back(), std::byte{pieces[index].stamp});
      pool.unref(pieces[index].slot);
      pieces[index] = pieces.back();
      pieces.pop_back();
    }
    ASSERT_EQ(pool.in_use(), pieces.size());
  }
  for (const Piece& piece : pieces) pool.unref(piece.slot);
  EXPECT_EQ(pool.free_bytes(), chunks * MiB);
}

}  // namespace
}  // namespace seawall::runtime
