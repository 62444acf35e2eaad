// The payload of one large write in memory, as far as it can be read. Blocking; for opening.
//
// A read error is kept per block, after a second try block by block.
#pragma once

#include <vector>

#include "wal/aligned.h"
#include "wal/disk.h"
#include "wal/layout.h"
#include "wal/segment.h"

namespace seawall::wal {

class LargeImage {
 public:
  LargeImage(Disk& disk, FileId base, const Layout& layout)
      : disk_(disk), base_(base), layout_(layout), buffer_(limits::record_bytes_max) {}

  // Whether these extents can be a payload at all: of this geometry, inside the base.
  static bool possible(const BatchView::Record& record, const Layout& layout) {
    for (const std::uint32_t extent : record.extents) {
      if (extent >= layout.physical_extents()) return false;
    }
    return record.extents.empty() ||
           record.extents.size() * layout.extent_blocks() == record.crcs.size();
  }

  void load(const BatchView::Record& record) {
    unreadable_.assign(record.crcs.size(), false);
    for (std::size_t i = 0; i < record.extents.size();) {
      std::size_t run = 1;
      while (i + run < record.extents.size() &&
             record.extents[i + run] == record.extents[i] + static_cast<std::uint32_t>(run)) {
        ++run;
      }
      load_run(record.extents[i], i, run);
      i += run;
    }
  }
  [[nodiscard]] bool readable(std::size_t block) const { return !unreadable_[block]; }
  [[nodiscard]] std::span<const std::byte> block(std::size_t block) const {
    return {buffer_.data() + block * block_bytes, block_bytes};
  }

 private:
  void load_run(std::uint32_t extent, std::size_t index, std::size_t run) {
    const std::uint64_t offset = std::uint64_t{extent} * layout_.extent_bytes;
    const std::size_t at = index * layout_.extent_bytes;
    const std::size_t length = run * layout_.extent_bytes;
    if (disk_.read(base_, offset, buffer_.span().subspan(at, length))) return;
    for (std::size_t inside = 0; inside < length; inside += block_bytes) {
      const auto into = buffer_.span().subspan(at + inside, block_bytes);
      if (!disk_.read(base_, offset + inside, into)) {
        unreadable_[(at + inside) / block_bytes] = true;
      }
    }
  }

  Disk& disk_;
  FileId base_;
  const Layout& layout_;
  AlignedBuffer buffer_;
  std::vector<bool> unreadable_;
};

}  // namespace seawall::wal
