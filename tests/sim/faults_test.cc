// What the simulator does to clocks and disks, and the accounts that it keeps of it.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "engine/base/prng.h"
#include "sim/fault_atlas.h"
#include "sim/fault_kinds.h"
#include "sim/options.h"
#include "sim/ports.h"
#include "sim/probes.h"
#include "wal/aligned.h"
#include "wal/testing/mem_disk.h"

namespace seawall::sim {
namespace {

TEST(SimAtlas, AQuorumOfThreeToleratesOneCopyInDoubtAtATime) {
  FaultAtlas atlas("quorum", 3, false);
  EXPECT_TRUE(atlas.may_doubt(1));
  atlas.power_lost(1);
  EXPECT_TRUE(atlas.may_doubt(1)) << "the same copy again";
  EXPECT_FALSE(atlas.may_doubt(2));
  EXPECT_FALSE(atlas.loss_allowed(0));
  atlas.proven(5);
  EXPECT_TRUE(atlas.may_doubt(2));
}

TEST(SimAtlas, DamageStaysForTheRun) {
  FaultAtlas atlas("quorum", 3, false);
  atlas.damaged(1);
  atlas.proven(5);
  EXPECT_FALSE(atlas.may_doubt(2));
  EXPECT_TRUE(atlas.may_doubt(1));
}

TEST(SimAtlas, BeyondToleranceALossIsAllowedUntilALittleAfterTheProof) {
  FaultAtlas atlas("quorum", 3, false);
  atlas.power_lost(1);
  atlas.power_lost(2);
  EXPECT_TRUE(atlas.loss_allowed(1000 * seconds));
  atlas.proven(1000 * seconds);
  EXPECT_TRUE(atlas.loss_allowed(1001 * seconds));
  EXPECT_TRUE(atlas.loss_allowed(9000 * seconds)) << "its client has heard nothing for long";
  atlas.heard();
  EXPECT_FALSE(atlas.loss_allowed(9000 * seconds));
}

TEST(SimAtlas, WithoutAVolatileCacheNothingMayEverBeLost) {
  FaultAtlas atlas("quorum", 3, true);
  for (NodeNumber node = 1; node <= 3; ++node) atlas.power_lost(node);
  EXPECT_FALSE(atlas.loss_allowed(0));
}

TEST(SimKinds, EveryKindHasANameOfItsOwn) {
  for (const FaultKindInfo& info : fault_kinds()) {
    EXPECT_EQ(fault_kind(info.name), info.kind) << info.name;
    EXPECT_FALSE(info.note.empty());
  }
  EXPECT_FALSE(fault_kind("no-such-kind").has_value());
}

TEST(SimKinds, AKindThatIsAskedForIsInEveryRunAndOneThatIsOffInNone) {
  Overrides with;
  with.with.add(FaultKind::bit_flip);
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    EXPECT_NE(draw_options(seed, with).disk_faults.bit_flip, 0u);
  }
  for (const FaultKindInfo& info : fault_kinds()) {
    EXPECT_EQ(default_fault_kinds().has(info.kind), info.by_default);
  }
}

TEST(SimClocks, F17_a_clock_that_drifts_wakes_whoever_waits_neither_early_nor_late) {
  Scheduler scheduler;
  for (const std::int64_t drift : {-7700, -1, 0, 3, 7700}) {
    const SimClock clock(scheduler, 123'456, drift);
    for (std::uint64_t ahead = 1; ahead < 100'000; ahead += 977) {
      const Instant wanted{clock.now().value() + ahead};
      const Micros at = clock.when(wanted);
      Scheduler later;
      bool early = true;
      later.at(at, world, [&] { early = SimClock(later, 123'456, drift).now() < wanted; });
      later.step();
      EXPECT_FALSE(early) << "drift " << drift << " ahead " << ahead;
      bool late = false;
      Scheduler before;
      before.at(at - 1, world, [&] { late = SimClock(before, 123'456, drift).now() >= wanted; });
      before.step();
      EXPECT_FALSE(late) << "drift " << drift << " ahead " << ahead;
    }
  }
}

// --- what a disk may do ---

class DiskFaults : public testing::Test {
 protected:
  static constexpr std::size_t page = wal::MemDisk::page_bytes;
  using Fault = wal::MemDisk::Fault;
  using Effect = wal::MemDisk::Effect;
  using Kind = wal::Op::Kind;

  DiskFaults() : buffer_(page) {
    EXPECT_TRUE(disk_.make_directory("d").has_value());
    file_ = *disk_.create("d/f", 8 * page);
    EXPECT_TRUE(disk_.sync(file_).has_value());
    EXPECT_TRUE(disk_.sync_directory("d").has_value());
    EXPECT_TRUE(disk_.sync_directory("").has_value());
  }
  void write(std::uint64_t at, int value) {
    std::fill_n(buffer_.data(), page, static_cast<std::byte>(value));
    ASSERT_TRUE(disk_.write(file_, at * page, buffer_.span()).has_value());
  }
  int read(std::uint64_t at) {
    EXPECT_TRUE(disk_.read(file_, at * page, buffer_.span()).has_value());
    return std::to_integer<int>(buffer_.data()[7]);
  }

  wal::MemDisk disk_;
  wal::FileId file_ = wal::no_file;
  wal::AlignedBuffer buffer_;
};

TEST_F(DiskFaults, ALostWriteLeavesWhatWasThere) {
  write(1, 7);
  disk_.inject(Fault{.kind = Kind::write, .effect = Effect::lose});
  write(1, 8);
  EXPECT_EQ(read(1), 7);
  write(1, 9);
  EXPECT_EQ(read(1), 9) << "once";
}

TEST_F(DiskFaults, AMisdirectedWriteLandsElsewhere) {
  disk_.inject(Fault{.kind = Kind::write, .effect = Effect::misdirect, .shift = 2 * page});
  write(1, 8);
  EXPECT_EQ(read(1), 0);
  EXPECT_EQ(read(3), 8);
}

TEST_F(DiskFaults, AStaleReadBringsTheContentBeforeTheNewestWrite) {
  write(1, 7);
  write(1, 8);
  disk_.inject(Fault{.kind = Kind::read, .effect = Effect::stale});
  EXPECT_EQ(read(1), 7);
  EXPECT_EQ(read(1), 8);
}

TEST_F(DiskFaults, AFlushThatLiesHardensNothing) {
  write(1, 7);
  disk_.inject(Fault{.kind = Kind::sync, .effect = Effect::lie});
  ASSERT_TRUE(disk_.sync(file_).has_value());
  disk_.power_loss_all_lost();
  file_ = *disk_.open("d/f");
  EXPECT_EQ(read(1), 0);
}

}  // namespace
}  // namespace seawall::sim
