// RingBuffer<T, N>: a first-in first-out queue of at most N elements, stored inside the object.
//
// Life cycle: empty at construction; an element that leaves is replaced by T{}. Thread: that of
// its owner; this is no inter-thread queue. Ownership: owns its elements. Never allocates.
// Errors: push_back to a full ring and front() of an empty one fail a CHECK; try_push_back
// answers false instead. Index 0 is the oldest element.
#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "engine/base/check.h"

namespace seawall {

template <class T, std::size_t N>
class RingBuffer {
  static_assert(N > 0);

 public:
  using value_type = T;

  static constexpr std::size_t capacity() { return N; }
  [[nodiscard]] constexpr std::size_t size() const { return size_; }
  [[nodiscard]] constexpr bool empty() const { return size_ == 0; }
  [[nodiscard]] constexpr bool full() const { return size_ == N; }
  [[nodiscard]] constexpr std::size_t room() const { return N - size_; }

  constexpr T& push_back(T value) {
    CHECK(size_ < N);
    T& place = items_[wrap(head_ + size_)];
    place = std::move(value);
    ++size_;
    return place;
  }
  [[nodiscard]] constexpr bool try_push_back(T value) {
    if (full()) return false;
    push_back(std::move(value));
    return true;
  }
  // Removes the oldest element and returns it.
  constexpr T pop_front() {
    CHECK(size_ > 0);
    T value = std::exchange(items_[head_], T{});
    head_ = wrap(head_ + 1);
    --size_;
    return value;
  }
  // Removes the newest element and returns it.
  constexpr T pop_back() {
    CHECK(size_ > 0);
    --size_;
    return std::exchange(items_[wrap(head_ + size_)], T{});
  }
  constexpr void clear() {
    while (!empty()) pop_front();
    head_ = 0;
  }

  [[nodiscard]] constexpr T& operator[](std::size_t index) {
    CHECK(index < size_);
    return items_[wrap(head_ + index)];
  }
  [[nodiscard]] constexpr const T& operator[](std::size_t index) const {
    CHECK(index < size_);
    return items_[wrap(head_ + index)];
  }
  [[nodiscard]] constexpr T& front() { return (*this)[0]; }
  [[nodiscard]] constexpr const T& front() const { return (*this)[0]; }
  [[nodiscard]] constexpr T& back() { return (*this)[size_ - 1]; }
  [[nodiscard]] constexpr const T& back() const { return (*this)[size_ - 1]; }

  template <class Ring, class Value>
  class Cursor {
   public:
    constexpr Cursor(Ring* ring, std::size_t index) : ring_(ring), index_(index) {}
    constexpr Value& operator*() const { return (*ring_)[index_]; }
    constexpr Cursor& operator++() {
      ++index_;
      return *this;
    }
    friend constexpr bool operator==(const Cursor&, const Cursor&) = default;

   private:
    Ring* ring_;
    std::size_t index_;
  };

  // From the oldest to the newest.
  [[nodiscard]] constexpr auto begin() { return Cursor<RingBuffer, T>(this, 0); }
  [[nodiscard]] constexpr auto end() { return Cursor<RingBuffer, T>(this, size_); }
  [[nodiscard]] constexpr auto begin() const { return Cursor<const RingBuffer, const T>(this, 0); }
  [[nodiscard]] constexpr auto end() const {
    return Cursor<const RingBuffer, const T>(this, size_);
  }

 private:
  static constexpr std::size_t wrap(std::size_t index) { return index < N ? index : index - N; }

  std::array<T, N> items_{};
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace seawall
