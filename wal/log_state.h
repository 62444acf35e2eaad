// LogState: where everything in the retained log is.
//
// Segment slots with their state, a table of batches by lsn, and the CRC32C of every payload block
// by its place, so that neither reads nor the checkpoint need a header from disk to verify a block.
// A place is slot * segment_blocks + block. Life cycle: sized at open, never allocates after that.
// Thread: the owner's. Invariants: retained slots are in the order of their numbers; batches
// ascend.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/ids.h"
#include "wal/disk.h"
#include "wal/layout.h"
#include "wal/segment.h"

namespace seawall::wal {

struct LogSlot {
  FileId file = no_file;
  SegmentHeader header;
  bool retained = false;
  bool dirty = false;       // written since its last flush was issued
  std::uint32_t reads = 0;  // tickets: no reuse while there is one
};

struct BatchPlace {
  Lsn first_lsn;
  std::uint64_t bytes_before = 0;  // log bytes of all batches before it, since opening
  std::uint32_t place = 0;         // of its first header block
  std::uint16_t count = 0;
  std::uint16_t payload_blocks = 0;
  std::uint16_t header_blocks = 0;
  [[nodiscard]] std::uint32_t blocks() const {
    return std::uint32_t{header_blocks} + payload_blocks;
  }
  [[nodiscard]] Lsn last_lsn() const { return Lsn(first_lsn.value() + count - 1); }
};

class LogState {
 public:
  explicit LogState(const Layout& layout)
      : layout_(layout),
        slots_(layout.segment_count),
        batch_capacity_(layout.log_blocks()),
        batches_(std::make_unique_for_overwrite<BatchPlace[]>(batch_capacity_)),
        crcs_(std::make_unique_for_overwrite<std::uint32_t[]>(layout.log_blocks())) {
    order_.reserve(layout.segment_count);
    free_.reserve(layout.segment_count);
  }

  void clear() {
    for (LogSlot& slot : slots_) {
      slot.retained = false;
      slot.dirty = false;
    }
    order_.clear();
    free_.clear();
    batch_head_ = 0;
    batch_size_ = 0;
    bytes_ = 0;
  }

  LogSlot& slot(std::uint32_t index) { return slots_[index]; }
  [[nodiscard]] const LogSlot& slot(std::uint32_t index) const { return slots_[index]; }
  std::vector<LogSlot>& slots() { return slots_; }

  // --- retained segments, oldest first ---
  [[nodiscard]] const std::vector<std::uint32_t>& order() const { return order_; }
  void retain(std::uint32_t index, const SegmentHeader& header) {
    CHECK(!slots_[index].retained);
    slots_[index].header = header;
    slots_[index].retained = true;
    order_.push_back(index);
  }
  void release_first() {
    CHECK(!order_.empty());
    const std::uint32_t index = order_.front();
    order_.erase(order_.begin());
    slots_[index].retained = false;
    free_.push_back(index);
  }

  // --- free ring ---
  void add_free(std::uint32_t index) { free_.push_back(index); }
  [[nodiscard]] std::size_t free_count() const {
    std::size_t count = 0;
    for (const std::uint32_t index : free_) count += slots_[index].reads == 0 ? 1 : 0;
    return count;
  }
  // The first free slot that no reader holds.
  std::uint32_t take_free() {
    for (std::size_t i = 0; i < free_.size(); ++i) {
      if (slots_[free_[i]].reads > 0) continue;
      const std::uint32_t index = free_[i];
      free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(i));
      return index;
    }
    UNREACHABLE("no free segment: the caller counts first");
  }

  // --- batches ---
  [[nodiscard]] std::uint32_t batch_count() const { return batch_size_; }
  [[nodiscard]] const BatchPlace& batch(std::uint32_t index) const {
    return batches_[(batch_head_ + index) % batch_capacity_];
  }
  void push_batch(BatchPlace place) {
    CHECK(batch_size_ < batch_capacity_);
    place.bytes_before = bytes_;
    bytes_ += std::uint64_t{place.blocks()} * block_bytes;
    batches_[(batch_head_ + batch_size_) % batch_capacity_] = place;
    ++batch_size_;
  }
  void drop_batches_before(Lsn lsn) {
    while (batch_size_ > 0 && batches_[batch_head_].first_lsn < lsn) {
      batch_head_ = (batch_head_ + 1) % batch_capacity_;
      --batch_size_;
    }
  }
  // Index of the batch that holds `lsn`, or batch_count().
  [[nodiscard]] std::uint32_t find_batch(Lsn lsn) const {
    std::uint32_t low = 0;
    std::uint32_t high = batch_size_;
    while (low < high) {
      const std::uint32_t middle = low + (high - low) / 2;
      if (batch(middle).last_lsn() < lsn) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low < batch_size_ && batch(low).first_lsn <= lsn ? low : batch_size_;
  }
  // Log bytes of the batches that hold records beyond `lsn`.
  [[nodiscard]] std::uint64_t bytes_beyond(Lsn lsn) const {
    const std::uint32_t index = find_batch(lsn.next());
    return index == batch_size_ ? 0 : bytes_ - batch(index).bytes_before;
  }

  // --- places ---
  [[nodiscard]] std::uint32_t place(std::uint32_t slot, std::uint32_t block) const {
    return slot * layout_.segment_blocks() + block;
  }
  [[nodiscard]] std::uint32_t slot_of(std::uint32_t place) const {
    return place / layout_.segment_blocks();
  }
  [[nodiscard]] std::uint64_t offset_of(std::uint32_t place) const {
    return std::uint64_t{place % layout_.segment_blocks()} * block_bytes;
  }
  std::uint32_t& crc(std::uint32_t place) { return crcs_[place]; }

 private:
  Layout layout_;
  std::vector<LogSlot> slots_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> free_;
  std::uint32_t batch_capacity_;
  std::unique_ptr<BatchPlace[]> batches_;
  std::uint32_t batch_head_ = 0;
  std::uint32_t batch_size_ = 0;
  std::uint64_t bytes_ = 0;
  std::unique_ptr<std::uint32_t[]> crcs_;
};

}  // namespace seawall::wal
