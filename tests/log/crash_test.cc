#include "tests/log/crash_drive.h"

namespace seawall::wal {
namespace {

class Crash : public ::testing::TestWithParam<bool> {};

// From a used disk, stop at the n-th change, for every n; open; and stop again at every change of
// the opening itself.
TEST_P(Crash, W11_at_every_write_and_flush_leaves_a_contiguous_acknowledged_prefix) {
  const bool power = GetParam();
  for (std::uint64_t stop = 1; stop < 260; ++stop) {
    SCOPED_TRACE(stop);
    Rig rig;
    Prng prng(stop * 77 + (power ? 1 : 0));
    ASSERT_TRUE(rig.open().has_value());
    rig.disk->stop_after(stop);
    const Acknowledged acked = drive(rig, prng, 1500);
    power ? rig.lose_power(prng) : rig.kill(prng);
    ASSERT_TRUE(rig.open().has_value());
    expect_prefix(rig, acked, power);
    if (HasFailure()) return;
    EXPECT_EQ(rig.store->facts().intact, !power);
    // Work goes on, and survives once more.
    const Acknowledged again = drive(rig, prng, 60);
    power ? rig.lose_power(prng) : rig.kill(prng);
    ASSERT_TRUE(rig.open().has_value());
    expect_prefix(rig, again, power);
    if (HasFailure()) return;
  }
}

TEST_P(Crash, W11_and_again_at_every_change_of_the_recovery) {
  const bool power = GetParam();
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    crash_through_recovery(Rig(), seed, 20 * seed, power);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(OfTheProcessAndOfThePower, Crash, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "power" : "process"; });

TEST(WalCrash, HundredsOfCrashesInARowKeepTheVolumeEqualToTheModel) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    Rig rig;
    Prng prng(seed * 1000);
    ASSERT_TRUE(rig.open().has_value());
    for (int round = 0; round < 60; ++round) {
      SCOPED_TRACE(round);
      rig.generation = static_cast<std::uint64_t>(round);
      rig.disk->stop_after(prng.range(1, 150));
      const Acknowledged acked = drive(rig, prng, 400);
      const bool power = prng.coin();
      power ? rig.lose_power(prng) : rig.kill(prng);
      ASSERT_TRUE(rig.open().has_value());
      expect_prefix(rig, acked, power);
      if (HasFailure()) return;
    }
  }
}

TEST(WalCrash, W12_replayed_once_twice_or_interrupted_the_content_is_equal) {
  Rig rig;
  Prng prng(12);
  ASSERT_TRUE(rig.open().has_value());
  rig.disk->stop_after(150);
  drive(rig, prng, 1500);
  rig.kill(prng);
  ASSERT_TRUE(rig.open().has_value());
  const Lsn end = rig.store->facts().marks.written;
  const std::uint64_t chain = rig.store->facts().chain;
  for (int i = 0; i < 3; ++i) {
    rig.store.reset();
    Prng again(7);
    rig.disk->crash_process(again);
    ASSERT_TRUE(rig.open().has_value());
    EXPECT_EQ(rig.store->facts().marks.written, end);
    EXPECT_EQ(rig.store->facts().chain, chain);
  }
}

}  // namespace
}  // namespace seawall::wal
