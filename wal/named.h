// Named: the base extents that hold payload of records in the retained log, in the order of the
// log.
//
// A large write puts its payload into fresh extents; while the log keeps the record, they are
// neither overwritten nor given away, whatever the map says. With each go the CRC32Cs of its
// blocks, so that a read needs no header from disk. A payload has a place, as one in the log has:
// no place of the log has its highest bit. Life cycle: sized at open, rebuilt from the log there,
// never allocates after that. Thread: the owner's. Units: extents and blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "engine/base/ids.h"

namespace seawall::wal {

class Named {
 public:
  Named(std::uint32_t capacity, std::uint32_t extent_blocks);

  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(tail_ - head_); }
  [[nodiscard]] std::uint32_t room() const { return limit_ - size(); }
  [[nodiscard]] bool contains(std::uint32_t extent) const;
  // Of records beyond `lsn`.
  [[nodiscard]] std::uint32_t beyond(Lsn lsn) const;

  // The next extent of record `lsn`, which is the newest one; false: full, or named already.
  [[nodiscard]] bool push(Lsn lsn, std::uint32_t extent, std::span<const std::uint32_t> crcs);
  // Records below `lsn` have left the log; `gone` hears of each extent.
  template <class F>
  void drop_before(Lsn lsn, F gone) {
    for (; head_ < tail_ && at(head_).lsn < lsn; ++head_) {
      erase_key(at(head_).extent);
      gone(at(head_).extent);
    }
  }
  void clear();

  // --- places ---
  static constexpr std::uint32_t place_flag = 0x80000000u;
  static constexpr std::uint32_t no_place = 0xffffffffu;
  [[nodiscard]] static bool is_place(std::uint32_t place) {
    return (place & place_flag) != 0 && place != no_place;
  }
  // Of the first block of record `lsn`; no_place: it names nothing.
  [[nodiscard]] std::uint32_t place_of(Lsn lsn) const;
  [[nodiscard]] std::uint64_t base_block(std::uint32_t place) const;
  [[nodiscard]] std::uint32_t crc(std::uint32_t place) const { return crcs_[offset(place)]; }

 private:
  struct Entry {
    Lsn lsn;
    std::uint32_t extent;
  };
  [[nodiscard]] Entry& at(std::uint64_t sequence) const { return entries_[sequence % capacity_]; }
  [[nodiscard]] std::uint64_t first_beyond(Lsn lsn) const;  // sequence
  [[nodiscard]] std::size_t offset(std::uint32_t place) const {
    return (place & ~place_flag) % (std::size_t{capacity_} * extent_blocks_);
  }
  [[nodiscard]] std::size_t bucket(std::uint32_t extent) const;
  void erase_key(std::uint32_t extent);

  std::uint32_t limit_;     // 0: a replica without spare extents
  std::uint32_t capacity_;  // never 0
  std::uint32_t extent_blocks_;
  std::unique_ptr<Entry[]> entries_;  // a ring; touched only as far as it was ever filled
  std::unique_ptr<std::uint32_t[]> crcs_;
  std::unique_ptr<std::uint32_t[]> keys_;  // open addressing; no_place: empty
  std::size_t key_count_;                  // a power of two, at least twice the capacity
  std::uint64_t head_ = 0, tail_ = 0;      // sequences
};

}  // namespace seawall::wal
