// Store: the controller's durable memory. Nothing else holds state that a decision needs.
//
// Purpose: volume records, changed by compare-and-set on (epoch, revision) only; the event log of
// each volume, written in the same step as the change it tells of; node records.
// Life cycle: opened by an implementation's open(); one process at a time. Thread: one.
// A crash may lose the change whose call has not returned, whole, and nothing that was answered
// `committed`.
// Errors: a compare-and-set answers committed, conflict (nothing has changed), or unknown: it may
// have happened, and the caller reads back before it says anything. Reads answer a Result.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "controller/core/core.h"
#include "controller/core/record.h"
#include "engine/base/result.h"

namespace seawall::controller {

inline constexpr std::size_t events_kept_per_volume = 1024;  // older ones are compacted away
inline constexpr std::size_t histories_kept = 256;           // of volumes that are gone

// Of the events of one volume that are held; there is at least one.
struct History {
  Version newest;
  Revision oldest;
  friend bool operator==(const History&, const History&) = default;
};

class Store {
 public:
  using Watcher = std::function<void(const ChangeEvent&)>;
  virtual ~Store() = default;

  virtual Result<std::vector<VolumeRecord>> volumes() = 0;  // by id
  virtual Result<std::optional<VolumeRecord>> volume(VolumeId id) = 0;
  virtual Result<std::map<VolumeId, Version>> versions() = 0;  // of all records
  // Replaces the record whose version is `expected` (absent: there must be none) by `next` (absent:
  // it goes), and appends `event`. The history outlives the record, until histories_kept others
  // have gone after it.
  virtual StoreOutcome compare_and_set(VolumeId id, const std::optional<Version>& expected,
                                       const std::optional<VolumeRecord>& next,
                                       const ChangeEvent& event) = 0;
  // Events of one volume with a revision above `after`, oldest first, at most `max`.
  virtual Result<std::vector<ChangeEvent>> events(VolumeId id, Revision after, std::size_t max) = 0;

  virtual Result<std::optional<History>> history(VolumeId id) = 0;

  virtual Result<std::vector<NodeRecord>> nodes() = 0;  // by id
  virtual Status remember(const NodeRecord& node) = 0;

  // Called after each commit, on the caller's thread, in the order of the commits.
  void watch(Watcher watcher) { watcher_ = std::move(watcher); }

  // How many events of a volume outlive compaction, from now on; at least 1.
  void keep_events(std::size_t per_volume) { events_kept_ = per_volume; }

 protected:
  [[nodiscard]] std::size_t events_kept() const { return events_kept_; }
  void tell(const ChangeEvent& event) {
    if (watcher_) watcher_(event);
  }

 private:
  Watcher watcher_;
  std::size_t events_kept_ = events_kept_per_volume;
};

}  // namespace seawall::controller
