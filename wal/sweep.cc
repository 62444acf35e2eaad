// The sweep: allocation bits made anew from the entries, when a page of them has rotted.
//
// Blocking, at opening. Bits follow the entries only, so a scan of all of them says which extents
// are taken; what the log names is kept beside. Every page of bits is written, under a generation
// of its own, and only then the super block says that they can be trusted: a crash before that
// sweeps again. Where an entry has rotted as well nobody can tell, and the base is not trusted.
#include <algorithm>

#include "wal/store_impl.h"

namespace seawall::wal {

// False: some entry cannot be read, or two of them name one extent.
Result<bool> StoreImpl::find_owners(std::vector<bool>& owned) {
  const Generations generations{super_.map_generation,
                                super_.map_floor,
                                0,
                                {super_.aborted, super_.aborted_count}};
  AlignedBuffer both(2 * page_bytes);
  MapPage page;
  page.ready = true;
  extents_mapped_ = 0;
  for (page.number = 0; page.number < layout_.entry_pages(); ++page.number) {
    if (!disk_.read(map_file_, page.number * 2 * page_bytes, both.span())) return false;
    const PageChoice choice = choose_slot(both.span(), page.number, entry_magic, generations);
    if (choice.bad_sectors != 0) return false;
    if (choice.slot < 0) continue;
    page.bytes = both.data() + static_cast<std::size_t>(choice.slot) * page_bytes;
    const std::uint64_t first = page.number * layout_.entries_per_page();
    const std::uint64_t end = std::min(first + layout_.entries_per_page(), layout_.extents());
    for (std::uint64_t extent = first; extent < end; ++extent) {
      const DiskEntry head = map_.entry(page, extent).head();
      if ((head.flags & entry_flag_valid) == 0 || head.physical == no_extent) continue;
      if (head.physical >= owned.size() || owned[head.physical]) return false;
      owned[head.physical] = true;
      ++extents_mapped_;
    }
  }
  return true;
}

Status StoreImpl::write_bits(const std::vector<bool>& owned, std::uint64_t generation) {
  AlignedBuffer both(2 * page_bytes);  // the other slot holds nothing
  MapPage page;
  page.bytes = both.data();
  for (std::uint64_t first = 0; first < owned.size(); first += bits_per_page) {
    std::fill(both.data(), both.data() + both.size(), std::byte{0});
    const std::uint64_t end = std::min<std::uint64_t>(first + bits_per_page, owned.size());
    for (std::uint64_t extent = first; extent < end; ++extent) {
      if (owned[extent]) MapCache::set_bit(page, extent, true);
    }
    page.number = map_.bits_page(first);
    seal_page({page.bytes, page_bytes}, page.number, bits_magic, generation);
    TRY(disk_.write(map_file_, page.number * 2 * page_bytes, both.span()));
  }
  return disk_.sync(map_file_);
}

Status StoreImpl::sweep_bits() {
  std::vector<bool> owned(layout_.physical_extents(), false);
  TRY_ASSIGN(const bool known, find_owners(owned));
  if (!known) {
    set_flag(super_next_, super_flag_base_untrusted, true);
    facts_.damage = Damage::base_untrusted;
    return store_super_now();
  }
  std::uint64_t generation = std::max(super_.map_generation, super_.intent_generation);
  for (std::uint32_t i = 0; i < super_.aborted_count; ++i) {
    generation = std::max(generation, super_.aborted[i]);
  }
  TRY(write_bits(owned, generation + 1));
  super_next_.map_generation = generation + 1;
  super_next_.extents_mapped = extents_mapped_;
  set_flag(super_next_, super_flag_bits_rotten, false);
  return store_super_now();
}

}  // namespace seawall::wal
