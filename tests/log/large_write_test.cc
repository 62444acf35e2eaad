// Large writes past the log: their payload lies in extents of the base that their records name.
#include "tests/log/large_rig.h"

namespace seawall::wal {
namespace {

TEST(WalLarge, W23_a_large_write_goes_to_the_base_once_and_its_header_to_the_log) {
  Rig rig = large_rig();
  open_warm(rig);
  const std::uint64_t base = base_bytes(rig);
  const std::uint64_t log = log_bytes(rig);
  for (std::uint64_t i = 1; i < 9; ++i) {
    ASSERT_TRUE(rig.write(i * large, large));
    rig.run();
  }
  EXPECT_EQ(base_bytes(rig), base + 8 * large * 4096);
  EXPECT_EQ(log_bytes(rig), log + 8 * 4096);
  rig.expect_content(rig.last());  // from extents that the log names
  fold(rig);
  EXPECT_EQ(rig.store->facts().marks.applied, rig.last());
  // What went through the log was written to the base now, the others were there.
  const std::uint64_t pages = 2 * page_bytes;
  EXPECT_EQ(base_bytes(rig), base + 9 * large * 4096 + pages);
  rig.expect_content(rig.last());
  rig.close();
  expect_exact_space(*rig.disk);
  EXPECT_EQ(look_at_space(*rig.disk).owner.size(), 9 * large / per_extent);
  ASSERT_TRUE(rig.open().has_value());
  rig.expect_content(rig.last());
}

TEST(WalLarge, W23_ten_laps_over_the_volume_leak_nothing_and_free_nothing_early) {
  Rig rig = large_rig();
  open_warm(rig);
  Prng prng(23);
  std::uint64_t highest = 0;
  for (int lap = 0; lap < 10; ++lap) {
    for (int i = 0; i < 80; ++i) {
      ASSERT_TRUE(rig.write_any(prng));
      if (prng.below(3) == 0) rig.run();
    }
    rig.store->pin(1, Lsn(rig.last().value() - 9));
    fold(rig);
    ASSERT_EQ(rig.sink.failures, 0);
    rig.expect_content(rig.last());
    for (std::uint64_t i = 0; i < 10; ++i) {
      const Lsn lsn(rig.last().value() - i);
      if (has_payload(rig.header(lsn))) expect_served(rig, lsn);
    }
    if (HasFailure()) return;
  }
  rig.close();
  expect_exact_space(*rig.disk);
  for (const auto& [extent, owner] : look_at_space(*rig.disk).owner) {
    highest = std::max<std::uint64_t>(highest, extent);
  }
  EXPECT_LT(highest, 640u);  // of 128 + 2 x 256
  ASSERT_TRUE(rig.open().has_value());
  rig.expect_content(rig.last());
}

TEST(WalLarge, W23_named_extents_are_bounded_and_a_pinned_log_takes_large_writes_itself) {
  Rig rig = large_rig();
  open_warm(rig);
  rig.store->pin(1, Lsn(1));
  std::uint64_t taken = 0;
  while (rig.write(taken % 31 * large, large)) {
    ++taken;
    rig.flush();
    rig.settle_stable();
    rig.run();
    ASSERT_LT(taken, 500u);
    ASSERT_LE(rig.sink.fill, 100);
  }
  // 64 by name, and then some through the log until it is full.
  EXPECT_GT(taken, 64u + 20u);
  EXPECT_EQ(rig.sink.failures, 0);
  rig.expect_content(rig.last());
  for (std::uint64_t lsn = 1; lsn <= rig.last().value(); lsn += 7) expect_served(rig, Lsn(lsn));
  rig.store->unpin(1);
  rig.store->request_checkpoint();
  rig.run();
  const std::uint64_t log = log_bytes(rig);
  ASSERT_TRUE(rig.write(0, large));
  rig.run();
  EXPECT_EQ(log_bytes(rig), log + 4096);  // past the log again
  rig.expect_content(rig.last());
}

TEST(WalLarge, W32_a_large_write_under_fua_is_durable_with_its_payload) {
  for (int fua = 0; fua < 2; ++fua) {
    SCOPED_TRACE(fua);
    Rig rig = large_rig();
    open_warm(rig);
    rig.flush();
    if (fua == 0) {
      ASSERT_TRUE(rig.write(64, 1));  // a plain write before it
      rig.run();
    }
    ASSERT_TRUE(rig.write(large, large));
    rig.store->flush();  // alone: one operation must not be taken for both files
    rig.run();
    ASSERT_EQ(rig.sink.durable, rig.last());
    Prng prng(32);
    rig.disk->power_loss_all_lost();
    rig.store.reset();
    ++rig.boot;
    const Lsn last = rig.last();
    ASSERT_TRUE(rig.open().has_value());
    EXPECT_EQ(rig.store->facts().marks.written, last);
    EXPECT_EQ(rig.store->facts().damage, Damage::none);
    rig.expect_content(last);
  }
}

TEST(WalLarge, W32_what_an_opening_found_is_durable_with_its_payload) {
  Rig rig = large_rig();
  open_warm(rig);
  rig.flush();
  ASSERT_TRUE(rig.write(large, large));
  rig.run();  // written, not flushed
  Prng prng(32);
  rig.kill(prng);
  const Lsn last = rig.last();
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_EQ(rig.store->facts().marks.durable, last);
  rig.disk->power_loss_all_lost();
  rig.store.reset();
  ++rig.boot;
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().marks.written, last);
  EXPECT_EQ(rig.store->facts().damage, Damage::none);
  rig.expect_content(last);
}

// Payload below what is durable and gone: unknown, never cut, never served.
TEST(WalLarge, W39_W40_a_missing_large_payload_ends_the_log_or_is_unknown) {
  for (const bool durable : {false, true}) {
    SCOPED_TRACE(durable);
    Rig rig = large_rig();
    open_warm(rig);
    ASSERT_TRUE(rig.write(large, large));
    rig.flush();
    const Lsn before = rig.last();
    ASSERT_TRUE(rig.write(large, large));
    if (durable) rig.flush();
    Prng prng(39);
    if (durable) {
      ASSERT_TRUE(rig.write(0, 1));  // its header proves that the large one was durable
      rig.flush();
      rig.disk->flip_bit("base", (4 + 1) * 16 * 1024 + 77, 3);
      rig.kill(prng);
    } else {
      rig.pump();  // header and payload are in flight
      ASSERT_EQ(rig.disk->pending(), 2u);
      rig.disk->crash_process(
          [](const std::string& file, std::uint64_t) {
            return file == "base" ? MemDisk::Fate::lost : MemDisk::Fate::kept;
          },
          prng);
      rig.store.reset();
    }
    const Lsn last = rig.last();
    rig.keep_model = true;
    ASSERT_TRUE(rig.open().has_value());
    if (!durable) {
      EXPECT_EQ(rig.store->facts().marks.written, before);
      EXPECT_EQ(rig.store->facts().damage, Damage::none);
      rig.forget_beyond(before);
      rig.expect_content(before);  // older flushed bytes stay readable
      ASSERT_TRUE(rig.write(large, large));
      fold(rig);
      rig.expect_content(rig.last());
      rig.close();
      expect_exact_space(*rig.disk);
    } else {
      EXPECT_EQ(rig.store->facts().marks.written, last);
      EXPECT_EQ(rig.store->facts().damage, Damage::unknown_records);
      EXPECT_EQ(serve(rig, Lsn(last.value() - 1)).result, Errc::corrupt);
      AlignedBuffer into(4096);
      EXPECT_EQ(rig.read_block(large + 4, into.data()), Errc::corrupt);
      rig.settle_stable();
      rig.store->request_checkpoint();
      rig.run();
      EXPECT_LT(rig.store->facts().marks.applied, Lsn(last.value() - 1));
    }
  }
}

TEST(WalLarge, W37_a_small_write_into_a_named_extent_leaves_the_record_as_it_is) {
  Rig rig = large_rig();
  open_warm(rig);
  rig.store->pin(1, Lsn(1));
  ASSERT_TRUE(rig.write(large, large));
  const Lsn named = rig.last();
  rig.run();
  fold(rig);
  ASSERT_TRUE(rig.write(large + 1, 1));         // one block of the first extent
  ASSERT_TRUE(rig.write(large + 4, 4));         // the whole second one
  ASSERT_TRUE(rig.discard(large + 8, 2));       // half of the third one
  ASSERT_TRUE(rig.discard(large + 12, 4));      // the whole fourth one
  fold(rig);
  EXPECT_EQ(rig.store->facts().marks.applied, rig.last());
  rig.expect_content(rig.last());
  expect_served(rig, named);
  // Once more, in extents that are the volume's own now.
  ASSERT_TRUE(rig.write(large + 2, 2));
  ASSERT_TRUE(rig.write(large + 13, 1));
  fold(rig);
  rig.expect_content(rig.last());
  expect_served(rig, named);
  // Others come and go: what the record names is given to nobody.
  for (std::uint64_t i = 0; i < 40; ++i) {
    ASSERT_TRUE(rig.write((2 + i % 20) * large, large));
    rig.run();
    if (i % 8 == 7) fold(rig);
  }
  expect_served(rig, named);
  rig.expect_content(rig.last());
  rig.close();
  expect_exact_space(*rig.disk);
  ASSERT_TRUE(rig.open().has_value());
  expect_served(rig, named);
  rig.store->unpin(1);
  rig.expect_content(rig.last());
}

TEST(WalLarge, W37_records_in_one_checkpoint_window_cover_each_other_in_part) {
  Rig rig = large_rig();
  open_warm(rig);
  Prng prng(37);
  for (int round = 0; round < 300; ++round) {
    // All into the same two slots, some beyond the cut.
    for (int i = 0; i < 12; ++i) {
      const std::uint64_t at = prng.below(2) * large;
      switch (prng.below(4)) {
        case 0: ASSERT_TRUE(rig.write(at, large)); break;
        case 1: ASSERT_TRUE(rig.write(at + prng.below(13), prng.range(1, 3))); break;
        case 2: ASSERT_TRUE(rig.discard(at + prng.below(12), prng.range(1, 4))); break;
        default: ASSERT_TRUE(rig.discard(at, large)); break;
      }
    }
    rig.flush();
    rig.store->set_fold_limit(Lsn(rig.last().value() - prng.below(6)));
    rig.store->request_checkpoint();
    rig.run();
    rig.expect_content(rig.last());
    ASSERT_EQ(rig.sink.failures, 0);
    if (prng.coin()) {  // what the records beyond the cut covered comes to light
      rig.store->quiesce();
      rig.run();
      const Lsn applied = rig.store->facts().marks.applied;
      ASSERT_TRUE(rig.store->rewind_blocking(applied).has_value());
      rig.forget_beyond(applied);
      rig.generation = static_cast<std::uint64_t>(round) + 1;
      rig.sink.durable = applied;
      rig.expect_content(applied);
    }
    if (HasFailure()) return;
  }
  fold(rig);
  rig.close();
  expect_exact_space(*rig.disk);
}

// Blocks on their way to an extent that a large write replaces are given up; of the others the
// newest still counts.
TEST(WalLarge, W37_of_two_writes_of_a_block_in_one_window_the_later_one_is_folded) {
  Rig rig = large_rig();
  open_warm(rig);
  for (std::uint64_t lba = 64; lba < 96; lba += 4) ASSERT_TRUE(rig.write(lba, 4));
  fold(rig);
  ASSERT_TRUE(rig.write(80, 4));
  ASSERT_TRUE(rig.write(84, 4));
  ASSERT_TRUE(rig.write(64, 1));
  ASSERT_TRUE(rig.write(80, large));
  ASSERT_TRUE(rig.write(64, 1));
  const Lsn cut = rig.last();
  ASSERT_TRUE(rig.write(64, 1));      // beyond the cut: so all of the above is placed
  ASSERT_TRUE(rig.write(80, large));
  rig.flush();
  rig.store->set_fold_limit(cut);
  rig.store->request_checkpoint();
  rig.run();
  ASSERT_EQ(rig.store->facts().marks.applied, cut);
  rig.store->quiesce();
  rig.run();
  ASSERT_TRUE(rig.store->rewind_blocking(cut).has_value());
  rig.forget_beyond(cut);
  rig.expect_content(cut);
}

TEST(WalLarge, M67_what_the_log_names_is_given_away_only_when_the_log_lets_go) {
  Rig rig = large_rig();
  open_warm(rig);
  rig.store->pin(1, Lsn(1));
  ASSERT_TRUE(rig.write(large, large));
  const Lsn named = rig.last();
  fold(rig);
  ASSERT_TRUE(rig.write(large, large));  // its blocks move on, the record stays
  fold(rig);
  for (std::uint64_t i = 2; i < 20; ++i) ASSERT_TRUE(rig.write(i * large, large));
  rig.flush();
  expect_served(rig, named);
  expect_served(rig, named.next());
  rig.expect_content(rig.last());
}

// Completes one operation that is not `held`; false: there is none.
bool run_one_but(Rig& rig, const Op* held) {
  for (std::size_t i = 0; i < rig.disk->pending(); ++i) {
    if (&rig.disk->pending_op(i) == held) continue;
    rig.disk->complete_at(i);
    return true;
  }
  return false;
}

void fill_pinned_log(Rig& rig) {
  rig.store->pin(1, Lsn(1));
  for (std::uint64_t i = 1; i < 20; ++i) ASSERT_TRUE(rig.write(i * large, large));
  fold(rig);
  for (std::uint64_t i = 2; i < 20; ++i) ASSERT_TRUE(rig.write(i * large, large));
  fold(rig);
  for (int i = 0; i < 8; ++i) {  // more segments behind them
    ASSERT_TRUE(rig.write(500, 4));
    fold(rig);
  }
}

// The log lets go of a large record while a checkpoint has just copied what is left of one of its
// extents: until the super block says so, the old map is what a crash leaves.
TEST(WalLarge, M58_what_a_checkpoint_frees_is_free_once_the_super_block_says_so) {
  int taken = 0;
  for (std::size_t steps = 1; steps < 60; ++steps) {
    SCOPED_TRACE(steps);
    Rig rig = large_rig();
    open_warm(rig);
    fill_pinned_log(rig);
    // A read that began before holds the names back until the checkpoint has seen them.
    AlignedBuffer into(4096);
    std::uint32_t crc = 0;
    ReadOp read;
    read.lba = Lba(large);
    read.blocks = BlockCount(1);
    read.into = into.span();
    read.crcs = {&crc, 1};
    read.done = [](ReadOp&) {};
    ASSERT_TRUE(rig.write(large + 1, 1));
    rig.flush();
    rig.settle_stable();
    rig.store->read(read);
    rig.pump();
    ASSERT_EQ(rig.disk->pending(), 1u);
    const Op* held = &rig.disk->pending_op(0);
    rig.store->unpin(1);
    rig.pump();  // the trim is on its way
    rig.store->request_checkpoint();
    rig.pump();  // and behind it the checkpoint
    for (std::size_t i = 0; i < steps; ++i) {
      if (!run_one_but(rig, held)) break;
      rig.pump();
    }
    const int commits = rig.sink.checkpoints;
    rig.disk->complete_at(0);
    ASSERT_EQ(read.result, Errc::ok);
    rig.pump();
    // Large writes take the lowest extents that they may.
    std::vector<const Op*> others;
    for (std::size_t i = 0; i < rig.disk->pending(); ++i)
      others.push_back(&rig.disk->pending_op(i));
    for (std::uint64_t i = 20; i < 24; ++i) ASSERT_TRUE(rig.write(i * large, large));
    rig.pump();
    for (std::size_t i = 0; i < rig.disk->pending();) {
      const bool other = std::find(others.begin(), others.end(), &rig.disk->pending_op(i)) !=
                         others.end();
      const bool write = rig.disk->pending_op(i).kind == Op::Kind::write;
      if (other || !write) {
        ++i;
      } else {
        rig.disk->complete_at(i);
        ++taken;
      }
    }
    Prng prng(steps);
    if (rig.sink.checkpoints == commits) rig.kill(prng);
    if (rig.store == nullptr) {
      ASSERT_TRUE(rig.open().has_value());
    }
    EXPECT_EQ(rig.store->facts().damage, Damage::none);
    rig.run();
    rig.expect_content(rig.store->facts().marks.written);
    if (HasFailure()) return;
  }
  EXPECT_GT(taken, 100);
}

TEST(WalLarge, W14_one_stream_makes_equal_chains_wherever_the_payload_went) {
  Rig past = large_rig();                 // past the log
  Rig through(512, 4 << 20, 256 * 1024);  // no large write is a whole extent: through the log
  through.large_blocks = large;
  open_warm(past);
  open_warm(through);
  Prng a(14);
  Prng b(14);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(past.write_any(a));
      ASSERT_TRUE(through.write_any(b));
    }
    fold(past);
    fold(through);
    EXPECT_EQ(past.store->facts().chain, through.store->facts().chain);
    EXPECT_EQ(past.store->folded().chain, through.store->folded().chain);
    past.expect_content(past.last());
    through.expect_content(through.last());
  }
  EXPECT_LT(log_bytes(past) * 2, log_bytes(through));
}

TEST(WalLarge, AReplicaWithoutSpareExtentsTakesLargeWritesThroughItsLog) {
  Rig rig = large_rig();
  {  // as it was made before large writes went past the log
    const auto file = rig.disk->open(super_name);
    ASSERT_TRUE(file.has_value());
    auto loaded = load_super(*rig.disk, *file);
    ASSERT_TRUE(loaded.has_value());
    loaded->super.spare_extents = 0;
    ASSERT_TRUE(store_super(*rig.disk, *file, loaded->super, 0).has_value());
    rig.disk->close(*file);
  }
  open_warm(rig);
  const std::uint64_t log = log_bytes(rig);
  Prng prng(5);
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(rig.write_any(prng));
    fold(rig);
    rig.expect_content(rig.last());
  }
  EXPECT_GT(log_bytes(rig), log + 20 * large * 4096);
  rig.close();
  expect_exact_space(*rig.disk);
}

TEST(WalLarge, A_rewind_frees_what_the_lost_records_named) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Rig rig = large_rig();
    open_warm(rig);
    Prng prng(seed);
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(rig.write_any(prng));
    fold(rig);
    const Lsn folded = rig.last();
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(rig.write_any(prng));
    rig.flush();
    const Lsn to(folded.value() + prng.below(30));
    rig.store->quiesce();
    rig.run();
    ASSERT_TRUE(rig.store->rewind_blocking(to).has_value());
    rig.forget_beyond(to);
    rig.generation = seed;
    rig.sink.durable = to;
    rig.expect_content(to);
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(rig.write_any(prng));
    fold(rig);
    rig.expect_content(rig.last());
    rig.close();
    expect_exact_space(*rig.disk);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace seawall::wal
