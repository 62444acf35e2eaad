// What is held for a peer, by a pin of the log or a frozen base, and a discard of everything.
#include "tests/log/large_rig.h"

namespace seawall::wal {
namespace {

// One record a batch, one batch at a time: segments of seven records.
void write_and_fold(Rig& rig, int records) {
  for (int i = 0; i < records; ++i) {
    ASSERT_TRUE(rig.write(rig.last().value() % 400));
    rig.run();
  }
  fold(rig);
}

// The reservation begins at c + 1. A trim to c goes, one to c + 1 waits, wherever c lies in its
// segment; every acknowledgement in between finds the record that it stands for.
TEST(WalHeld, P140_a_trim_goes_to_the_reservation_and_not_beyond) {
  for (std::uint64_t c = 1; c <= 40; ++c) {
    SCOPED_TRACE(c);
    Rig rig;
    rig.keep_log_percent = 0;  // whatever may go goes
    ASSERT_TRUE(rig.open().has_value());
    rig.store->pin(1, Lsn(c + 1));
    ASSERT_NO_FATAL_FAILURE(write_and_fold(rig, 60));
    const Lsn trimmed = rig.store->facts().marks.trimmed;
    ASSERT_LE(trimmed, Lsn(c));
    EXPECT_GE(trimmed.value() + 7, c) << "what may go has gone, by segments";
    for (Lsn lsn(c + 1); lsn <= rig.last(); lsn = lsn.next()) {
      ASSERT_NO_FATAL_FAILURE(expect_served(rig, lsn));
    }
    // A durable acknowledgement moves it on, record by record; each next one is there.
    for (Lsn from(c + 2); from <= Lsn(55); from = from.next()) {
      rig.store->pin(1, from);
      rig.run();
      ASSERT_LT(rig.store->facts().marks.trimmed, from);
      ASSERT_NO_FATAL_FAILURE(expect_served(rig, from));
    }
    ASSERT_NO_FATAL_FAILURE(write_and_fold(rig, 8));
    ASSERT_LT(rig.store->facts().marks.trimmed, Lsn(55));
    ASSERT_NO_FATAL_FAILURE(expect_served(rig, Lsn(55)));
    rig.store->unpin(1);
    ASSERT_NO_FATAL_FAILURE(write_and_fold(rig, 8));
    EXPECT_GE(rig.store->facts().marks.trimmed, Lsn(55));
  }
}

// Overwrites, discards, flushes and wishes for a checkpoint go on, in a drawn order of completions,
// between the columns and while one is read.
void disturb(Rig& rig, Prng& prng, int steps) {
  for (int i = 0; i < steps; ++i) {
    MAYBE(rig.write_any(prng));
    rig.store->flush();
    rig.settle_stable();
    rig.store->request_checkpoint();
    rig.run_in_any_order(prng, 4);
  }
}

TEST(WalHeld, P104_each_block_of_a_frozen_base_is_the_fold_at_its_cut) {
  std::vector<std::byte> wanted(4096);
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    Rig rig(512, 4 << 20, 16 * 1024);
    rig.large_blocks = large;
    rig.large_extent_blocks = per_extent;
    Prng prng(seed);
    ASSERT_TRUE(rig.open().has_value());
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(rig.write_any(prng));
    fold(rig);
    rig.store->freeze_base();
    disturb(rig, prng, 5);
    ASSERT_TRUE(rig.store->frozen());
    const Lsn cut = rig.store->folded().lsn;
    std::vector<bool> seen(512, false);
    for (Lba from(0);;) {
      AlignedBuffer into(16 * 1024);
      std::uint32_t crcs[per_extent];
      bool done = false;
      BaseReadOp op;
      op.from = from;
      op.into = into.span();
      op.crcs = crcs;
      op.owner = &done;
      op.done = [](BaseReadOp& read) { *static_cast<bool*>(read.owner) = true; };
      rig.store->read_base(op);
      for (int i = 0; i < 1000 && !done; ++i) disturb(rig, prng, 1);
      ASSERT_TRUE(done);
      ASSERT_EQ(op.result, Errc::ok);
      ASSERT_EQ(rig.store->folded().lsn, cut);
      if (op.end) break;
      ASSERT_LE(op.header.last_lsn, cut) << "no block is newer than the cut";
      std::size_t packed = 0;
      for (std::uint64_t i = 0; i < per_extent; ++i) {
        const std::uint64_t lba = op.header.lba.value() + i;
        seen[lba] = true;
        fill_block(wanted.data(), rig.expected(cut, lba));
        if ((op.header.present >> i & 1) == 0) {
          ASSERT_EQ(rig.expected(cut, lba), 0u);
          continue;
        }
        ASSERT_EQ(crcs[packed], crc32c_block(wanted.data()));
        ASSERT_EQ(std::memcmp(wanted.data(), into.data() + packed * 4096, 4096), 0);
        ++packed;
      }
      from = op.header.lba + BlockCount(1);
    }
    for (std::uint64_t lba = 0; lba < 512; ++lba) {
      if (seen[lba]) continue;
      ASSERT_EQ(rig.expected(cut, lba), 0u) << "block " << lba << " was left out";
    }
    // Dying there leaves a prefix, and nothing that is held.
    const Lsn durable = rig.sink.durable;
    rig.lose_power(prng);
    ASSERT_TRUE(rig.open().has_value());
    ASSERT_GE(rig.store->facts().marks.written, durable);
    EXPECT_EQ(rig.store->facts().damage, Damage::none);
    rig.expect_content(rig.store->facts().marks.written);
    rig.sink.durable = rig.store->facts().marks.durable;
    fold(rig);
    EXPECT_EQ(rig.store->facts().marks.applied, rig.last()) << "a freeze ends with its process";
    rig.expect_content(rig.last());
    rig.close();
    expect_exact_space(*rig.disk);
  }
}

// More pages of the map than the cache holds, every one with an extent, all of it in one record.
TEST(WalHeld, W48_a_discard_of_the_whole_volume_is_one_block_of_log_and_each_page_once) {
  constexpr std::uint64_t blocks = limits::discard_bytes_max / 4096;
  Rig rig(blocks, 1 << 20, 16 * 1024);
  ASSERT_TRUE(rig.open().has_value());
  Layout layout;
  layout.size_blocks = blocks;
  layout.extent_bytes = 16 * 1024;
  layout.segment_bytes = 64 * 1024;
  layout.segment_count = 16;
  ASSERT_GT(layout.entry_pages(), 512u) << "the cache holds that many";
  const std::uint64_t stride = std::uint64_t{layout.entries_per_page()} * per_extent;
  for (std::uint64_t lba = 0; lba < blocks; lba += stride) {
    ASSERT_TRUE(rig.write(lba));
    if (lba / stride % 64 == 0) fold(rig);
  }
  fold(rig);
  ASSERT_EQ(rig.store->extents_mapped(), (blocks + stride - 1) / stride);
  const StoreStats before = rig.store->stats();
  ASSERT_TRUE(rig.discard(0, blocks));
  rig.run();
  EXPECT_EQ(rig.store->stats().log_bytes - before.log_bytes, 4096u);
  const auto crashed = rig.disk->clone();
  fold(rig);
  const StoreStats after = rig.store->stats();
  EXPECT_EQ(rig.store->facts().marks.applied, rig.last());
  EXPECT_EQ(rig.store->extents_mapped(), 0u);
  EXPECT_EQ(after.checkpoints - before.checkpoints, 1u);
  EXPECT_LE(after.super_writes - before.super_writes, 4u);
  // Pages of bits may go out more than once, each time that the cache makes room.
  EXPECT_LE(after.base_bytes - before.base_bytes, layout.entry_pages() * 4096 * 5 / 4);
  rig.expect_content(rig.last());
  rig.close();
  expect_exact_space(*rig.disk);
  // Cut off in the middle and done again.
  for (const std::uint64_t changes : {3u, 200u, 560u, 900u}) {
    Rig again(blocks, 1 << 20, 16 * 1024);
    again.adopt(rig);
    again.disk = crashed->clone();
    Prng prng(changes);
    ASSERT_TRUE(again.open().has_value());
    again.sink.durable = again.last();
    again.disk->stop_after(changes);
    fold(again);
    again.lose_power(prng);
    ASSERT_TRUE(again.open().has_value());
    again.sink.durable = again.last();
    fold(again);
    EXPECT_EQ(again.store->extents_mapped(), 0u);
    again.expect_content(again.last());
    again.close();
    expect_exact_space(*again.disk);
  }
}

}  // namespace
}  // namespace seawall::wal
