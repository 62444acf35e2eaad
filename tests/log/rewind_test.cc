#include "tests/log/rig.h"

namespace seawall::wal {
namespace {

void fill(Rig& rig, int count) {
  for (int i = 0; i < count; ++i) {
    ASSERT_TRUE(rig.write(rig.last().value() * 3 % 400, 2));
    if (i % 3 == 0) rig.run();
  }
  rig.flush();
}

Status rewind(Rig& rig, Lsn to) {
  rig.store->quiesce();
  rig.run();
  return rig.store->rewind_blocking(to);
}

TEST(WalRewind, W45_to_every_lsn_then_other_records_and_a_reopen) {
  for (std::uint64_t to = 0; to <= 30; ++to) {
    SCOPED_TRACE(to);
    Rig rig;
    ASSERT_TRUE(rig.open().has_value());
    fill(rig, 30);
    ASSERT_TRUE(rewind(rig, Lsn(to)).has_value());
    EXPECT_EQ(rig.store->facts().marks.written, Lsn(to));
    EXPECT_EQ(rig.store->facts().marks.durable, Lsn(to));
    rig.expect_content(Lsn(to));
    rig.forget_beyond(Lsn(to));
    rig.generation = 1;
    ++rig.boot;
    rig.store.reset();
    ASSERT_TRUE(rig.open().has_value());
    EXPECT_EQ(rig.store->facts().damage, Damage::none) << "a shorter log is not a regressed one";
    EXPECT_EQ(rig.store->facts().marks.written, Lsn(to));
    fill(rig, 10);
    rig.expect_content(rig.last());
    rig.close();
    ASSERT_TRUE(rig.open().has_value());
    rig.expect_content(rig.last());
  }
}

// Seed 19 of the simulator: the disk says that it has written what it has not.
TEST(WalRewind, F08_W21_a_write_that_the_disk_loses_during_a_rewind_is_an_error_and_no_bug) {
  bool refused = false;
  for (std::uint64_t nth = 0; nth < 12; ++nth) {
    SCOPED_TRACE(nth);
    Rig rig;
    ASSERT_TRUE(rig.open().has_value());
    fill(rig, 30);
    MemDisk::Fault fault;
    fault.effect = MemDisk::Effect::lose;
    fault.skip = nth;
    fault.file = "log/";
    rig.disk->inject(fault);
    const Status done = rewind(rig, Lsn(17));
    rig.disk->clear_faults();
    const Watermarks& marks = rig.store->facts().marks;
    EXPECT_LE(marks.durable, marks.written);
    if (done) {
      EXPECT_EQ(marks.written, Lsn(17));
    }
    refused = refused || !done;
    rig.store.reset();
    const Status opened = rig.open();
    if (!opened) {
      EXPECT_EQ(opened.error().code, Errc::corrupt);
    }
  }
  EXPECT_TRUE(refused) << "no lost write was noticed: the test proves nothing";
}

TEST(WalRewind, W41_a_crash_at_each_step_leaves_the_old_or_the_new_log) {
  for (const bool power : {false, true}) {
    for (const std::uint64_t to : {3ull, 8ull, 17ull, 21ull}) {
      Rig filled;
      ASSERT_TRUE(filled.open().has_value());
      fill(filled, 30);
      filled.store->quiesce();
      filled.run();
      filled.store.reset();
      const auto image = filled.disk->clone();
      filled.keep_model = true;
      for (std::uint64_t stop = 1; stop < 80; ++stop) {
        SCOPED_TRACE(to * 1000 + stop + (power ? 100000 : 0));
        filled.disk = image->clone();
        ASSERT_TRUE(filled.open().has_value());
        Prng prng(stop * 31 + to);
        filled.disk->stop_after(stop);
        const bool done = rewind(filled, Lsn(to)).has_value();
        power ? filled.lose_power(prng) : filled.kill(prng);
        ASSERT_TRUE(filled.open().has_value());
        const Lsn end = filled.store->facts().marks.written;
        EXPECT_GE(end, Lsn(to)) << "what was flushed and kept is gone";
        EXPECT_EQ(filled.store->facts().damage, Damage::none);
        if (done) {
          EXPECT_EQ(end, Lsn(to)) << "rewound records are back";
        }
        filled.expect_content(end);
        if (HasFailure()) return;
        // Once decided it stays decided.
        filled.kill(prng);
        ASSERT_TRUE(filled.open().has_value());
        EXPECT_EQ(filled.store->facts().marks.written, end);
        filled.store.reset();
        if (done) break;
      }
    }
  }
}

TEST(WalRewind, W41_a_rotten_header_of_the_new_version_does_not_bring_rewound_records_back) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  fill(rig, 30);
  ASSERT_TRUE(rewind(rig, Lsn(17)).has_value());
  rig.close();
  // Rot in every segment header in turn.
  rig.keep_model = true;
  const auto image = rig.disk->clone();
  for (int slot = 0; slot < 16; ++slot) {
    rig.store.reset();
    rig.disk = image->clone();
    rig.disk->flip_bit("log/" + std::to_string(slot), 40, 2);
    ASSERT_TRUE(rig.open().has_value());
    EXPECT_LE(rig.store->facts().marks.written, Lsn(17));
    if (rig.store->facts().marks.written < Lsn(17)) {
      EXPECT_EQ(rig.store->facts().damage, Damage::regressed);
    }
    rig.expect_content(rig.store->facts().marks.written);
  }
}

TEST(WalRewind, BelowAppliedItIsRefused) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  fill(rig, 20);
  rig.store->set_fold_limit(Lsn(12));
  rig.store->request_checkpoint();
  rig.run();
  const Status refused = rewind(rig, Lsn(11));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::refused);
  EXPECT_TRUE(rig.write(300, 1)) << "a refusal changes nothing";
  rig.run();
  EXPECT_EQ(rig.sink.written, Lsn(21));
  EXPECT_TRUE(rewind(rig, Lsn(12)).has_value());
  rig.expect_content(Lsn(12));
}

TEST(WalRewind, WhatWasStableInTheOldHistoryIsNotFoldedFromTheNewOne) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  fill(rig, 20);
  rig.store->set_fold_limit(Lsn(18));
  ASSERT_TRUE(rewind(rig, Lsn(10)).has_value());
  rig.forget_beyond(Lsn(10));
  rig.generation = 1;
  fill(rig, 10);
  rig.store->request_checkpoint();
  rig.run();
  EXPECT_EQ(rig.store->folded().lsn, Lsn(10));
  RebuildMarker marker;
  marker.cut = Lsn(12);
  rig.store->set_fold_limit(Lsn(20));
  rig.store->quiesce();
  rig.run();
  const std::uint64_t chain = rig.header(Lsn(12)).chain;
  ASSERT_TRUE(
      rig.store->prepare_rebuild_blocking(marker, {}, Term(1), chain, {}, {}, false).has_value());
  rig.forget_beyond(Lsn(12));
  Errc flushed = Errc::internal;
  rig.store->flush_base([](void* owner, Errc result) { *static_cast<Errc*>(owner) = result; },
                        &flushed);
  fill(rig, 8);
  EXPECT_EQ(flushed, Errc::ok);
  rig.store->request_checkpoint();
  rig.run();
  EXPECT_EQ(rig.store->folded().lsn, Lsn(12));
  rig.store->set_fold_limit(Lsn(20));
  rig.run();
  EXPECT_EQ(rig.store->folded().lsn, Lsn(20));
  // Behind a fold no block of the base lane is taken any more.
  BaseWriteOp late;
  late.done = [](BaseWriteOp&) {};
  rig.store->write_base(late);
  rig.run();
  EXPECT_EQ(late.result, Errc::refused);
}

TEST(WalRewind, W43_an_open_intent_counts_as_applied) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  fill(rig, 20);
  rig.store->set_fold_limit(Lsn(12));
  rig.store->request_checkpoint();
  // The intent is stored, the fold never commits.
  for (int i = 0; i < 8; ++i) {
    rig.pump();
    rig.disk->run_one();
  }
  Prng prng(43);
  rig.kill(prng);
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().marks.applied, Lsn(12));
  EXPECT_EQ(rig.store->folded().lsn, Lsn(0));
  rig.store->freeze_base();
  EXPECT_FALSE(rig.store->frozen()) << "a freeze waits for the redo";
  EXPECT_FALSE(rewind(rig, Lsn(11)).has_value());
  rig.store.reset();
  rig.kill(prng);
  ASSERT_TRUE(rig.open().has_value());
  rig.store->freeze_base();
  rig.store->set_fold_limit(Lsn(12));
  rig.run();
  EXPECT_TRUE(rig.store->frozen());
  EXPECT_EQ(rig.store->folded().lsn, Lsn(12));
  rig.expect_content(Lsn(20));
}

// --- rebuild ---

struct Copied {
  ExtentHeader header;
  std::unique_ptr<AlignedBuffer> bytes;
  std::vector<std::uint32_t> crcs;
};

std::vector<Copied> copy_base(Rig& source) {
  std::vector<Copied> all;
  for (Lba from(0);;) {
    Copied extent{{}, std::make_unique<AlignedBuffer>(64 * 1024), std::vector<std::uint32_t>(16)};
    BaseReadOp op;
    op.from = from;
    op.into = extent.bytes->span();
    op.crcs = extent.crcs;
    op.done = [](BaseReadOp&) {};
    source.store->read_base(op);
    source.run();
    EXPECT_EQ(op.result, Errc::ok);
    if (op.end || op.result != Errc::ok) return all;
    extent.header = op.header;
    from = op.header.lba + BlockCount(16);
    all.push_back(std::move(extent));
  }
}

void paste_base(const std::vector<Copied>& extents, Rig& target) {
  for (const Copied& extent : extents) {
    BaseWriteOp op;
    op.header = extent.header;
    const auto blocks = static_cast<std::size_t>(__builtin_popcountll(extent.header.present));
    op.from = {extent.bytes->data(), blocks * 4096};
    op.crcs = {extent.crcs.data(), blocks};
    op.done = [](BaseWriteOp&) {};
    target.store->write_base(op);
    target.run();
    EXPECT_EQ(op.result, Errc::ok);
  }
  Errc flushed = Errc::internal;
  target.store->flush_base([](void* owner, Errc result) { *static_cast<Errc*>(owner) = result; },
                           &flushed);
  target.run();
  EXPECT_EQ(flushed, Errc::ok);
}

TEST(WalRebuild, BaseLaneAndLogLaneMakeAnEqualReplica) {
  Rig source;
  ASSERT_TRUE(source.open().has_value());
  fill(source, 60);
  ASSERT_TRUE(source.discard(3, 30));
  source.flush();
  source.settle_stable();
  source.store->request_checkpoint();
  source.run();
  const FoldedPoint cut = source.store->folded();
  source.store->freeze_base();

  Rig target;
  ASSERT_TRUE(target.open().has_value());
  target.generation = 5;
  fill(target, 25);  // another history, which must vanish
  target.settle_stable();
  target.store->request_checkpoint();
  target.run();
  target.store->quiesce();
  target.run();
  RebuildMarker marker;
  marker.session = SessionId{Epoch(4), 1};
  marker.cut = cut.lsn;
  ASSERT_TRUE(target.store
                  ->prepare_rebuild_blocking(marker, Floor{Term(1), Lsn(25)}, cut.term, cut.chain,
                                             source.store->facts().terms, {}, false)
                  .has_value());
  EXPECT_EQ(target.store->facts().marks.written, cut.lsn);
  EXPECT_EQ(target.store->facts().chain, cut.chain);
  EXPECT_EQ(target.store->facts().marker, marker);
  EXPECT_EQ(target.store->extents_mapped(), 0u);
  // Log lane first: the same records as the source gets; the target's checkpointer rests.
  target.adopt(source);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(source.write(static_cast<std::uint64_t>(i * 9), 3));
    ASSERT_TRUE(target.write(static_cast<std::uint64_t>(i * 9), 3));
  }
  source.flush();
  target.flush();
  target.settle_stable();
  target.store->request_checkpoint();
  target.run();
  EXPECT_EQ(target.store->folded().lsn, cut.lsn);
  paste_base(copy_base(source), target);
  EXPECT_EQ(target.store->folded().lsn, target.last()) << "the lane has ended: it folds";
  SuperUpdate update;
  update.clear_marker = true;
  target.store->write_super(update, 3);
  target.run();
  EXPECT_FALSE(target.store->facts().marker.has_value());
  target.expect_content(target.last());
  source.store->thaw_base();
  source.settle_stable();
  source.store->request_checkpoint();
  source.run();
  EXPECT_EQ(target.store->extents_mapped(), source.store->extents_mapped());
  target.close();
  ASSERT_TRUE(target.open().has_value());
  EXPECT_EQ(target.store->facts().chain, source.store->facts().chain);
  target.expect_content(target.last());
}

TEST(WalRebuild, W40_a_forgotten_log_is_not_read_after_a_crash) {
  for (std::uint64_t stop = 1; stop <= 5; ++stop) {
    Rig rig;
    ASSERT_TRUE(rig.open().has_value());
    fill(rig, 25);
    rig.store->quiesce();
    rig.run();
    RebuildMarker marker;
    marker.session = SessionId{Epoch(2), 1};
    marker.cut = Lsn(100);
    rig.disk->stop_after(stop);
    const bool done =
        rig.store
            ->prepare_rebuild_blocking(marker, Floor{Term(1), Lsn(25)}, Term(1), 77, {}, {}, false)
            .has_value();
    EXPECT_EQ(done, stop == 5);
    Prng prng(stop);
    rig.lose_power(prng);
    ASSERT_TRUE(rig.open().has_value());
    const ReplicaFacts& facts = rig.store->facts();
    if (facts.marker) {
      EXPECT_EQ(facts.marks.written, Lsn(100));
      EXPECT_EQ(facts.chain, 77u);
      EXPECT_TRUE(facts.floor.has_value());
    } else {
      EXPECT_FALSE(done);
      EXPECT_EQ(facts.marks.written, Lsn(25));
      rig.expect_content(Lsn(25));
    }
  }
}

// --- errors ---

TEST(WalErrors, ARewindThatFailsOnTheWayIsFinalAndTheDiskHoldsTheOldOrTheNewLog) {
  for (std::uint64_t skip = 0; skip < 12; ++skip) {
    Rig rig;
    ASSERT_TRUE(rig.open().has_value());
    fill(rig, 20);
    rig.store->quiesce();
    rig.run();
    rig.disk->inject({.kind = Op::Kind::write, .skip = skip});
    const bool done = rig.store->rewind_blocking(Lsn(7)).has_value();
    rig.run();
    EXPECT_EQ(rig.sink.failures, done ? 0 : 1);
    rig.disk->clear_faults();
    rig.store.reset();
    ASSERT_TRUE(rig.open().has_value());
    EXPECT_GE(rig.store->facts().marks.written, Lsn(7));
    rig.expect_content(rig.store->facts().marks.written);
  }
}

TEST(WalErrors, W09_a_failed_flush_is_final_whenever_it_comes) {
  for (std::uint64_t nth = 0; nth < 6; ++nth) {
    for (const bool sticky : {false, true}) {
      Rig rig;
      ASSERT_TRUE(rig.open().has_value());
      rig.disk->inject({.kind = Op::Kind::sync, .skip = nth, .sticky = sticky, .file = "log/"});
      Lsn durable;
      for (int i = 0; i < 20 && rig.sink.failures == 0; ++i) {
        durable = rig.sink.durable;
        ASSERT_TRUE(rig.write(1));
        ASSERT_TRUE(rig.write(5));
        rig.pump();  // the batch leaves before anybody asks for a flush
        rig.flush();
      }
      EXPECT_EQ(rig.sink.failures, 1);
      EXPECT_EQ(rig.sink.failure.code, Errc::io_error);
      EXPECT_EQ(rig.sink.durable, durable);
      EXPECT_FALSE(rig.write(2));
      rig.flush();
      EXPECT_EQ(rig.sink.durable, durable) << "a retry passed for success";
      EXPECT_EQ(rig.sink.failures, 1);
    }
  }
}

TEST(WalErrors, AFailedWriteIsFinalAndNothingBehindItIsAcknowledged) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_TRUE(rig.write(1));
  rig.run();
  rig.disk->inject({.kind = Op::Kind::write, .error = 28, .file = "log/"});
  ASSERT_TRUE(rig.write(2));
  rig.pump();
  ASSERT_TRUE(rig.write(3));
  rig.run();
  EXPECT_EQ(rig.sink.failures, 1);
  EXPECT_EQ(rig.sink.written, Lsn(1));
  AlignedBuffer block(4096);
  EXPECT_EQ(rig.read_block(1, block.data()), Errc::io_error);
}

TEST(WalErrors, ARottenBlockOfTheBaseIsCorruptAloneAndItsNeighbourIsServed) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  fill(rig, 20);
  rig.settle_stable();
  rig.store->request_checkpoint();
  rig.run();
  rig.disk->flip_bit("base", 3 * 4096 + 9, 1);
  AlignedBuffer block(4096);
  EXPECT_EQ(rig.read_block(3, block.data()), Errc::corrupt);
  EXPECT_EQ(rig.read_block(4, block.data()), Errc::ok);
}

TEST(WalErrors, W22_a_rotten_newest_map_page_is_never_silently_the_older_one) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  for (int round = 0; round < 3; ++round) {
    fill(rig, 20);
    rig.settle_stable();
    rig.store->request_checkpoint();
    rig.run();
  }
  rig.close();
  const auto image = rig.disk->clone();
  AlignedBuffer block(4096);
  int corrupt = 0;
  for (std::uint64_t at = 0; at < 8192; at += 97) {
    rig.store.reset();
    rig.disk = image->clone();
    rig.disk->flip_bit("map", at, 3);
    ASSERT_TRUE(rig.open().has_value());
    std::vector<std::byte> wanted(4096);
    for (std::uint64_t lba = 0; lba < 400; lba += 13) {
      const Errc result = rig.read_block(lba, block.data());
      if (result == Errc::corrupt) {
        ++corrupt;
        continue;
      }
      ASSERT_EQ(result, Errc::ok);
      fill_block(wanted.data(), rig.expected(rig.last(), lba));
      ASSERT_EQ(std::memcmp(wanted.data(), block.data(), 4096), 0) << "flip at " << at;
    }
  }
  EXPECT_GT(corrupt, 0);
}

// Found by the simulator as seed 12294: a power loss in the middle of a checkpoint left two torn
// sectors and six empty ones where a page had never been; the next checkpoint took that for rot.
TEST(WalErrors, W22_a_page_torn_at_its_first_write_is_absent_and_not_rotten) {
  constexpr std::size_t torn_bytes = 20;  // a part of the head of a sector
  const auto fold = [](Rig& rig) {
    fill(rig, 20);
    rig.settle_stable();
    rig.store->request_checkpoint();
    rig.run();
  };
  Rig other;
  ASSERT_TRUE(other.open().has_value());
  fold(other);
  const auto page = other.disk->peek("map", 0, 4096);
  for (const bool page_there : {false, true}) {
    for (std::uint64_t torn = 1; torn < 128; torn += 3) {  // sectors that hold their beginning
      Rig rig;
      ASSERT_TRUE(rig.open().has_value());
      if (page_there) fold(rig);
      rig.close();
      const std::uint64_t slot = page_there ? 4096 : 0;
      for (std::size_t sector = 0; sector < 8; ++sector) {
        if ((torn >> sector & 1) == 0) continue;
        const auto part = std::span(page).subspan(sector * 512, torn_bytes);
        rig.disk->poke("map", slot + sector * 512, part);
      }
      ASSERT_TRUE(rig.open().has_value());
      fold(rig);
      EXPECT_EQ(rig.sink.failures, 0) << "torn sectors " << torn << " page " << page_there;
      EXPECT_EQ(rig.sink.applied, rig.last());
    }
  }
}

}  // namespace
}  // namespace seawall::wal
