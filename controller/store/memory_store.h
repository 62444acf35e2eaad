// MemoryStore: a Store in memory, for the simulator and for tests; it outlives the controllers that
// use it, as a file would. Faults are ordered in advance: fail_next() names what the next
// compare-and-sets answer. Thread: one.
#pragma once

#include <deque>
#include <map>

#include "controller/store/store.h"

namespace seawall::controller {

class MemoryStore : public Store {
 public:
  enum class Fault : std::uint8_t {
    none,
    unknown_done,      // it happens, and the answer is lost
    unknown_not_done,  // it does not happen, and nobody can tell
  };

  Result<std::vector<VolumeRecord>> volumes() override;
  Result<std::optional<VolumeRecord>> volume(VolumeId id) override;
  Result<std::map<VolumeId, Version>> versions() override;
  StoreOutcome compare_and_set(VolumeId id, const std::optional<Version>& expected,
                               const std::optional<VolumeRecord>& next,
                               const ChangeEvent& event) override;
  Result<std::vector<ChangeEvent>> events(VolumeId id, Revision after, std::size_t max) override;
  Result<std::optional<History>> history(VolumeId id) override;
  Result<std::vector<NodeRecord>> nodes() override;
  Status remember(const NodeRecord& node) override;

  void fail_next(Fault fault) { faults_.push_back(fault); }
  [[nodiscard]] std::size_t commits() const { return commits_; }
  [[nodiscard]] std::size_t conflicts() const { return conflicts_; }

 private:
  std::map<VolumeId, VolumeRecord> volumes_;
  std::map<VolumeId, std::deque<ChangeEvent>> events_;
  std::deque<VolumeId> gone_;  // oldest first
  std::map<NodeId, NodeRecord> nodes_;
  std::deque<Fault> faults_;
  std::size_t commits_ = 0, conflicts_ = 0;
};

}  // namespace seawall::controller
