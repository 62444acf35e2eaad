// GrowingRing<T>: a first-in first-out queue that doubles on rare paths, up to a cap, and keeps its
// size then: nothing is allocated once a replica has seen its usual load.
//
// Life cycle: built with its first capacity. Thread: that of its owner. Ownership: owns its
// elements. Errors: push_back beyond the cap and front() of an empty one fail a CHECK.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "engine/base/check.h"

namespace seawall::runtime {

template <class T>
class GrowingRing {
 public:
  GrowingRing(std::size_t first, std::size_t cap) : items_(first), cap_(cap) {
    CHECK(first > 0);
    CHECK(first <= cap);
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] bool full() const { return size_ == cap_; }

  T& push_back(T value) {
    CHECK(size_ < cap_);
    if (size_ == items_.size()) grow();
    T& place = items_[(head_ + size_) % items_.size()];
    place = std::move(value);
    ++size_;
    return place;
  }
  T pop_front() {
    CHECK(size_ > 0);
    T value = std::exchange(items_[head_], T{});
    head_ = (head_ + 1) % items_.size();
    --size_;
    return value;
  }
  T pop_back() {
    CHECK(size_ > 0);
    --size_;
    return std::exchange(items_[(head_ + size_) % items_.size()], T{});
  }
  [[nodiscard]] T& operator[](std::size_t index) {
    CHECK(index < size_);
    return items_[(head_ + index) % items_.size()];
  }
  [[nodiscard]] T& front() { return (*this)[0]; }
  [[nodiscard]] T& back() { return (*this)[size_ - 1]; }

 private:
  void grow() {
    std::vector<T> bigger(items_.size() * 2 < cap_ ? items_.size() * 2 : cap_);
    for (std::size_t i = 0; i < size_; ++i) bigger[i] = std::move((*this)[i]);
    items_ = std::move(bigger);
    head_ = 0;
  }

  std::vector<T> items_;
  std::size_t cap_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace seawall::runtime
