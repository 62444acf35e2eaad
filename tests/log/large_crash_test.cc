// Crashes among large writes, and what a log that goes on over them must keep.
#include "tests/log/large_rig.h"

namespace seawall::wal {
namespace {

TEST(WalLarge, W42_aborted_checkpoints_leave_no_extent_with_two_owners_and_none_leaked) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    Rig rig = large_rig();
    open_warm(rig);
    Prng prng(seed);
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(rig.write_any(prng));
    fold(rig);
    for (int aborted = 0; aborted < 2; ++aborted) {
      for (int i = 0; i < 20; ++i) ASSERT_TRUE(rig.write_any(prng));
      rig.flush();
      rig.settle_stable();
      rig.store->request_checkpoint();
      rig.disk->stop_after(prng.range(5, 40));
      for (int i = 0; i < 400 && !rig.disk->stopped(); ++i) {
        rig.pump();
        rig.disk->run_any(prng);
      }
      prng.coin() ? rig.lose_power(prng) : rig.kill(prng);
      ASSERT_TRUE(rig.open().has_value());
      rig.expect_content(rig.last());
      // The redo finds other extents free than the first attempt did.
      for (int i = 0; i < 5; ++i) ASSERT_TRUE(rig.write_any(prng));
    }
    fold(rig);
    rig.expect_content(rig.last());
    ASSERT_EQ(rig.sink.failures, 0);
    rig.close();
    expect_exact_space(*rig.disk);
    if (HasFailure()) return;
  }
}

class LargeCrash : public ::testing::TestWithParam<bool> {};

TEST_P(LargeCrash, W23_at_every_step_the_data_is_the_models_and_no_extent_leaks) {
  const bool power = GetParam();
  for (std::uint64_t stop = 1; stop < 240; stop += 3) {
    SCOPED_TRACE(stop);
    Rig rig = large_rig();
    Prng prng(stop * 91 + (power ? 1 : 0));
    ASSERT_TRUE(rig.open().has_value());
    rig.disk->stop_after(stop);
    const Acknowledged acked = drive(rig, prng, 1500);
    power ? rig.lose_power(prng) : rig.kill(prng);
    ASSERT_TRUE(rig.open().has_value());
    expect_prefix(rig, acked, power);
    if (HasFailure()) return;
    const Acknowledged again = drive(rig, prng, 100);
    power ? rig.lose_power(prng) : rig.kill(prng);
    ASSERT_TRUE(rig.open().has_value());
    expect_prefix(rig, again, power);
    fold(rig);
    rig.close();
    expect_exact_space(*rig.disk);
    if (HasFailure()) return;
  }
}

TEST_P(LargeCrash, W12_and_again_at_every_change_of_the_recovery_the_content_is_equal) {
  const bool power = GetParam();
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(seed);
    crash_through_recovery(large_rig(), seed, 25 * seed, power);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(OfTheProcessAndOfThePower, LargeCrash, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "power" : "process"; });

// Trimmed, reopened, appended to, replayed: the chain goes on over each.
TEST(WalLarge, W04_trim_reopen_append_replay_keeps_the_chain) {
  for (const std::uint64_t blocks : {std::uint64_t{0}, large}) {
    SCOPED_TRACE(blocks);
    Rig rig = large_rig();
    rig.large_blocks = blocks;
    ASSERT_TRUE(rig.open().has_value());
    Prng prng(4);
    Lsn trimmed;
    for (int round = 0; round < 100; ++round) {
      for (int i = 0; i < 12; ++i) {
        ASSERT_TRUE(rig.write_any(prng));
        rig.run();
      }
      if (round % 3 != 0) fold(rig);
      const Lsn last = rig.last();
      const std::uint64_t chain = rig.store->facts().chain;
      switch (round % 3) {
        case 0: rig.kill(prng); break;
        case 1: rig.close(); break;
        default: rig.lose_power(prng); break;
      }
      ASSERT_TRUE(rig.open().has_value());
      ASSERT_EQ(rig.store->facts().marks.written, last);
      ASSERT_EQ(rig.store->facts().chain, chain);
      ASSERT_EQ(rig.store->facts().chain, rig.header(last).chain);
      ASSERT_GE(rig.store->facts().marks.trimmed, trimmed);
      trimmed = rig.store->facts().marks.trimmed;
      ASSERT_EQ(rig.store->facts().damage, Damage::none);
      rig.sink.durable = last;
      if (round % 10 == 0) rig.expect_content(last);
      if (last > trimmed) expect_served(rig, first_with_payload(rig, trimmed.next()));
      if (HasFailure()) return;
    }
    EXPECT_GT(trimmed, Lsn(500));
  }
}

}  // namespace
}  // namespace seawall::wal
