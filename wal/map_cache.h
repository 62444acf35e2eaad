// MapCache: the pages of extent entries and allocation bits, a bounded number of them in memory.
//
// A page has two slots on disk, next to each other; eight sectors each with page number, generation
// and CRC. The current slot is the newest with a committed generation. A slot whose greatest
// generation is not committed was torn by a crash: the other one. So was a slot with an empty
// sector in which none verifies: its first write. Any other sector of the current slot that does
// not verify is rot, never silently the older slot.
// Life cycle: sized at open. Thread: the owner's. Pages with pins or changes stay; others may go.
// Errors: a read error or rot is kept with the page (error(), bad sectors); changed pages are
// written to their other slot by the checkpoint only.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "wal/aligned.h"
#include "wal/disk.h"
#include "wal/layout.h"

namespace seawall::wal {

// Which generations may be taken for current.
struct Generations {
  std::uint64_t committed = 0;
  std::uint64_t floor = 0;  // pages below it are absent
  std::uint64_t open = 0;   // this process's own, not committed yet; 0: none
  std::span<const std::uint64_t> aborted;
  [[nodiscard]] bool counts(std::uint64_t generation) const;
};

// A decoded choice between two slots.
struct PageChoice {
  int slot = -1;  // -1: absent
  std::uint64_t generation = 0;
  std::uint8_t bad_sectors = 0;  // bit i: sector i is rotten
};
PageChoice choose_slot(std::span<const std::byte> both, std::uint64_t number, std::uint32_t magic,
                       const Generations& generations);

// Of the sectors that verify; 0: none does.
std::uint64_t greatest_generation(std::span<const std::byte> slot, std::uint64_t number,
                                  std::uint32_t magic);

// Every sector of a page gets its head and its CRC.
void seal_page(std::span<std::byte> page, std::uint64_t number, std::uint32_t magic,
               std::uint64_t generation);

struct MapPage {
  std::uint64_t number = 0;
  std::uint64_t generation = 0;
  std::byte* bytes = nullptr;  // page_bytes; all zero when the page is absent
  std::byte* committed = nullptr;  // of bits: as they are in the newest committed generation
  int slot = -1;               // that these bytes are in on disk
  std::uint8_t bad_sectors = 0;
  bool ready = false;
  bool failed = false;  // the read failed
  bool dirty = false;
  bool used = false;  // second chance
  std::uint16_t pins = 0;
};

// One entry of a page, in place.
struct EntryRef {
  std::byte* bytes = nullptr;
  std::uint32_t extent_blocks = 0;

  [[nodiscard]] DiskEntry head() const;
  void set_head(const DiskEntry& head);
  [[nodiscard]] std::uint64_t present() const;
  void set_present(std::uint64_t bits);
  [[nodiscard]] std::uint32_t crc(std::uint32_t block) const;
  void set_crc(std::uint32_t block, std::uint32_t crc);
};

// Told once when something that it waited for may be there.
struct MapWaiter {
  void (*wake)(void* owner) = nullptr;
  void* owner = nullptr;
  MapWaiter* next = nullptr;
  bool queued = false;
};

class MapCache {
 public:
  MapCache(Disk& disk, const Layout& layout, std::size_t pages);
  void attach(FileId file) { file_ = file; }
  void set_generations(const Generations& generations) { generations_ = generations; }

  // The page when it is here; else nullptr, and its read is on the way (or waits for room).
  MapPage* get(std::uint64_t number);
  // The page, if it is here and readable; never asks for it.
  MapPage* loaded(std::uint64_t number) {
    MapPage* page = find(number);
    return page != nullptr && page->ready && !page->failed ? page : nullptr;
  }
  void wait(MapWaiter& waiter);
  [[nodiscard]] bool loading() const { return loads_running_ > 0; }
  // True when no page can be brought in because all are changed or pinned.
  [[nodiscard]] bool full_of_changes() const { return starved_by_changes_; }

  // --- addressing ---
  [[nodiscard]] std::uint64_t entry_page(std::uint64_t extent) const {
    return extent / layout_.entries_per_page();
  }
  [[nodiscard]] std::uint64_t bits_page(std::uint64_t extent) const {
    return layout_.entry_pages() + extent / bits_per_page;
  }
  [[nodiscard]] bool is_bits(std::uint64_t number) const { return number >= layout_.entry_pages(); }
  [[nodiscard]] std::uint32_t sector_of(std::uint64_t extent) const;
  EntryRef entry(MapPage& page, std::uint64_t extent) const;
  static void set_bit(MapPage& page, std::uint64_t extent, bool on);
  [[nodiscard]] static bool bit(const MapPage& page, std::uint64_t extent);
  [[nodiscard]] static bool committed_bit(const MapPage& page, std::uint64_t extent);
  void commit_bits();  // what the pages hold now is what counts
  void mark_dirty(MapPage& page);
  [[nodiscard]] std::size_t dirty_count() const { return dirty_count_; }
  [[nodiscard]] std::size_t capacity() const { return pages_.size(); }

  // --- writing changed pages ---
  // Seals the next changed page under `generation` and says where it goes; nullptr: none is left.
  MapPage* next_dirty(std::size_t& cursor, std::uint64_t generation);
  [[nodiscard]] std::uint64_t offset_of(const MapPage& page) const {
    return (page.number * 2 + static_cast<std::uint64_t>(page.slot)) * page_bytes;
  }
  void written(MapPage& page);
  void forget_all();  // after the map was given up

 private:
  struct Load {
    Op op;
    iovec iov{};
    AlignedBuffer buffer;
    MapPage* page = nullptr;
    MapCache* cache = nullptr;
  };
  static void on_loaded(Op& op);
  void load_committed(MapPage& page, std::span<const std::byte> both);
  MapPage* find(std::uint64_t number);
  MapPage* victim();
  void link(MapPage& page);
  void unlink(MapPage& page);
  void wake_all();
  [[nodiscard]] std::size_t bucket(std::uint64_t number) const;

  Disk& disk_;
  Layout layout_;
  FileId file_ = no_file;
  Generations generations_;
  AlignedBuffer memory_;
  std::unique_ptr<std::byte[]> committed_;  // touched for pages of bits only
  std::vector<MapPage> pages_;
  std::vector<std::int32_t> table_;  // open addressing: index of the page, -1 empty
  std::vector<Load> loads_;
  std::size_t loads_running_ = 0;
  std::size_t hand_ = 0;
  std::size_t dirty_count_ = 0;
  bool starved_by_changes_ = false;
  MapWaiter* waiters_ = nullptr;
};

}  // namespace seawall::wal
