// Allocation bits that rot: they are made anew from the entries, and nothing else is lost.
#include "tests/log/large_rig.h"

namespace seawall::wal {
namespace {

struct BitsPage {
  std::uint64_t offset = 0;  // of its current slot, in the map file
};

// Where the newest bits of the first extents lie.
BitsPage find_bits(const MemDisk& original) {
  const std::unique_ptr<MemDisk> disk = original.clone();
  const auto file = disk->open(super_name);
  EXPECT_TRUE(file.has_value());
  const auto loaded = load_super(*disk, *file);
  EXPECT_TRUE(loaded.has_value());
  const DiskSuper& super = loaded->super;
  const Layout layout = layout_of(super);
  MapCache map(*disk, layout, 64);
  const std::uint64_t number = map.bits_page(0);
  const auto both = disk->peek(map_name, number * 2 * page_bytes, 2 * page_bytes);
  const Generations generations{
      super.map_generation, super.map_floor, 0, {super.aborted, super.aborted_count}};
  const PageChoice choice = choose_slot(both, number, bits_magic, generations);
  EXPECT_GE(choice.slot, 0);
  return {(number * 2 + static_cast<std::uint64_t>(choice.slot)) * page_bytes};
}

// A volume half full, closed cleanly or not; some of it is in the log only.
Rig half_full(Prng& prng) {
  Rig rig = large_rig();
  open_warm(rig);
  for (int i = 0; i < 40; ++i) EXPECT_TRUE(rig.write_any(prng));
  fold(rig);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(rig.write_any(prng));
  rig.flush();
  return rig;
}

// Writes until the rot is met: the store says so and stops, and comes back with everything.
void meet_the_rot_and_come_back(Rig& rig, Prng& prng) {
  for (int i = 0; i < 40 && rig.sink.failures == 0; ++i) {
    if (!rig.write_any(prng)) break;
    fold(rig);
  }
  ASSERT_EQ(rig.sink.failures, 1) << "bits that do not verify must not be used";
  EXPECT_EQ(rig.sink.failure.code, Errc::corrupt);
  const Lsn last = rig.sink.durable;
  rig.run();
  rig.store.reset();
  rig.reopen_after_failure = true;
  ASSERT_TRUE(rig.open().has_value());
  rig.reopen_after_failure = false;
  ASSERT_GE(rig.store->facts().marks.written, last);
}

void expect_all_is_well(Rig& rig, Prng& prng) {
  EXPECT_EQ(rig.store->facts().damage, Damage::none);
  rig.expect_content(rig.last());
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(rig.write_any(prng));
  fold(rig);
  ASSERT_EQ(rig.sink.failures, 0);
  rig.expect_content(rig.last());
  rig.close();
  expect_exact_space(*rig.disk);
}

TEST(WalSweep, W46_rotten_allocation_bits_are_made_anew_from_the_entries) {
  for (std::uint64_t sector = 0; sector < sectors_per_page; ++sector) {
    for (const bool whole : {false, true}) {
      SCOPED_TRACE(sector);
      Prng prng(46 + sector);
      Rig rig = half_full(prng);
      rig.close();
      const BitsPage bits = find_bits(*rig.disk);
      if (whole) {
        const std::vector<std::byte> garbage(page_bytes, std::byte{0x5a});
        rig.disk->poke(map_name, bits.offset, garbage);
      } else {
        rig.disk->flip_bit(map_name, bits.offset + sector * sector_bytes + 40, 3);
      }
      ASSERT_TRUE(rig.open().has_value());
      rig.sink.durable = rig.last();
      ASSERT_NO_FATAL_FAILURE(meet_the_rot_and_come_back(rig, prng));
      ASSERT_NO_FATAL_FAILURE(expect_all_is_well(rig, prng));
    }
  }
}

TEST(WalSweep, W46_a_crash_at_any_change_of_the_sweep_sweeps_again) {
  Prng prng(3);
  Rig rig = half_full(prng);
  rig.close();
  rig.disk->flip_bit(map_name, find_bits(*rig.disk).offset + 40, 3);
  ASSERT_TRUE(rig.open().has_value());
  rig.sink.durable = rig.last();
  for (int i = 0; i < 40 && rig.sink.failures == 0; ++i) {
    ASSERT_TRUE(rig.write_any(prng));
    fold(rig);
  }
  ASSERT_EQ(rig.sink.failures, 1);
  rig.run();
  rig.store.reset();
  bool through = false;
  for (std::uint64_t at = 1; !through; ++at) {
    SCOPED_TRACE(at);
    ASSERT_LT(at, 200u);
    Rig copy = large_rig();
    copy.adopt(rig);
    copy.disk = rig.disk->clone();
    copy.reopen_after_failure = true;
    copy.keep_model = true;
    copy.disk->stop_after(at);
    through = copy.open().has_value() && !copy.disk->stopped();
    if (through) copy.disk->stop_after(std::uint64_t{1} << 40);  // never
    if (!through) {
      copy.lose_power(prng);
      ASSERT_TRUE(copy.open().has_value());
    }
    copy.run();
    copy.forget_beyond(copy.store->facts().marks.written);
    copy.keep_model = false;
    Prng more(at);
    ASSERT_NO_FATAL_FAILURE(expect_all_is_well(copy, more));
  }
}

// Then nobody can tell who owns what: whole columns come from a peer.
TEST(WalSweep, W46_with_a_rotten_entry_as_well_the_base_is_not_trusted) {
  Prng prng(5);
  Rig rig = half_full(prng);
  rig.close();
  rig.disk->flip_bit(map_name, find_bits(*rig.disk).offset + 40, 3);
  ASSERT_TRUE(rig.open().has_value());
  rig.sink.durable = rig.last();
  // Both slots of the first page of entries.
  for (std::uint64_t slot = 0; slot < 2; ++slot) {
    rig.disk->flip_bit(map_name, slot * page_bytes + 2 * sector_bytes + 40, 1);
  }
  ASSERT_NO_FATAL_FAILURE(meet_the_rot_and_come_back(rig, prng));
  EXPECT_EQ(rig.store->facts().damage, Damage::base_untrusted);
}

}  // namespace
}  // namespace seawall::wal
