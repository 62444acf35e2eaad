// What the base of a replica on disk holds: read past the store, from the bytes alone.
#pragma once

#include <map>

#include "tests/log/rig.h"
#include "wal/layout.h"
#include "wal/map_cache.h"
#include "wal/super.h"

namespace seawall::wal {

struct SpaceReport {
  std::map<std::uint32_t, std::uint64_t> owner;  // physical extent -> extent of the volume
  std::uint64_t doubly_owned = 0;
  std::uint64_t leaked = 0;    // the bit says taken, nobody owns it
  std::uint64_t unguarded = 0;  // owned, and the bit says free
};

inline std::vector<std::byte> current_page(const MemDisk& disk, const DiskSuper& super,
                                           std::uint64_t number, std::uint32_t magic) {
  const auto both = disk.peek(map_name, number * 2 * page_bytes, 2 * page_bytes);
  const Generations generations{
      super.map_generation, super.map_floor, 0, {super.aborted, super.aborted_count}};
  const PageChoice choice = choose_slot(both, number, magic, generations);
  if (choice.slot < 0) return std::vector<std::byte>(page_bytes);
  const auto* from = both.data() + static_cast<std::size_t>(choice.slot) * page_bytes;
  return {from, from + page_bytes};
}

inline SpaceReport look_at_space(const MemDisk& original) {
  const std::unique_ptr<MemDisk> disk = original.clone();
  SpaceReport report;
  const auto file = disk->open(super_name);
  EXPECT_TRUE(file.has_value());
  const auto loaded = load_super(*disk, *file);
  EXPECT_TRUE(loaded.has_value());
  const DiskSuper& super = loaded->super;
  const Layout layout = layout_of(super);
  MapCache map(*disk, layout, 64);
  MapPage page;
  page.ready = true;
  for (std::uint64_t extent = 0; extent < layout.extents(); ++extent) {
    const std::uint64_t number = map.entry_page(extent);
    auto bytes = current_page(*disk, super, number, entry_magic);
    page.number = number;
    page.bytes = bytes.data();
    const DiskEntry head = map.entry(page, extent).head();
    if ((head.flags & entry_flag_valid) == 0 || head.physical == no_extent) continue;
    if (!report.owner.emplace(head.physical, extent).second) ++report.doubly_owned;
  }
  for (std::uint64_t first = 0; first < layout.physical_extents(); first += bits_per_page) {
    auto bytes = current_page(*disk, super, map.bits_page(first), bits_magic);
    page.bytes = bytes.data();
    const std::uint64_t end = std::min<std::uint64_t>(first + bits_per_page,
                                                      layout.physical_extents());
    for (std::uint64_t extent = first; extent < end; ++extent) {
      const bool taken = MapCache::bit(page, extent);
      const bool owned = report.owner.contains(static_cast<std::uint32_t>(extent));
      report.leaked += taken && !owned ? 1 : 0;
      report.unguarded += owned && !taken ? 1 : 0;
    }
  }
  return report;
}

inline void expect_exact_space(const MemDisk& disk) {
  const SpaceReport report = look_at_space(disk);
  EXPECT_EQ(report.doubly_owned, 0u) << "extents with two owners";
  EXPECT_EQ(report.leaked, 0u) << "extents that nobody owns and nobody can take";
  EXPECT_EQ(report.unguarded, 0u) << "extents that could be given away under their owner";
}

}  // namespace seawall::wal
