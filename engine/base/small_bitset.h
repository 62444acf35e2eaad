// SmallBitset<N>: a set of numbers below N (at most 64), in one word: members, slots, votes.
//
// Life cycle: a value; empty at construction. Thread: any. Iteration by for_each is in ascending
// order. Errors: a number at or above N fails a CHECK.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "engine/base/check.h"

namespace seawall {

template <std::size_t N>
class SmallBitset {
  static_assert(N > 0 && N <= 64);

 public:
  constexpr SmallBitset() = default;

  static constexpr SmallBitset from_word(std::uint64_t word) {
    CHECK((word & ~kMask) == 0);
    SmallBitset set;
    set.word_ = word;
    return set;
  }
  // The numbers below `count`.
  static constexpr SmallBitset first(std::size_t count) {
    CHECK(count <= N);
    return from_word(count == 64 ? ~0ULL : (1ULL << count) - 1);
  }

  static constexpr std::size_t capacity() { return N; }
  [[nodiscard]] constexpr std::uint64_t word() const { return word_; }
  [[nodiscard]] constexpr std::size_t count() const {
    return static_cast<std::size_t>(std::popcount(word_));
  }
  [[nodiscard]] constexpr bool empty() const { return word_ == 0; }
  [[nodiscard]] constexpr bool test(std::size_t number) const { return (word_ & bit(number)) != 0; }

  constexpr void set(std::size_t number) { word_ |= bit(number); }
  constexpr void reset(std::size_t number) { word_ &= ~bit(number); }
  constexpr void assign(std::size_t number, bool value) { value ? set(number) : reset(number); }
  constexpr void clear() { word_ = 0; }

  // The smallest number in the set, N when it is empty.
  [[nodiscard]] constexpr std::size_t find_first() const {
    return word_ == 0 ? N : static_cast<std::size_t>(std::countr_zero(word_));
  }
  [[nodiscard]] constexpr bool contains_all(SmallBitset other) const {
    return (other.word_ & ~word_) == 0;
  }
  [[nodiscard]] constexpr bool intersects(SmallBitset other) const {
    return (other.word_ & word_) != 0;
  }
  template <class Function>
  constexpr void for_each(Function function) const {
    for (std::uint64_t rest = word_; rest != 0; rest &= rest - 1) {
      function(static_cast<std::size_t>(std::countr_zero(rest)));
    }
  }

  friend constexpr SmallBitset operator|(SmallBitset a, SmallBitset b) {
    return from_word(a.word_ | b.word_);
  }
  friend constexpr SmallBitset operator&(SmallBitset a, SmallBitset b) {
    return from_word(a.word_ & b.word_);
  }
  friend constexpr SmallBitset operator-(SmallBitset a, SmallBitset b) {
    return from_word(a.word_ & ~b.word_);
  }
  friend constexpr bool operator==(SmallBitset, SmallBitset) = default;

 private:
  static constexpr std::uint64_t kMask = N == 64 ? ~0ULL : (1ULL << N) - 1;

  static constexpr std::uint64_t bit(std::size_t number) {
    CHECK(number < N);
    return 1ULL << number;
  }

  std::uint64_t word_ = 0;
};

}  // namespace seawall
