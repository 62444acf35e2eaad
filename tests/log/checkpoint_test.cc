#include "tests/log/rig.h"

namespace seawall::wal {
namespace {

// Writes, flushes, folds; the volume always equals the model.
void write_and_fold(Rig& rig, Prng& prng, int records) {
  for (int i = 0; i < records; ++i) {
    ASSERT_TRUE(rig.write_any(prng));
    if (prng.below(5) == 0) rig.run();
  }
  rig.flush();
  rig.settle_stable();
  rig.store->request_checkpoint();
  rig.run();
}

TEST(WalCheckpoint, W17_base_equals_the_model_after_each_fold) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  Prng prng(17);
  for (int round = 0; round < 40; ++round) {
    write_and_fold(rig, prng, 20);
    ASSERT_EQ(rig.store->facts().marks.applied, rig.last());
    ASSERT_EQ(rig.sink.failures, 0);
    rig.expect_content(rig.last());
  }
  EXPECT_EQ(rig.sink.checkpoints, 40);
  EXPECT_GT(rig.store->facts().marks.trimmed, Lsn(100));
  rig.close();
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().marks.applied, rig.last());
  rig.expect_content(rig.last());
}

TEST(WalCheckpoint, W01_rolls_over_a_thousand_segments_in_numeric_order) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  Prng prng(1);
  for (int round = 0; round < 600; ++round) {
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(rig.write(prng.below(500), 4));
    rig.flush();
    rig.settle_stable();
    if (round % 3 == 0) rig.store->request_checkpoint();
    rig.run();
    if (round == 11 || round == 101 || round == 599) {
      rig.expect_content(rig.last());
      rig.close();
      ASSERT_TRUE(rig.open().has_value());
      rig.settle_stable();
      rig.expect_content(rig.last());
    }
  }
}

TEST(WalCheckpoint, W26_a_log_that_nobody_flushes_stays_bounded_by_its_own_barrier) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  Prng prng(26);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    if (rig.write(prng.below(500), 3)) {
      rig.pump();
      rig.disk->run_any(prng);
      continue;
    }
    ++refused;
    rig.store->flush();  // the owner's barrier, not a client's
    rig.run();
    rig.settle_stable();
    rig.run();
  }
  rig.run();
  EXPECT_GT(refused, 0);
  EXPECT_GT(rig.sink.space_events, 0);
  EXPECT_EQ(rig.sink.failures, 0);
  rig.expect_content(rig.last());
}

TEST(WalCheckpoint, M66_nothing_beyond_the_fold_limit_reaches_the_base) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  for (std::uint64_t i = 0; i < 20; ++i) ASSERT_TRUE(rig.write(i));
  rig.flush();
  rig.store->set_fold_limit(Lsn(12));
  rig.store->request_checkpoint();
  rig.run();
  EXPECT_EQ(rig.store->facts().marks.applied, Lsn(12));
  EXPECT_EQ(rig.store->folded().lsn, Lsn(12));
  EXPECT_EQ(rig.store->folded().chain, rig.header(Lsn(12)).chain);
  ASSERT_TRUE(rig.write(30));
  rig.run();  // written, not flushed
  rig.store->set_fold_limit(rig.last());
  rig.store->request_checkpoint();
  rig.run();
  EXPECT_EQ(rig.store->facts().marks.applied, Lsn(20));
  rig.expect_content(rig.last());
}

Errc read_one(Rig& rig, Lsn lsn, RecordHeader& header) {
  AlignedBuffer into(4 * 4096);
  std::uint32_t crcs[4];
  LogReadOp op;
  op.from = lsn;
  op.upto = lsn;
  op.into = into.span();
  op.headers = {&header, 1};
  op.crcs = crcs;
  op.done = [](LogReadOp&) {};
  rig.store->read_log(op);
  rig.run();
  return op.result;
}

// One record a batch, seven batches a segment.
void write_single(Rig& rig, int records) {
  for (int i = 0; i < records; ++i) {
    ASSERT_TRUE(rig.write(rig.last().value() % 400));
    rig.run();
  }
  rig.flush();
  rig.settle_stable();
  rig.store->request_checkpoint();
  rig.run();
}

TEST(WalCheckpoint, W02_trim_stops_at_the_oldest_pin_and_goes_on_without_it) {
  for (std::uint64_t pinned = 1; pinned <= 60; ++pinned) {
    Rig rig;
    rig.keep_log_percent = 0;  // a trim at each commit
    ASSERT_TRUE(rig.open().has_value());
    SuperUpdate update;
    update.promised = Epoch(3);
    rig.store->write_super(update, 1);
    rig.store->pin(1, Lsn(pinned));
    rig.store->pin(2, Lsn(60));
    for (int round = 0; round < 4; ++round) write_single(rig, 20);
    const Lsn trimmed = rig.store->facts().marks.trimmed;
    EXPECT_LT(trimmed, Lsn(pinned));
    EXPECT_GE(trimmed.value() + 7, pinned - 1) << "a whole segment below the pin was kept";
    RecordHeader header;
    EXPECT_EQ(read_one(rig, Lsn(pinned), header), Errc::ok);
    EXPECT_EQ(header, rig.header(Lsn(pinned)));
    rig.store->unpin(1);
    write_single(rig, 5);
    EXPECT_LT(rig.store->facts().marks.trimmed, Lsn(60));
    EXPECT_GE(rig.store->facts().marks.trimmed, Lsn(52));
    rig.store->unpin(2);
    write_single(rig, 5);
    EXPECT_GE(rig.store->facts().marks.trimmed, Lsn(82));
    EXPECT_EQ(read_one(rig, Lsn(60), header), Errc::not_found);
    rig.expect_content(rig.last());
    rig.close();
    ASSERT_TRUE(rig.open().has_value());  // W04: continuity holds over the reopen
    EXPECT_EQ(rig.store->facts().promised, Epoch(3));
    write_single(rig, 20);
    rig.expect_content(rig.last());
  }
}

TEST(WalCheckpoint, AFrozenBaseRestsAndEveryExtentOfItComesOut) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  Prng prng(3);
  write_and_fold(rig, prng, 60);
  const Lsn cut = rig.last();
  rig.store->freeze_base();
  EXPECT_TRUE(rig.store->frozen());
  write_and_fold(rig, prng, 30);
  EXPECT_EQ(rig.store->facts().marks.applied, cut);
  AlignedBuffer into(64 * 1024);
  std::uint32_t crcs[16];
  std::vector<std::byte> wanted(4096);
  std::uint64_t mapped = 0;
  for (Lba from(0);;) {
    BaseReadOp op;
    op.from = from;
    op.into = into.span();
    op.crcs = crcs;
    op.done = [](BaseReadOp&) {};
    rig.store->read_base(op);
    rig.run();
    ASSERT_EQ(op.result, Errc::ok);
    if (op.end) break;
    mapped += op.header.present != 0 ? 1 : 0;
    std::size_t packed = 0;
    for (std::uint64_t i = 0; i < 16; ++i) {
      fill_block(wanted.data(), rig.expected(cut, op.header.lba.value() + i));
      if ((op.header.present >> i & 1) == 0) {
        EXPECT_EQ(rig.expected(cut, op.header.lba.value() + i), 0u);
        continue;
      }
      EXPECT_EQ(std::memcmp(wanted.data(), into.data() + packed * 4096, 4096), 0);
      ++packed;
    }
    from = op.header.lba + BlockCount(1);  // an extent begins at or after `from`, or is no answer
  }
  EXPECT_EQ(mapped, rig.store->extents_mapped());
  rig.store->thaw_base();
  rig.run();
  EXPECT_EQ(rig.store->facts().marks.applied, rig.last());
  rig.expect_content(rig.last());
}

TEST(WalCheckpoint, ReadsDuringACheckpointAreRight) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  Prng prng(4);
  std::vector<std::byte> wanted(4096);
  AlignedBuffer block(4096);
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 15; ++i) ASSERT_TRUE(rig.write_any(prng));
    rig.flush();
    rig.settle_stable();
    rig.store->request_checkpoint();
    for (int i = 0; i < 20; ++i) {
      rig.run_in_any_order(prng, 3);
      const std::uint64_t lba = prng.below(500);
      ASSERT_EQ(rig.read_block(lba, block.data()), Errc::ok);
      fill_block(wanted.data(), rig.expected(rig.last(), lba));
      ASSERT_EQ(std::memcmp(block.data(), wanted.data(), 4096), 0);
    }
    rig.run();
  }
}

}  // namespace
}  // namespace seawall::wal
