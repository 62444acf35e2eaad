#include "wal/map_cache.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "wal/crc32c.h"

namespace seawall::wal {
namespace {

constexpr std::size_t loads_max = 16;

std::uint32_t sector_crc(std::span<const std::byte> sector) {
  constexpr std::byte zeroes[4] = {};
  constexpr std::size_t hole = offsetof(DiskSector, crc);
  std::uint32_t crc = crc32c(sector.first(hole));
  crc = crc32c(zeroes, crc);
  return crc32c(sector.subspan(hole + 4), crc);
}

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

struct SlotView {
  bool zero = true;            // every sector is
  bool hole = false;           // some sector is: no whole page was ever written here
  std::uint64_t greatest = 0;  // generation of any sector that verifies
  std::uint8_t bad = 0;        // sectors that do not verify, or are of another generation
};

SlotView view_slot(std::span<const std::byte> slot, std::uint64_t number, std::uint32_t magic) {
  SlotView view;
  std::uint64_t generations[sectors_per_page] = {};
  bool verifies[sectors_per_page] = {};
  for (std::size_t i = 0; i < sectors_per_page; ++i) {
    const auto sector = slot.subspan(i * sector_bytes, sector_bytes);
    if (all_zero(sector)) {
      view.hole = true;
      continue;
    }
    view.zero = false;
    DiskSector head;
    std::memcpy(&head, sector.data(), sizeof head);
    verifies[i] = head.magic == magic && head.version == format_version && head.sector == i &&
                  head.page == number && head.crc == sector_crc(sector);
    if (!verifies[i]) continue;
    generations[i] = head.generation;
    view.greatest = std::max(view.greatest, head.generation);
  }
  for (std::size_t i = 0; i < sectors_per_page; ++i) {
    if (!verifies[i] || generations[i] != view.greatest) {
      view.bad = static_cast<std::uint8_t>(view.bad | (1u << i));
    }
  }
  return view;
}

}  // namespace

std::uint64_t greatest_generation(std::span<const std::byte> slot, std::uint64_t number,
                                  std::uint32_t magic) {
  return view_slot(slot, number, magic).greatest;
}

void seal_page(std::span<std::byte> page, std::uint64_t number, std::uint32_t magic,
               std::uint64_t generation) {
  for (std::size_t i = 0; i < sectors_per_page; ++i) {
    const std::span<std::byte> sector = page.subspan(i * sector_bytes, sector_bytes);
    DiskSector head{};
    head.magic = magic;
    head.version = format_version;
    head.sector = static_cast<std::uint16_t>(i);
    head.page = number;
    head.generation = generation;
    std::memcpy(sector.data(), &head, sizeof head);
    head.crc = sector_crc(sector);
    std::memcpy(sector.data(), &head, sizeof head);
  }
}

bool Generations::counts(std::uint64_t generation) const {
  if (generation == 0 || generation < floor) return false;
  if (open != 0 && generation == open) return true;
  if (generation > committed) return false;
  return std::find(aborted.begin(), aborted.end(), generation) == aborted.end();
}

PageChoice choose_slot(std::span<const std::byte> both, std::uint64_t number, std::uint32_t magic,
                       const Generations& generations) {
  PageChoice choice;
  for (int slot = 0; slot < 2; ++slot) {
    const SlotView view = view_slot(
        both.subspan(static_cast<std::size_t>(slot) * page_bytes, page_bytes), number, magic);
    if (view.zero) continue;
    // Torn at its first write: a page that was written whole has no empty sector. The other slot.
    if (view.greatest == 0 && view.hole) continue;
    if (view.greatest == 0) {
      // Not one sector says how old it is: it may be the newest.
      if (choice.generation == 0) {
        choice = PageChoice{slot, 0, 0xff};
      } else {
        choice.bad_sectors = 0xff;
      }
      continue;
    }
    if (!generations.counts(view.greatest)) continue;
    if (choice.slot >= 0 && choice.bad_sectors == 0xff && choice.generation == 0) {
      choice = PageChoice{slot, view.greatest, 0xff};
      continue;
    }
    if (view.greatest >= choice.generation) {
      choice = PageChoice{slot, view.greatest, view.bad};
    }
  }
  return choice;
}

// --- entries ---

DiskEntry EntryRef::head() const {
  DiskEntry head;
  std::memcpy(&head, bytes, sizeof head);
  return head;
}
void EntryRef::set_head(const DiskEntry& head) { std::memcpy(bytes, &head, sizeof head); }

std::uint64_t EntryRef::present() const {
  if (extent_blocks <= 16) return head().present;
  std::uint64_t bits = 0;
  std::memcpy(&bits, bytes + sizeof(DiskEntry), sizeof bits);
  return bits;
}
void EntryRef::set_present(std::uint64_t bits) {
  DiskEntry entry_head = head();
  entry_head.present = static_cast<std::uint16_t>(bits);
  set_head(entry_head);
  if (extent_blocks > 16) std::memcpy(bytes + sizeof(DiskEntry), &bits, sizeof bits);
}

std::uint32_t EntryRef::crc(std::uint32_t block) const {
  const std::size_t at = sizeof(DiskEntry) + (extent_blocks > 16 ? 8 : 0) + 4 * block;
  std::uint32_t crc = 0;
  std::memcpy(&crc, bytes + at, sizeof crc);
  return crc;
}
void EntryRef::set_crc(std::uint32_t block, std::uint32_t crc) {
  const std::size_t at = sizeof(DiskEntry) + (extent_blocks > 16 ? 8 : 0) + 4 * block;
  std::memcpy(bytes + at, &crc, sizeof crc);
}

// --- cache ---

MapCache::MapCache(Disk& disk, const Layout& layout, std::size_t pages)
    : disk_(disk),
      layout_(layout),
      memory_(pages * page_bytes),
      committed_(std::make_unique_for_overwrite<std::byte[]>(pages * page_bytes)),
      pages_(pages),
      table_(pages * 2 + 1, -1),
      loads_(loads_max) {
  for (std::size_t i = 0; i < pages; ++i) {
    pages_[i].bytes = memory_.data() + i * page_bytes;
    pages_[i].committed = committed_.get() + i * page_bytes;
  }
  for (Load& load : loads_) {
    load.buffer = AlignedBuffer(2 * page_bytes);
    load.iov = iovec{load.buffer.data(), load.buffer.size()};
    load.op.kind = Op::Kind::read;
    load.op.iov = &load.iov;
    load.op.iov_count = 1;
    load.op.done = &MapCache::on_loaded;
    load.op.owner = &load;
    load.cache = this;
  }
}

std::size_t MapCache::bucket(std::uint64_t number) const {
  return static_cast<std::size_t>((number * 0x9e3779b97f4a7c15ull) >> 20) % table_.size();
}

MapPage* MapCache::find(std::uint64_t number) {
  for (std::size_t at = bucket(number); table_[at] >= 0; at = (at + 1) % table_.size()) {
    MapPage& page = pages_[static_cast<std::size_t>(table_[at])];
    if (page.number == number) return &page;
  }
  return nullptr;
}

void MapCache::link(MapPage& page) {
  std::size_t at = bucket(page.number);
  while (table_[at] >= 0) at = (at + 1) % table_.size();
  table_[at] = static_cast<std::int32_t>(&page - pages_.data());
}

// Removes a page from the table; entries behind it in the same run move up.
void MapCache::unlink(MapPage& page) {
  const auto index = static_cast<std::int32_t>(&page - pages_.data());
  std::size_t hole = bucket(page.number);
  while (table_[hole] != index) hole = (hole + 1) % table_.size();
  table_[hole] = -1;
  for (std::size_t at = (hole + 1) % table_.size(); table_[at] >= 0;
       at = (at + 1) % table_.size()) {
    const std::size_t home = bucket(pages_[static_cast<std::size_t>(table_[at])].number);
    const bool stays = hole < at ? home > hole && home <= at : home > hole || home <= at;
    if (stays) continue;
    table_[hole] = table_[at];
    table_[at] = -1;
    hole = at;
  }
}

MapPage* MapCache::victim() {
  bool changes = false;
  for (std::size_t step = 0; step < 2 * pages_.size(); ++step) {
    MapPage& page = pages_[hand_];
    hand_ = (hand_ + 1) % pages_.size();
    const bool empty = !page.ready && !page.failed && page.pins == 0;
    if (empty) return &page;
    if (page.dirty) changes = true;
    if (page.dirty || page.pins > 0) continue;
    if (page.used) {
      page.used = false;
      continue;
    }
    unlink(page);
    page.ready = false;
    page.failed = false;
    return &page;
  }
  starved_by_changes_ = changes;
  return nullptr;
}

MapPage* MapCache::get(std::uint64_t number) {
  CHECK(number < layout_.pages());
  if (MapPage* page = find(number)) {
    if (!page->ready && !page->failed) return nullptr;  // on its way
    page->used = true;
    return page;
  }
  if (loads_running_ == loads_max) return nullptr;
  starved_by_changes_ = false;
  MapPage* page = victim();
  if (page == nullptr) return nullptr;
  auto free_load = std::find_if(loads_.begin(), loads_.end(),
                                [](const Load& load) { return load.page == nullptr; });
  CHECK(free_load != loads_.end());
  *page = MapPage{
      .number = number, .bytes = page->bytes, .committed = page->committed, .pins = 1};
  link(*page);
  free_load->page = page;
  free_load->op.file = file_;
  free_load->op.offset = number * 2 * page_bytes;
  ++loads_running_;
  disk_.submit(free_load->op);
  return nullptr;
}

void MapCache::on_loaded(Op& op) {
  Load& load = *static_cast<Load*>(op.owner);
  MapCache& cache = *load.cache;
  MapPage& page = *load.page;
  load.page = nullptr;
  --cache.loads_running_;
  page.pins = 0;
  page.used = true;
  if (op.result < 0) {
    page.failed = true;
  } else {
    const std::uint32_t magic = cache.is_bits(page.number) ? bits_magic : entry_magic;
    const PageChoice choice =
        choose_slot(load.buffer.span(), page.number, magic, cache.generations_);
    page.ready = true;
    page.slot = choice.slot;
    page.generation = choice.generation;
    page.bad_sectors = choice.bad_sectors;
    if (choice.slot < 0) {
      std::memset(page.bytes, 0, page_bytes);
    } else {
      std::memcpy(page.bytes,
                  load.buffer.data() + static_cast<std::size_t>(choice.slot) * page_bytes,
                  page_bytes);
    }
    if (cache.is_bits(page.number)) cache.load_committed(page, load.buffer.span());
  }
  cache.wake_all();
  if (page.failed) {  // whoever wanted it has seen it; the next one tries again
    cache.unlink(page);
    page.failed = false;
  }
}

// A page of an open checkpoint that was written and comes back: what it frees is not free yet.
void MapCache::load_committed(MapPage& page, std::span<const std::byte> both) {
  if (generations_.open == 0) {
    std::memcpy(page.committed, page.bytes, page_bytes);
    return;
  }
  Generations closed = generations_;
  closed.open = 0;
  const PageChoice choice = choose_slot(both, page.number, bits_magic, closed);
  if (choice.slot < 0) {
    std::memset(page.committed, 0, page_bytes);
  } else {
    std::memcpy(page.committed, both.data() + static_cast<std::size_t>(choice.slot) * page_bytes,
                page_bytes);
  }
}

void MapCache::commit_bits() {
  for (MapPage& page : pages_) {
    if (page.ready && is_bits(page.number)) std::memcpy(page.committed, page.bytes, page_bytes);
  }
}

void MapCache::wait(MapWaiter& waiter) {
  if (waiter.queued) return;
  waiter.queued = true;
  waiter.next = waiters_;
  waiters_ = &waiter;
}

void MapCache::wake_all() {
  MapWaiter* list = waiters_;
  waiters_ = nullptr;
  while (list != nullptr) {
    MapWaiter* waiter = list;
    list = waiter->next;
    waiter->queued = false;
    waiter->wake(waiter->owner);
  }
}

std::uint32_t MapCache::sector_of(std::uint64_t extent) const {
  const std::uint64_t inside = extent % layout_.entries_per_page();
  return static_cast<std::uint32_t>(inside / entries_per_sector(layout_.extent_blocks()));
}

EntryRef MapCache::entry(MapPage& page, std::uint64_t extent) const {
  CHECK(page.ready);
  CHECK(page.number == entry_page(extent));
  const std::size_t per_sector = entries_per_sector(layout_.extent_blocks());
  const std::size_t inside = extent % layout_.entries_per_page();
  std::byte* at = page.bytes + inside / per_sector * sector_bytes + sizeof(DiskSector) +
                  inside % per_sector * entry_bytes(layout_.extent_blocks());
  return EntryRef{at, layout_.extent_blocks()};
}

namespace {
std::byte* bit_byte(std::byte* page, std::uint64_t extent) {
  const std::uint64_t inside = extent % bits_per_page;
  const std::uint64_t per_sector = sector_room * 8;
  return page + inside / per_sector * sector_bytes + sizeof(DiskSector) + inside % per_sector / 8;
}
}  // namespace

void MapCache::set_bit(MapPage& page, std::uint64_t extent, bool on) {
  std::byte* byte = bit_byte(page.bytes, extent);
  const auto mask = static_cast<std::byte>(1u << (extent % bits_per_page % (sector_room * 8) % 8));
  *byte = on ? *byte | mask : *byte & ~mask;
}

namespace {
bool bit_of(std::byte* page, std::uint64_t extent) {
  const auto mask = static_cast<std::byte>(1u << (extent % bits_per_page % (sector_room * 8) % 8));
  return (*bit_byte(page, extent) & mask) != std::byte{0};
}
}  // namespace

bool MapCache::bit(const MapPage& page, std::uint64_t extent) { return bit_of(page.bytes, extent); }
bool MapCache::committed_bit(const MapPage& page, std::uint64_t extent) {
  return bit_of(page.committed, extent);
}

void MapCache::mark_dirty(MapPage& page) {
  CHECK(page.ready);
  if (!page.dirty) ++dirty_count_;
  page.dirty = true;
}

MapPage* MapCache::next_dirty(std::size_t& cursor, std::uint64_t generation) {
  while (cursor < pages_.size() && !(pages_[cursor].ready && pages_[cursor].dirty)) ++cursor;
  if (cursor == pages_.size()) return nullptr;
  MapPage& page = pages_[cursor++];
  // A page goes to its other slot once in a generation, then to that slot again.
  if (page.slot < 0) {
    page.slot = 0;
  } else if (page.generation != generation && !MUTANT(M65)) {
    page.slot = 1 - page.slot;
  }
  page.generation = generation;
  seal_page({page.bytes, page_bytes}, page.number, is_bits(page.number) ? bits_magic : entry_magic,
            generation);
  ++page.pins;
  page.dirty = false;
  --dirty_count_;
  return &page;
}

void MapCache::written(MapPage& page) {
  CHECK(page.pins > 0);
  --page.pins;
  wake_all();  // it may go now: whoever starved may go on
}

void MapCache::forget_all() {
  CHECK(loads_running_ == 0);
  std::fill(table_.begin(), table_.end(), -1);
  for (MapPage& page : pages_) {
    page = MapPage{.bytes = page.bytes, .committed = page.committed};
  }
  dirty_count_ = 0;
}

}  // namespace seawall::wal
