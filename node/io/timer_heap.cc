#include "node/io/timer_heap.h"

#include "engine/base/check.h"

namespace seawall::io {

void TimerHeap::set(runtime::TimerUser& user, Instant at) {
  auto [found, fresh] = where_.try_emplace(&user, kAbsent);
  if (fresh || found->second == kAbsent) {
    heap_.push_back(Entry{at, &user});
    found->second = heap_.size() - 1;
    sift_up(heap_.size() - 1);
    return;
  }
  const std::size_t index = found->second;
  const Instant before = heap_[index].at;
  if (before == at) return;
  heap_[index].at = at;
  if (at < before) {
    sift_up(index);
  } else {
    sift_down(index);
  }
}

void TimerHeap::forget(runtime::TimerUser& user) {
  const auto found = where_.find(&user);
  if (found == where_.end()) return;
  if (found->second != kAbsent) remove(found->second);
  where_.erase(&user);
}

std::optional<Instant> TimerHeap::earliest() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().at;
}

runtime::TimerUser* TimerHeap::take_due(Instant now) {
  if (heap_.empty() || heap_.front().at > now) return nullptr;
  runtime::TimerUser* user = heap_.front().user;
  remove(0);
  return user;
}

void TimerHeap::place(std::size_t index, Entry entry) {
  heap_[index] = entry;
  where_[entry.user] = index;
}

void TimerHeap::sift_up(std::size_t index) {
  const Entry entry = heap_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (!(entry.at < heap_[parent].at)) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, entry);
}

void TimerHeap::sift_down(std::size_t index) {
  const Entry entry = heap_[index];
  while (true) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].at < heap_[child].at) ++child;
    if (!(heap_[child].at < entry.at)) break;
    place(index, heap_[child]);
    index = child;
  }
  place(index, entry);
}

void TimerHeap::remove(std::size_t index) {
  CHECK(index < heap_.size());
  where_[heap_[index].user] = kAbsent;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (index == heap_.size()) return;
  heap_[index] = last;
  where_[last.user] = index;
  sift_up(index);
  sift_down(where_[last.user]);
}

}  // namespace seawall::io
