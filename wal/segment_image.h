// One segment in memory, as far as it can be read. Blocking; used at opening and by the inspector.
//
// A read error is kept per block, after a second try block by block: unreadable is not absent.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "wal/aligned.h"
#include "wal/disk.h"
#include "wal/format.h"

namespace seawall::wal {

class SegmentImage {
 public:
  explicit SegmentImage(std::uint64_t bytes)
      : buffer_(bytes), unreadable_(bytes / block_bytes, false) {}

  void load(Disk& disk, FileId file) {
    unreadable_.assign(unreadable_.size(), false);
    constexpr std::size_t piece = 1 << 20;
    for (std::size_t at = 0; at < buffer_.size(); at += piece) {
      const std::size_t length = std::min(piece, buffer_.size() - at);
      if (disk.read(file, at, buffer_.span().subspan(at, length))) continue;
      for (std::size_t inside = 0; inside < length; inside += block_bytes) {
        const std::span<std::byte> into = buffer_.span().subspan(at + inside, block_bytes);
        if (!disk.read(file, at + inside, into)) unreadable_[(at + inside) / block_bytes] = true;
      }
    }
  }

  [[nodiscard]] bool readable(std::uint32_t block) const { return !unreadable_[block]; }
  [[nodiscard]] std::span<const std::byte> block(std::uint32_t block) const {
    return {buffer_.data() + std::size_t{block} * block_bytes, block_bytes};
  }
  // From that block to the end, or to the first unreadable block.
  [[nodiscard]] std::span<const std::byte> from(std::uint32_t block) const {
    std::uint32_t end = block;
    while (end < unreadable_.size() && end < block + batch_header_blocks_max && readable(end)) {
      ++end;
    }
    return {buffer_.data() + std::size_t{block} * block_bytes,
            std::size_t{end - block} * block_bytes};
  }

 private:
  AlignedBuffer buffer_;
  std::vector<bool> unreadable_;
};

}  // namespace seawall::wal
