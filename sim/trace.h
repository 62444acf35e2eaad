// Trace: what happened in a run, as small integers, with a rolling hash over all of it.
//
// Purpose: the hash proves that two runs were the same; the last events explain a failure; two
// traces compared event by event name the first difference of a run that is not deterministic.
// Life cycle: one run. Thread: the one of the run. Ownership: owns its records. Units:
// microseconds. Invariants: the hash depends on the records only; a record never holds an address.
// Bounded: the last `tail_max` records are kept (all of them when `keep_all`); what they cost is
// stated by keep_all only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/scheduler.h"

namespace seawall::sim {

enum class What : std::uint16_t {
  task,
  start,
  stop,
  crash,
  power_loss,
  pause,
  resume,
  disk_submit,
  disk_done,
  disk_crash,
  disk_hung,
  blocking,
  dial,
  accept,
  connected,
  frame_sent,
  bytes,
  frame,
  reset,
  link_closed,
  partition,
  heal,
  to_node,
  from_node,
  heartbeat,
  control_down,
  control_up,
  controller_crash,
  controller_start,
  controller_pause,
  controller_wake,
  move,
  pool_swapped,
  pool_cloned,
  pool_restored,
  wish,
  client_begin,
  client_end,
  client_reborn,
  timer,
  heal_all,
  verdict,
  canary,
  // Boundaries that only an enumeration of crash points asks for.
  disk_executed,      // an operation has reached the disk, nobody was told yet
  change_begins,      // of the disk, by blocking work; a write is in flight
  change_done,
  frame_leaves,       // a frame is in the kernel's hands
  node_says,          // a control message left a node
  controller_says,    // ... left the controller
  controller_asked,   // a user's request reached the controller
  controller_answers,
  commit_asked,       // of the controller's store
  commit_landed,
  commit_answered,
  record_loaded,
  device_asked,       // a client's request reached the front end
  device_answers,
  scene,              // the scripted operation begins (1) or is over (0)
  whole_again,        // healed and in sync
  note,
};

// A moment at which a process touches the world: where an enumeration lets it die.
[[nodiscard]] bool is_boundary(What what);

struct TraceRecord {
  Micros time = 0;
  What what = What::note;
  std::uint32_t node = 0;  // 0: the world
  std::uint64_t a = 0, b = 0, c = 0, d = 0;
  friend bool operator==(const TraceRecord&, const TraceRecord&) = default;
};

std::string render(const TraceRecord& record);

class Trace {
 public:
  static constexpr std::size_t tail_max = 4096;
  static constexpr std::uint64_t checkpoint_every = 4096;  // events

  explicit Trace(bool keep_all) : keep_all_(keep_all) {}

  // Prints every record as it happens.
  void set_live(bool live) { live_ = live; }
  // Compares with the trace of an earlier run as records arrive.
  void set_reference(const Trace* reference) { reference_ = reference; }

  // The hash after every checkpoint_every events; two runs of one seed agree in all of them.
  [[nodiscard]] const std::vector<std::uint64_t>& checkpoints() const { return checkpoints_; }

  void add(const TraceRecord& record);
  // With details, sentences (engine events and commands) are kept, too. They cost much and are no
  // part of the hash: a seed that failed without them runs again with them and does the same.
  void set_details(bool details) { details_ = details; }
  [[nodiscard]] bool details() const { return details_; }
  void note(Micros time, std::uint32_t node, std::string text);

  // Told after each boundary, from inside the call that made it. Only with a hook do the boundaries
  // exist that nothing else needs.
  using BoundaryHook = std::function<void(const TraceRecord&)>;
  void set_on_boundary(BoundaryHook hook) { on_boundary_ = std::move(hook); }
  [[nodiscard]] bool enumerated() const { return static_cast<bool>(on_boundary_); }
  // A boundary that is recorded only when somebody enumerates them.
  void boundary(const TraceRecord& record) {
    if (on_boundary_) add(record);
  }
  [[nodiscard]] const TraceRecord& kept(std::size_t index) const { return lines_[index].record; }
  [[nodiscard]] std::size_t kept_count() const { return lines_.size(); }

  // The run is over: what its destruction says is no part of it.
  void close() { closed_ = true; }

  [[nodiscard]] std::uint64_t hash() const { return hash_; }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  // Heartbeats to the controller are left out: they tell nothing and push everything else away.
  [[nodiscard]] std::vector<std::string> tail(std::size_t lines) const;
  // The first event that differs from the reference; empty while there is none.
  [[nodiscard]] const std::string& first_difference() const { return difference_; }

 private:
  struct Line {
    TraceRecord record;
    std::string text;         // only of a note
    std::uint64_t order = 0;  // events up to this one; a note has that of its event: its cause
  };
  [[nodiscard]] static std::string line_text(const Line& line);
  void put(Line line);
  void compare(const TraceRecord& record);

  bool keep_all_;
  bool live_ = false;
  bool details_ = false;
  bool closed_ = false;
  const Trace* reference_ = nullptr;
  BoundaryHook on_boundary_;
  std::uint64_t hash_ = 0x5ea3a11;
  std::uint64_t count_ = 0;
  std::uint64_t put_ = 0;    // lines, sentences included
  std::vector<Line> lines_;  // ring of tail_max, or everything
  std::string difference_;
  std::vector<std::uint64_t> checkpoints_;
};

}  // namespace seawall::sim
