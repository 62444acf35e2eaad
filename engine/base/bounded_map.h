// BoundedMap<K, V, N>: a sorted flat map of at most N entries, stored inside the object.
//
// Life cycle: empty at construction. Thread: that of its owner. Ownership: owns its entries.
// Invariants: keys strictly ascending; iteration is in key order, so what it drives is the same
// in every run. Costs: lookup O(log n), insert and erase O(n) moves. Never allocates.
// Errors: insert into a full map and at() of a missing key fail a CHECK; try_insert answers
// nullptr instead. Pointers stay valid until the next insert or erase.
#pragma once

#include <cstddef>
#include <utility>

#include "engine/base/bounded_vector.h"
#include "engine/base/check.h"

namespace seawall {

template <class K, class V, std::size_t N>
class BoundedMap {
 public:
  struct Entry {
    K key{};
    V value{};
    friend constexpr bool operator==(const Entry&, const Entry&) = default;
  };

  static constexpr std::size_t capacity() { return N; }
  [[nodiscard]] constexpr std::size_t size() const { return entries_.size(); }
  [[nodiscard]] constexpr bool empty() const { return entries_.empty(); }
  [[nodiscard]] constexpr bool full() const { return entries_.full(); }

  [[nodiscard]] constexpr V* find(const K& key) {
    const std::size_t index = lower_bound(key);
    return holds(index, key) ? &entries_[index].value : nullptr;
  }
  [[nodiscard]] constexpr const V* find(const K& key) const {
    const std::size_t index = lower_bound(key);
    return holds(index, key) ? &entries_[index].value : nullptr;
  }
  [[nodiscard]] constexpr bool contains(const K& key) const { return find(key) != nullptr; }

  [[nodiscard]] constexpr V& at(const K& key) {
    V* value = find(key);
    CHECK(value != nullptr);
    return *value;
  }
  [[nodiscard]] constexpr const V& at(const K& key) const {
    const V* value = find(key);
    CHECK(value != nullptr);
    return *value;
  }

  // Adds an entry; the key must be new.
  constexpr V& insert(const K& key, V value) {
    V* place = try_insert(key, std::move(value));
    CHECK_MSG(place != nullptr, "the map is full or holds the key");
    return *place;
  }
  // Adds an entry; nullptr, and no change, when the map is full or holds the key.
  [[nodiscard]] constexpr V* try_insert(const K& key, V value) {
    const std::size_t index = lower_bound(key);
    if (holds(index, key) || full()) return nullptr;
    return &entries_.insert_at(index, Entry{key, std::move(value)}).value;
  }
  // Adds an entry or replaces the value of the one that is there.
  constexpr V& insert_or_assign(const K& key, V value) {
    const std::size_t index = lower_bound(key);
    if (holds(index, key)) return entries_[index].value = std::move(value);
    return entries_.insert_at(index, Entry{key, std::move(value)}).value;
  }
  // True when the key was there.
  constexpr bool erase(const K& key) {
    const std::size_t index = lower_bound(key);
    if (!holds(index, key)) return false;
    entries_.erase_at(index);
    return true;
  }
  // Removes entries for which predicate(key, value) holds; returns how many went.
  template <class Predicate>
  constexpr std::size_t erase_if(Predicate predicate) {
    return entries_.erase_if([&](const Entry& e) { return predicate(e.key, e.value); });
  }
  constexpr void clear() { entries_.clear(); }

  // Index of the first entry whose key is not below `key`; size() when there is none.
  [[nodiscard]] constexpr std::size_t lower_bound(const K& key) const {
    std::size_t low = 0;
    std::size_t high = entries_.size();
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (entries_[middle].key < key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
  // The entry of rank `index` in key order.
  [[nodiscard]] constexpr const Entry& entry(std::size_t index) const { return entries_[index]; }

  // In key order. A key must not be changed through an iterator.
  [[nodiscard]] constexpr auto begin() { return entries_.begin(); }
  [[nodiscard]] constexpr auto end() { return entries_.end(); }
  [[nodiscard]] constexpr auto begin() const { return entries_.begin(); }
  [[nodiscard]] constexpr auto end() const { return entries_.end(); }

  friend constexpr bool operator==(const BoundedMap&, const BoundedMap&) = default;

 private:
  [[nodiscard]] constexpr bool holds(std::size_t index, const K& key) const {
    return index < entries_.size() && entries_[index].key == key;
  }

  BoundedVector<Entry, N> entries_;
};

}  // namespace seawall
