// What a disk did wrong before, as the next process finds it.
#include "tests/log/large_rig.h"
#include "wal/segment.h"

namespace seawall::wal {
namespace {

void fill_and_flush(Rig& rig, int count) {
  for (int i = 0; i < count; ++i) {
    ASSERT_TRUE(rig.write(static_cast<std::uint64_t>(i * 2 % 400), 2));
    rig.run();
  }
  rig.flush();
}

// Zeroes over the header of the batch that begins with `lsn`.
void break_chain_at(Rig& rig, Lsn lsn) {
  for (int slot = 0; slot < 16; ++slot) {
    const std::string name = "log/" + std::to_string(slot);
    for (std::uint32_t block = 1; block < 16; ++block) {
      const auto bytes = rig.disk->peek(name, block * 4096, (16 - block) * 4096);
      BatchView view;
      if (!BatchView::open(bytes, test_incarnation, nullptr, block, view)) continue;
      if (view.first_lsn() == lsn) {
        rig.disk->poke(name, block * 4096, std::vector<std::byte>(4096));
      }
    }
  }
}

// Nothing but a stream reads what is not folded yet: without an end the primary would be asked for
// it again and again, and nobody would mend it.
TEST(WalDamage, F07_a_batch_beyond_the_base_that_rotted_while_it_was_open_fails_the_store) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  fill_and_flush(rig, 12);
  rig.run();
  const Lsn rotten{6};
  break_chain_at(rig, rotten);
  EXPECT_EQ(serve(rig, Lsn{5}).result, Errc::ok);
  EXPECT_EQ(rig.sink.failures, 0);
  EXPECT_EQ(serve(rig, rotten).result, Errc::corrupt);
  EXPECT_EQ(rig.sink.failures, 1);
  rig.store.reset();
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().damage, Damage::regressed);
}

// The sector model of a lost flush: the bytes can be read, and no later flush makes them durable.
TEST(WalDamage, W09_F11_what_a_failed_flush_dropped_is_written_again_by_the_next_process) {
  for (std::uint64_t nth = 0; nth < 40; ++nth) {
    SCOPED_TRACE(nth);
    Rig rig;
    ASSERT_TRUE(rig.open().has_value());
    rig.disk->inject({.kind = Op::Kind::sync, .skip = nth, .file = "log/"});
    for (std::uint64_t i = 0; i < 60 && rig.sink.failures == 0; ++i) {
      ASSERT_TRUE(rig.write(i));
      rig.run();
      rig.flush();
    }
    ASSERT_EQ(rig.sink.failures, 1);
    Prng prng(nth);
    rig.kill(prng);  // another process: nobody told it of the failure
    ASSERT_TRUE(rig.open().has_value());
    const Lsn durable = rig.store->facts().marks.durable;
    EXPECT_EQ(durable, rig.last());
    rig.store.reset();
    rig.disk->power_loss_all_lost();
    ++rig.boot;
    ASSERT_TRUE(rig.open().has_value());
    EXPECT_EQ(rig.store->facts().damage, Damage::none);
    EXPECT_EQ(rig.store->facts().marks.written, durable);
    rig.expect_content(durable);
  }
}

TEST(WalDamage, W38_F11_after_a_failed_flush_of_a_slot_a_power_loss_leaves_a_valid_one) {
  for (std::uint64_t nth = 0; nth < 4; ++nth) {
    for (std::uint64_t stop = 1; stop <= 12; ++stop) {
      for (std::uint64_t seed = 0; seed < 12; ++seed) {
        SCOPED_TRACE(nth * 10000 + stop * 100 + seed);
        Rig rig;
        ASSERT_TRUE(rig.open().has_value());
        Prng prng(seed);
        rig.disk->inject({.kind = Op::Kind::sync, .skip = nth, .file = "super"});
        std::uint64_t acked = 0;
        for (std::uint64_t epoch = 1; epoch <= 3 && rig.sink.failures == 0; ++epoch) {
          SuperUpdate update;
          update.promised = Epoch(epoch);
          rig.store->write_super(update, epoch);
          rig.run();
          if (!rig.sink.tokens.empty()) acked = rig.sink.tokens.back();
        }
        rig.kill(prng);
        rig.disk->stop_after(stop);  // the next process dies on its way, and the power goes
        if (rig.open().has_value()) {
          SuperUpdate update;
          update.promised = Epoch(9);
          rig.store->write_super(update, 9);
          rig.run();
        }
        rig.lose_power(prng);
        ASSERT_TRUE(rig.open().has_value()) << "no valid slot is left";
        EXPECT_GE(rig.store->facts().promised.value(), acked);
      }
    }
  }
}

// A checkpoint that a crash ended has folded records into the base that the log then lost.
TEST(WalDamage, W20_W43_a_log_that_breaks_below_an_open_checkpoint_takes_the_base_with_it) {
  for (const std::uint64_t broken : {2u, 7u, 12u, 13u}) {
    SCOPED_TRACE(broken);
    Rig rig;
    ASSERT_TRUE(rig.open().has_value());
    fill_and_flush(rig, 20);
    rig.store->set_fold_limit(Lsn(12));
    rig.store->request_checkpoint();
    for (int i = 0; i < 8; ++i) {
      rig.pump();
      rig.disk->run_one();
    }
    Prng prng(20);
    rig.kill(prng);
    break_chain_at(rig, Lsn(broken));
    for (int again = 0; again < 2; ++again) {
      ASSERT_TRUE(rig.open().has_value());
      const ReplicaFacts& facts = rig.store->facts();
      EXPECT_EQ(facts.damage, broken <= 12 ? Damage::base_untrusted : Damage::regressed);
      EXPECT_EQ(facts.marks.written, Lsn(broken - 1));
      EXPECT_LE(facts.marks.applied, facts.marks.durable);
      EXPECT_LE(facts.marks.durable, facts.marks.written);
      ASSERT_TRUE(facts.floor.has_value());
      EXPECT_EQ(facts.floor->lsn, Lsn(20));
      rig.store->set_fold_limit(Lsn(20));
      rig.store->request_checkpoint();
      rig.run();
      EXPECT_EQ(rig.store->folded().lsn, Lsn(0)) << "nothing of it reaches the base";
      rig.store.reset();
      rig.kill(prng);
    }
  }
}

// A copy made by the checkpoint: what a read brings wrongly, once, must not stay.
TEST(WalDamage, F08_W21_a_stale_read_under_a_copy_is_asked_again) {
  for (const MemDisk::Effect effect : {MemDisk::Effect::stale, MemDisk::Effect::fail}) {
    for (std::uint64_t skip = 0; skip < 6; ++skip) {
      SCOPED_TRACE(skip);
      Rig rig = large_rig();
      open_warm(rig);
      rig.store->pin(1, Lsn(1));  // the record keeps its extents, so each change copies one
      ASSERT_TRUE(rig.write(large, large));
      rig.run();
      fold(rig);
      rig.disk->inject({.kind = Op::Kind::read, .effect = effect, .skip = skip, .file = "base"});
      for (std::uint64_t extent = 0; extent < 4; ++extent) {
        ASSERT_TRUE(rig.write(large + extent * per_extent + 1, 1));
      }
      fold(rig);
      EXPECT_FALSE(rig.disk->has_faults()) << "each copy reads what lies on either side";
      EXPECT_EQ(rig.sink.failures, 0);
      rig.disk->clear_faults();
      rig.expect_content(rig.last());
    }
  }
}

TEST(WalDamage, A_closed_store_sends_nothing_more_to_its_files) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_TRUE(rig.write(1));
  rig.run();
  rig.store->quiesce();
  rig.run();
  ASSERT_TRUE(rig.store->close_blocking(false).has_value());
  rig.store->flush();
  rig.pump();
  EXPECT_EQ(rig.disk->pending(), 0u);
}

}  // namespace
}  // namespace seawall::wal
