// Allocator: finds extents of the base that nobody holds.
//
// An extent is free when its allocation bit is clear, in the pages as they are and as they were
// last committed, and no retained record names it. So what a checkpoint frees stays taken until the
// super block says so, and what it takes and gives back is free again at once. The allocator only
// finds: who takes an extent sets its bit, or names it. It prefers low numbers, so that the base
// file stays as short as what it holds.
// Life cycle: that of its store. Thread: the owner's. Nothing is kept on disk. Errors: none; a page
// that rotted holds no free extent.
#pragma once

#include <cstdint>
#include <vector>

#include "wal/layout.h"
#include "wal/map_cache.h"
#include "wal/named.h"

namespace seawall::wal {

class Allocator {
 public:
  Allocator(MapCache& map, const Named& named, const Layout& layout)
      : map_(map),
        named_(named),
        layout_(layout),
        full_(layout.bits_pages(), false),
        freed_(full_) {}

  enum class Found : std::uint8_t { yes, no, wait };  // wait: for a page that is on its way

  struct Run {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };
  // The first run of at most `most` free extents at or behind `cursor`, which moves behind it.
  // Begin with start().
  Found next_run(std::uint64_t& cursor, std::uint32_t most, Run& run);
  [[nodiscard]] std::uint64_t start() const { return lowest_; }
  // Whether this one is free.
  Found look_at(std::uint64_t extent);
  // Everything below `cursor` was found taken, or was taken now.
  void taken_below(std::uint64_t cursor) { lowest_ = std::max(lowest_, cursor); }
  // The bit of this one was cleared: it may be free once that is committed.
  void will_be_free(std::uint64_t extent) { freed_[extent / bits_per_page] = true; }
  void committed();
  // This one may be free from now on.
  void may_be_free(std::uint64_t extent) {
    lowest_ = std::min(lowest_, extent);
    full_[extent / bits_per_page] = false;
  }
  void forget();  // whatever was known about what is taken
  // A page of bits was looked at that does not verify: what it holds counts as taken.
  [[nodiscard]] bool met_rot() const { return met_rot_; }

 private:
  [[nodiscard]] bool is_free(const MapPage& page, std::uint64_t extent) const;

  MapCache& map_;
  const Named& named_;
  const Layout& layout_;
  std::uint64_t lowest_ = 0;  // none below it is free
  bool met_rot_ = false;
  std::vector<bool> full_;    // pages of bits in which nothing was found
  std::vector<bool> freed_;   // pages in which a bit was cleared since the last commit
};

}  // namespace seawall::wal
