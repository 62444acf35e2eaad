// Index: which record holds the newest content of each block beyond `applied`.
//
// Ranges lba -> (lsn, place in the log), disjoint, ordered by lba; a later insert overwrites what
// it covers, splitting what it covers in part. Discards and zeroes are ranges without a place. Life
// cycle: sized at open, from the log; never allocates after that. Thread: the owner's. Cost: O(log
// n) an operation (a treap in a fixed pool). Units: blocks. Errors: an insert needs two free nodes
// (room()); the store refuses appends before that can fail.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/base/ids.h"

namespace seawall::wal {

class Index {
 public:
  static constexpr std::uint32_t no_place = 0xffffffffu;  // reads as zeroes

  struct Range {
    std::uint64_t lba = 0;
    std::uint32_t blocks = 0;
    std::uint32_t place = no_place;  // log block of the first block of the range
    Lsn lsn;
  };

  explicit Index(std::uint32_t capacity);

  void insert(const Range& range);
  // The first range that ends after `lba`, cut to begin at `lba` where it covers it; false: none.
  [[nodiscard]] bool find(std::uint64_t lba, Range& out) const;
  // Drops ranges of records at or below `upto` among the next `budget` ranges from `cursor` on.
  // Returns true when the end was reached; `cursor` is where to go on.
  bool sweep(std::uint64_t& cursor, Lsn upto, std::uint32_t budget);
  void clear();

  [[nodiscard]] std::uint32_t size() const { return used_; }
  [[nodiscard]] std::uint32_t room() const { return capacity_ - used_; }
  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }

 private:
  using Ref = std::uint32_t;
  static constexpr Ref nil = 0xffffffffu;
  struct Node {
    std::uint64_t lba;
    std::uint32_t blocks;
    std::uint32_t place;
    Lsn lsn;
    Ref left, right;
    std::uint32_t priority;
  };

  Node& at(Ref ref) { return nodes_[ref]; }
  [[nodiscard]] const Node& at(Ref ref) const { return nodes_[ref]; }
  Ref make(const Range& range);
  void release(Ref ref);
  void release_tree(Ref ref);
  void split(Ref tree, std::uint64_t lba, Ref& below, Ref& rest);
  Ref merge(Ref a, Ref b);
  void erase(std::uint64_t lba);
  [[nodiscard]] Ref first_after(std::uint64_t lba) const;
  [[nodiscard]] Ref last(Ref tree) const;

  std::unique_ptr<Node[]> nodes_;  // touched only as far as it was ever filled
  std::uint32_t capacity_;
  std::uint32_t used_ = 0;
  std::uint32_t high_water_ = 0;
  Ref free_ = nil;
  Ref root_ = nil;
  std::uint32_t seed_ = 0x9e3779b9u;
};

}  // namespace seawall::wal
