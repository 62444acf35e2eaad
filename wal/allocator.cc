#include "wal/allocator.h"

#include <algorithm>

#include "engine/base/mutant.h"

namespace seawall::wal {

bool Allocator::is_free(const MapPage& page, std::uint64_t extent) const {
  if (MapCache::bit(page, extent)) return false;
  if (MapCache::committed_bit(page, extent) && !MUTANT(M58)) return false;
  return !named_.contains(static_cast<std::uint32_t>(extent));
}

Allocator::Found Allocator::look_at(std::uint64_t extent) {
  const MapPage* page = map_.get(map_.bits_page(extent));
  if (page == nullptr) return Found::wait;
  if (page->bad_sectors != 0) met_rot_ = true;
  if (page->failed || page->bad_sectors != 0) return Found::no;
  return is_free(*page, extent) ? Found::yes : Found::no;
}

Allocator::Found Allocator::next_run(std::uint64_t& cursor, std::uint32_t most, Run& run) {
  const std::uint64_t total = layout_.physical_extents();
  run = Run{};
  while (cursor < total) {
    const std::uint64_t number = cursor / bits_per_page;
    const std::uint64_t end = std::min<std::uint64_t>((number + 1) * bits_per_page, total);
    if (full_[number]) {
      if (run.count > 0) return Found::yes;
      cursor = end;
      continue;
    }
    const MapPage* page = map_.get(map_.bits_page(cursor));
    if (page == nullptr) return run.count > 0 ? Found::yes : Found::wait;
    const bool whole = cursor == number * bits_per_page;
    if (page->bad_sectors != 0) met_rot_ = true;
    const bool sound = !page->failed && page->bad_sectors == 0;
    for (; cursor < end && sound; ++cursor) {
      if (run.count == most) return Found::yes;
      if (is_free(*page, cursor)) {
        if (run.count++ == 0) run.first = static_cast<std::uint32_t>(cursor);
      } else if (run.count > 0) {
        return Found::yes;
      }
    }
    cursor = end;
    if (run.count > 0) return Found::yes;  // a run never spans two pages
    if (whole && !page->failed) full_[number] = true;
  }
  return run.count > 0 ? Found::yes : Found::no;
}

void Allocator::committed() {
  for (std::uint64_t page = 0; page < freed_.size(); ++page) {
    if (freed_[page]) may_be_free(page * bits_per_page);
  }
  std::fill(freed_.begin(), freed_.end(), false);
}

void Allocator::forget() {
  lowest_ = 0;
  met_rot_ = false;
  std::fill(full_.begin(), full_.end(), false);
  std::fill(freed_.begin(), freed_.end(), false);
}

}  // namespace seawall::wal
