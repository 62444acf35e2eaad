// The super block's two slots: whatever rots and wherever the power goes, one of them is good.
#include <gtest/gtest.h>

#include "engine/base/prng.h"
#include "wal/aligned.h"
#include "wal/super.h"
#include "wal/testing/mem_disk.h"

namespace seawall::wal {
namespace {

struct Slots {
  MemDisk disk;
  FileId file = no_file;

  Slots() {
    file = *disk.create(super_name, 2 * super_slot_bytes);
    EXPECT_TRUE(disk.sync_directory("").has_value());
    put(0, 7);
    put(1, 7);
  }
  // A valid state of this generation in one slot, flushed.
  void put(std::size_t slot, std::uint64_t generation) {
    DiskSuper super{};
    super.magic = super_magic;
    super.version = format_version;
    super.generation = generation;
    super.promised = generation;
    super.segment_count = 16;
    super.segment_bytes = 64 * 1024;
    super.extent_bytes = 64 * 1024;
    AlignedBuffer buffer(super_slot_bytes);
    encode_super(super, buffer.span());
    EXPECT_TRUE(disk.write(file, slot * super_slot_bytes, buffer.span()).has_value());
    EXPECT_TRUE(disk.sync(file).has_value());
  }
  void rot(std::size_t slot) { disk.flip_bit(super_name, slot * super_slot_bytes + 200, 3); }
};

// An opening makes the slots equal and changes the state; the power goes at every point of it.
void lose_power_at_every_change(void (*prepare)(Slots&), std::uint64_t oldest) {
  for (std::uint64_t changes = 1; changes <= 10; ++changes) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
      Slots slots;
      prepare(slots);
      const auto loaded = load_super(slots.disk, slots.file);
      ASSERT_TRUE(loaded.has_value());
      LoadedSuper equal = *loaded;
      slots.disk.stop_after(changes);
      static_cast<void>(equalize_super(slots.disk, slots.file, equal, false));
      static_cast<void>(store_super(slots.disk, slots.file, equal.super, 0));
      Prng prng(seed);
      slots.disk.power_loss(prng);
      const auto file = slots.disk.open(super_name);
      ASSERT_TRUE(file.has_value());
      const auto found = load_super(slots.disk, *file);
      ASSERT_TRUE(found.has_value()) << "no slot is good after " << changes << " changes";
      EXPECT_GE(found->super.generation, oldest) << "after " << changes << " changes";
    }
  }
}

TEST(WalSuper, W38_a_loss_of_power_at_any_point_leaves_a_good_slot) {
  lose_power_at_every_change([](Slots&) {}, 7);
}

TEST(WalSuper, W38_also_when_the_first_slot_had_rotted) {
  lose_power_at_every_change([](Slots& slots) { slots.rot(0); }, 7);
}

TEST(WalSuper, W38_also_when_the_second_slot_had_rotted) {
  lose_power_at_every_change([](Slots& slots) { slots.rot(1); }, 7);
}

TEST(WalSuper, W38_also_when_a_change_had_not_reached_the_second_slot) {
  // Nobody was told of that change: the older state is as good.
  lose_power_at_every_change([](Slots& slots) { slots.put(0, 8); }, 7);
}

}  // namespace
}  // namespace seawall::wal
