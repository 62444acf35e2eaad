// ObjectPool<T, N>: N objects that are taken and given back, stored inside the pool.
//
// Life cycle: all free at construction; take() hands out a T{}, give_back() resets it to T{}.
// Thread: that of its owner. Ownership: the pool owns the objects; the taker owns the right to
// use one until it gives it back. Never allocates; take and give_back are O(1), and the same
// sequence of calls hands out the same indexes in every run.
// Errors: take() of an empty pool answers nullptr; a foreign pointer or a second give_back of
// one object fails a CHECK.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>

#include "engine/base/check.h"

namespace seawall {

template <class T, std::size_t N>
class ObjectPool {
  static_assert(N > 0);
  static_assert(N < std::numeric_limits<std::uint32_t>::max());

 public:
  constexpr ObjectPool() {
    for (std::size_t i = 0; i < N; ++i) next_[i] = static_cast<std::uint32_t>(i + 1);
  }
  ObjectPool(const ObjectPool&) = delete;
  ObjectPool& operator=(const ObjectPool&) = delete;

  static constexpr std::size_t capacity() { return N; }
  [[nodiscard]] constexpr std::size_t in_use() const { return in_use_; }
  [[nodiscard]] constexpr std::size_t available() const { return N - in_use_; }

  // nullptr when all are in use.
  [[nodiscard]] constexpr T* take() {
    if (free_ == N) return nullptr;
    const std::size_t index = free_;
    free_ = next_[index];
    next_[index] = kTaken;
    ++in_use_;
    return &items_[index];
  }
  constexpr void give_back(T* item) {
    const std::size_t index = index_of(item);
    CHECK(next_[index] == kTaken);
    items_[index] = T{};
    next_[index] = static_cast<std::uint32_t>(free_);
    free_ = index;
    --in_use_;
  }

  [[nodiscard]] constexpr std::size_t index_of(const T* item) const {
    CHECK(!std::less<const T*>{}(item, items_.data()));
    CHECK(std::less<const T*>{}(item, items_.data() + N));
    return static_cast<std::size_t>(item - items_.data());
  }
  // The object of an index that is taken now.
  [[nodiscard]] constexpr T& at(std::size_t index) {
    CHECK(index < N);
    CHECK(next_[index] == kTaken);
    return items_[index];
  }

 private:
  static constexpr std::uint32_t kTaken = std::numeric_limits<std::uint32_t>::max();

  std::array<T, N> items_{};
  std::array<std::uint32_t, N> next_{};
  std::size_t free_ = 0;  // index of the first free object, N when there is none
  std::size_t in_use_ = 0;
};

}  // namespace seawall
