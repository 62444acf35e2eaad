// Scheduler: the only clock and the only source of "what happens next" of a simulated run.
//
// Purpose: a priority queue of tasks by (time, sequence). Two runs that ask for the same things in
// the same order see the same order; nothing else (addresses, threads, real time) has a say.
// Life cycle: one run. Thread: the one of the run. Units: microseconds of simulated time since the
// start of the run; clocks of nodes are made from it (ports.h).
// Owners: a task belongs to a process (or to the world: nobody). kill() drops all tasks of a dead
// process, pause() holds them back until resume(), in their order; the world never stops.
// Errors: a task in the past is a bug and fails a CHECK.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/base/strong.h"

namespace seawall::sim {

using Micros = std::uint64_t;
inline constexpr Micros ms = 1000;
inline constexpr Micros seconds = 1000 * ms;

// A start of a process; never reused within a run. World tasks survive every crash.
using Owner = Id<struct OwnerTag, std::uint32_t>;
inline constexpr Owner world{0};

struct TaskId {
  std::uint32_t place = 0;
  std::uint64_t sequence = 0;  // 0: no task
  friend bool operator==(const TaskId&, const TaskId&) = default;
};

class Scheduler {
 public:
  using Task = std::function<void()>;

  Scheduler();

  [[nodiscard]] Micros now() const { return now_; }
  [[nodiscard]] std::uint64_t executed() const { return executed_; }

  Owner new_owner();
  // Drops every task of this owner, now and in the future.
  void kill(Owner owner);
  void pause(Owner owner);
  void resume(Owner owner);
  [[nodiscard]] bool alive(Owner owner) const;
  [[nodiscard]] bool paused(Owner owner) const;

  TaskId at(Micros time, Owner owner, Task task);
  TaskId after(Micros delay, Owner owner, Task task) {
    return at(now_ + delay, owner, std::move(task));
  }
  // Tasks of this owner that have not run; looks at every task there is.
  [[nodiscard]] std::size_t tasks_of(Owner owner) const;
  // Runs before every other task, as soon as the present one has ended; the world's.
  void next(Task task) { urgent_.push_back(std::move(task)); }
  // Harmless when the task has run or was dropped.
  void cancel(TaskId id);

  // Told after every task of a process that is still alive: a loop turn of it may be due.
  void set_after_task(std::function<void(Owner)> hook) { after_task_ = std::move(hook); }

  // Runs the next task. False when nothing is left.
  bool step();
  // Time of the next task; ~0 when there is none.
  [[nodiscard]] Micros next_time() const;

 private:
  struct Entry {
    Micros time;
    std::uint64_t sequence;
    std::uint32_t place;
  };
  struct Place {
    std::uint64_t sequence = 0;  // of the task that lives here; 0: free
    Owner owner;
    Task task;
  };
  struct OwnerState {
    bool alive = true;
    bool paused = false;
    std::vector<Entry> held;  // came due while paused, in order
  };
  static bool later(const Entry& a, const Entry& b);
  void push(Entry entry);
  Task take(const Entry& entry);

  Micros now_ = 0;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t executed_ = 0;
  std::vector<Entry> heap_;
  std::vector<Place> places_;
  std::vector<std::uint32_t> free_places_;
  std::vector<OwnerState> owners_;
  std::function<void(Owner)> after_task_;
  std::vector<Task> urgent_;
};

}  // namespace seawall::sim
