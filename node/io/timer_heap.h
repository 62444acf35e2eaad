// Deadlines of timer users: an indexed binary heap, one entry a user.
//
// Purpose: the earliest deadline in O(1), set and cancel in O(log n), and no allocation for a user
// that was known before. Life cycle: part of a Reactor. Thread: the reactor's.
// Ownership: users are borrowed; a user calls forget() before it dies.
#pragma once

#include <cstddef>
#include <optional>
#include <unordered_map>
#include <vector>

#include "node/runtime/ports.h"

namespace seawall::io {

class TimerHeap {
 public:
  void set(runtime::TimerUser& user, Instant at);
  void forget(runtime::TimerUser& user);
  std::optional<Instant> earliest() const;
  // Takes one user whose deadline is at or before `now`; nullptr when there is none.
  runtime::TimerUser* take_due(Instant now);
  std::size_t size() const { return heap_.size(); }

 private:
  struct Entry {
    Instant at;
    runtime::TimerUser* user;
  };
  static constexpr std::size_t kAbsent = static_cast<std::size_t>(-1);

  void place(std::size_t index, Entry entry);
  void sift_up(std::size_t index);
  void sift_down(std::size_t index);
  void remove(std::size_t index);

  std::vector<Entry> heap_;
  std::unordered_map<runtime::TimerUser*, std::size_t> where_;
};

}  // namespace seawall::io
