#include "wal/named.h"

#include <algorithm>
#include <bit>

#include "engine/base/check.h"

namespace seawall::wal {

Named::Named(std::uint32_t capacity, std::uint32_t extent_blocks)
    : limit_(capacity),
      capacity_(std::max(capacity, 1u)),
      extent_blocks_(extent_blocks),
      entries_(std::make_unique_for_overwrite<Entry[]>(capacity_)),
      crcs_(std::make_unique_for_overwrite<std::uint32_t[]>(std::size_t{capacity_} *
                                                            extent_blocks)),
      key_count_(std::bit_ceil(std::size_t{capacity_} * 2)) {
  // A place and the blocks behind it never reach the flag, nor no_place.
  CHECK((std::uint64_t{capacity_} + 1) * extent_blocks < place_flag);
  keys_ = std::make_unique_for_overwrite<std::uint32_t[]>(key_count_);
  clear();
}

void Named::clear() {
  std::fill_n(keys_.get(), key_count_, no_place);
  head_ = 0;
  tail_ = 0;
}

std::size_t Named::bucket(std::uint32_t extent) const {
  return static_cast<std::size_t>((extent * 0x9e3779b97f4a7c15ull) >> 20) & (key_count_ - 1);
}

bool Named::contains(std::uint32_t extent) const {
  for (std::size_t i = bucket(extent); keys_[i] != no_place; i = (i + 1) & (key_count_ - 1)) {
    if (keys_[i] == extent) return true;
  }
  return false;
}

bool Named::push(Lsn lsn, std::uint32_t extent, std::span<const std::uint32_t> crcs) {
  CHECK(crcs.size() == extent_blocks_);
  CHECK(size() == 0 || at(tail_ - 1).lsn <= lsn);
  if (room() == 0 || contains(extent)) return false;
  std::size_t key = bucket(extent);
  while (keys_[key] != no_place) key = (key + 1) & (key_count_ - 1);
  keys_[key] = extent;
  std::copy(crcs.begin(), crcs.end(), &crcs_[(tail_ % capacity_) * extent_blocks_]);
  at(tail_++) = Entry{lsn, extent};
  return true;
}

// Keys behind the hole that hash to it or before it move up.
void Named::erase_key(std::uint32_t extent) {
  const std::size_t mask = key_count_ - 1;
  std::size_t hole = bucket(extent);
  while (keys_[hole] != extent) {
    CHECK(keys_[hole] != no_place);
    hole = (hole + 1) & mask;
  }
  for (std::size_t i = (hole + 1) & mask; keys_[i] != no_place; i = (i + 1) & mask) {
    if (((i - bucket(keys_[i])) & mask) < ((i - hole) & mask)) continue;
    keys_[hole] = keys_[i];
    hole = i;
  }
  keys_[hole] = no_place;
}

std::uint64_t Named::first_beyond(Lsn lsn) const {
  std::uint64_t low = head_;
  std::uint64_t high = tail_;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    if (at(middle).lsn <= lsn) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

std::uint32_t Named::beyond(Lsn lsn) const {
  return static_cast<std::uint32_t>(tail_ - first_beyond(lsn));
}

std::uint32_t Named::place_of(Lsn lsn) const {
  const std::uint64_t first = first_beyond(Lsn(lsn.value() - 1));
  if (first == tail_ || at(first).lsn != lsn) return no_place;
  return place_flag | static_cast<std::uint32_t>((first % capacity_) * extent_blocks_);
}

std::uint64_t Named::base_block(std::uint32_t place) const {
  const std::size_t block = offset(place);
  return std::uint64_t{entries_[block / extent_blocks_].extent} * extent_blocks_ +
         block % extent_blocks_;
}

}  // namespace seawall::wal
