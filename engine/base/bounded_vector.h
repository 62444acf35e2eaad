// BoundedVector<T, N>: a vector of at most N elements, stored inside the object.
//
// Life cycle: empty at construction; an element that leaves is replaced by T{}, so that what it
// owned goes with it. Thread: that of its owner. Ownership: owns its elements.
// Invariants: size() <= N; elements beyond size() are T{}. Never allocates.
// Errors: push_back to a full vector and access beyond the end fail a CHECK; try_push_back
// answers false instead. Iterators stay valid until an erase or insert before them.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <utility>

#include "engine/base/check.h"

namespace seawall {

template <class T, std::size_t N>
class BoundedVector {
  static_assert(N > 0);

 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  constexpr BoundedVector() = default;
  constexpr BoundedVector(std::initializer_list<T> values) {
    for (const T& value : values) push_back(value);
  }

  static constexpr std::size_t capacity() { return N; }
  [[nodiscard]] constexpr std::size_t size() const { return size_; }
  [[nodiscard]] constexpr bool empty() const { return size_ == 0; }
  [[nodiscard]] constexpr bool full() const { return size_ == N; }
  [[nodiscard]] constexpr std::size_t room() const { return N - size_; }

  constexpr T& push_back(T value) {
    CHECK(size_ < N);
    items_[size_] = std::move(value);
    return items_[size_++];
  }
  template <class... Args>
  constexpr T& emplace_back(Args&&... args) {
    return push_back(T{std::forward<Args>(args)...});
  }
  [[nodiscard]] constexpr bool try_push_back(T value) {
    if (full()) return false;
    push_back(std::move(value));
    return true;
  }
  constexpr void pop_back() {
    CHECK(size_ > 0);
    items_[--size_] = T{};
  }
  // Inserts before `index`; later elements move up.
  constexpr T& insert_at(std::size_t index, T value) {
    CHECK(size_ < N);
    CHECK(index <= size_);
    for (std::size_t i = size_; i > index; --i) items_[i] = std::move(items_[i - 1]);
    ++size_;
    items_[index] = std::move(value);
    return items_[index];
  }
  // Removes one element; later elements move down, order is kept.
  constexpr void erase_at(std::size_t index) {
    CHECK(index < size_);
    for (std::size_t i = index + 1; i < size_; ++i) items_[i - 1] = std::move(items_[i]);
    pop_back();
  }
  // Removes every element for which `predicate` holds; order is kept. Returns how many went.
  template <class Predicate>
  constexpr std::size_t erase_if(Predicate predicate) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      if (predicate(std::as_const(items_[i]))) continue;
      if (kept != i) items_[kept] = std::move(items_[i]);
      ++kept;
    }
    const std::size_t gone = size_ - kept;
    truncate(kept);
    return gone;
  }
  // Drops the elements from `size` on.
  constexpr void truncate(std::size_t size) {
    CHECK(size <= size_);
    while (size_ > size) pop_back();
  }
  // Grows with T{} or shrinks.
  constexpr void resize(std::size_t size) {
    CHECK(size <= N);
    if (size < size_) truncate(size);
    size_ = size;
  }
  constexpr void clear() { truncate(0); }

  [[nodiscard]] constexpr T& operator[](std::size_t index) {
    CHECK(index < size_);
    return items_[index];
  }
  [[nodiscard]] constexpr const T& operator[](std::size_t index) const {
    CHECK(index < size_);
    return items_[index];
  }
  [[nodiscard]] constexpr T& front() { return (*this)[0]; }
  [[nodiscard]] constexpr const T& front() const { return (*this)[0]; }
  [[nodiscard]] constexpr T& back() { return (*this)[size_ - 1]; }
  [[nodiscard]] constexpr const T& back() const { return (*this)[size_ - 1]; }

  [[nodiscard]] constexpr T* data() { return items_.data(); }
  [[nodiscard]] constexpr const T* data() const { return items_.data(); }
  [[nodiscard]] constexpr iterator begin() { return items_.data(); }
  [[nodiscard]] constexpr iterator end() { return items_.data() + size_; }
  [[nodiscard]] constexpr const_iterator begin() const { return items_.data(); }
  [[nodiscard]] constexpr const_iterator end() const { return items_.data() + size_; }

  [[nodiscard]] constexpr std::span<T> span() { return {items_.data(), size_}; }
  [[nodiscard]] constexpr std::span<const T> span() const { return {items_.data(), size_}; }

  [[nodiscard]] constexpr bool contains(const T& value) const {
    for (const T& item : *this) {
      if (item == value) return true;
    }
    return false;
  }

  friend constexpr bool operator==(const BoundedVector& a, const BoundedVector& b) {
    if (a.size_ != b.size_) return false;
    for (std::size_t i = 0; i < a.size_; ++i) {
      if (!(a.items_[i] == b.items_[i])) return false;
    }
    return true;
  }

 private:
  std::array<T, N> items_{};
  std::size_t size_ = 0;
};

}  // namespace seawall
