#include "sim/scheduler.h"

#include <algorithm>
#include <utility>

#include "engine/base/check.h"

namespace seawall::sim {

Scheduler::Scheduler() { owners_.resize(1); }

Owner Scheduler::new_owner() {
  owners_.emplace_back();
  return Owner{static_cast<std::uint32_t>(owners_.size() - 1)};
}

bool Scheduler::alive(Owner owner) const { return owners_[owner.value()].alive; }
bool Scheduler::paused(Owner owner) const { return owners_[owner.value()].paused; }

void Scheduler::kill(Owner owner) {
  CHECK(owner != world);
  OwnerState& state = owners_[owner.value()];
  state.alive = false;
  state.paused = false;
  state.held.clear();
  // At once: what the tasks hold belongs to a process that is about to go.
  for (std::uint32_t i = 0; i < places_.size(); ++i) {
    if (places_[i].sequence == 0 || places_[i].owner != owner) continue;
    places_[i] = Place{};
    free_places_.push_back(i);
  }
}

void Scheduler::pause(Owner owner) {
  CHECK(owner != world);
  owners_[owner.value()].paused = true;
}

void Scheduler::resume(Owner owner) {
  OwnerState& state = owners_[owner.value()];
  state.paused = false;
  // Held tasks are overdue: they run now, in the order in which they came due.
  std::vector<Entry> held = std::move(state.held);
  state.held.clear();
  for (Entry entry : held) {
    if (places_[entry.place].sequence != entry.sequence) continue;  // cancelled meanwhile
    entry.time = now_;
    push(entry);
  }
}

TaskId Scheduler::at(Micros time, Owner owner, Task task) {
  CHECK(time >= now_);
  CHECK(owner.value() < owners_.size());
  if (!alive(owner)) return TaskId{};
  std::uint32_t place = 0;
  if (free_places_.empty()) {
    place = static_cast<std::uint32_t>(places_.size());
    places_.emplace_back();
  } else {
    place = free_places_.back();
    free_places_.pop_back();
  }
  const std::uint64_t sequence = ++last_sequence_;
  places_[place] = Place{sequence, owner, std::move(task)};
  push(Entry{time, sequence, place});
  return TaskId{place, sequence};
}

std::size_t Scheduler::tasks_of(Owner owner) const {
  return static_cast<std::size_t>(
      std::count_if(places_.begin(), places_.end(), [owner](const Place& place) {
        return place.sequence != 0 && place.owner == owner;
      }));
}

void Scheduler::cancel(TaskId id) {
  if (id.sequence == 0 || places_[id.place].sequence != id.sequence) return;
  places_[id.place] = Place{};  // its entry in the heap finds a stranger here and is dropped
  free_places_.push_back(id.place);
}

bool Scheduler::step() {
  if (!urgent_.empty()) {
    for (const Task& task : std::exchange(urgent_, {})) task();
    return true;
  }
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Entry entry = heap_.back();
    heap_.pop_back();
    const Place& place = places_[entry.place];
    if (place.sequence != entry.sequence) continue;  // cancelled
    OwnerState& owner = owners_[place.owner.value()];
    if (!owner.alive) {
      take(entry);
      continue;
    }
    if (owner.paused) {
      owner.held.push_back(entry);
      continue;
    }
    CHECK(entry.time >= now_);
    now_ = entry.time;
    ++executed_;
    const Owner task_owner = place.owner;
    const Task task = take(entry);
    task();
    if (task_owner != world && after_task_ && alive(task_owner)) after_task_(task_owner);
    return true;
  }
  return false;
}

Micros Scheduler::next_time() const {
  if (!urgent_.empty()) return now_;
  return heap_.empty() ? ~Micros{0} : heap_.front().time;
}

bool Scheduler::later(const Entry& a, const Entry& b) {
  return a.time != b.time ? a.time > b.time : a.sequence > b.sequence;
}

void Scheduler::push(Entry entry) {
  heap_.push_back(entry);
  std::push_heap(heap_.begin(), heap_.end(), later);
}

Scheduler::Task Scheduler::take(const Entry& entry) {
  Place& place = places_[entry.place];
  if (place.sequence != entry.sequence) return {};
  Task task = std::move(place.task);
  place = Place{};
  free_places_.push_back(entry.place);
  return task;
}

}  // namespace seawall::sim
