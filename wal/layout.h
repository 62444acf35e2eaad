// Layout: the sizes of one replica, derived once from its geometry.
//
// A value. Units are in the names. make_layout() refuses what the format cannot hold.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/result.h"
#include "wal/format.h"
#include "wal/store.h"

namespace seawall::wal {

struct Layout {
  std::uint64_t size_blocks = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t segment_bytes = 0;
  std::uint32_t segment_count = 0;
  std::uint32_t extent_bytes = 0;
  std::uint64_t spare_extents = 0;

  [[nodiscard]] std::uint32_t segment_blocks() const {
    return static_cast<std::uint32_t>(segment_bytes / block_bytes);
  }
  [[nodiscard]] std::uint32_t log_blocks() const { return segment_blocks() * segment_count; }
  [[nodiscard]] std::uint32_t extent_blocks() const {
    return static_cast<std::uint32_t>(extent_bytes / block_bytes);
  }
  [[nodiscard]] std::uint64_t extents() const {
    return (size_blocks + extent_blocks() - 1) / extent_blocks();
  }
  // Those that the base file has room for: one for each of the volume, and the spare ones.
  [[nodiscard]] std::uint64_t physical_extents() const { return extents() + spare_extents; }
  // Extents that retained records may name at a time. While one is named, its successor in the map
  // may be a named one as well, or a copy: two spare extents a name, so that a checkpoint never
  // lacks one.
  [[nodiscard]] std::uint32_t named_max() const {
    return static_cast<std::uint32_t>(spare_extents / 2);
  }
  // A record is at most 1 MiB and at most a quarter of a segment.
  [[nodiscard]] std::uint32_t record_blocks_max() const {
    return std::min<std::uint32_t>(static_cast<std::uint32_t>(limits::record_blocks_max),
                                   segment_blocks() / 4);
  }
  [[nodiscard]] std::uint32_t entries_per_page() const {
    return static_cast<std::uint32_t>(entries_per_sector(extent_blocks()) * sectors_per_page);
  }
  [[nodiscard]] std::uint64_t entry_pages() const {
    return (extents() + entries_per_page() - 1) / entries_per_page();
  }
  [[nodiscard]] std::uint64_t bits_pages() const {
    return (physical_extents() + bits_per_page - 1) / bits_per_page;
  }
  [[nodiscard]] std::uint64_t pages() const { return entry_pages() + bits_pages(); }
  [[nodiscard]] std::uint64_t map_bytes() const { return pages() * 2 * page_bytes; }
  [[nodiscard]] std::uint64_t base_bytes() const { return physical_extents() * extent_bytes; }
};

Result<Layout> make_layout(const Geometry& geometry);
Layout layout_of(const DiskSuper& super);

}  // namespace seawall::wal
