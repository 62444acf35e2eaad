#include "controller/store/memory_store.h"

namespace seawall::controller {

Result<std::vector<VolumeRecord>> MemoryStore::volumes() {
  std::vector<VolumeRecord> all;
  for (const auto& [id, record] : volumes_) all.push_back(record);
  return all;
}

Result<std::optional<VolumeRecord>> MemoryStore::volume(VolumeId id) {
  const auto at = volumes_.find(id);
  if (at == volumes_.end()) return std::optional<VolumeRecord>();
  return std::optional<VolumeRecord>(at->second);
}

Result<std::map<VolumeId, Version>> MemoryStore::versions() {
  std::map<VolumeId, Version> all;
  for (const auto& [id, record] : volumes_) all.emplace(id, record.version());
  return all;
}

StoreOutcome MemoryStore::compare_and_set(VolumeId id, const std::optional<Version>& expected,
                                          const std::optional<VolumeRecord>& next,
                                          const ChangeEvent& event) {
  Fault fault = Fault::none;
  if (!faults_.empty()) {
    fault = faults_.front();
    faults_.pop_front();
  }
  if (fault == Fault::unknown_not_done) return StoreOutcome::unknown;
  const auto at = volumes_.find(id);
  const bool there = at != volumes_.end();
  if (there != expected.has_value() || (there && at->second.version() != *expected)) {
    ++conflicts_;
    return StoreOutcome::conflict;
  }
  CHECK(!next || next->id == id);
  if (next) {
    volumes_[id] = *next;
  } else if (there) {
    volumes_.erase(at);
  }
  std::deque<ChangeEvent>& log = events_[id];
  log.push_back(event);
  while (log.size() > events_kept()) log.pop_front();
  if (!next) gone_.push_back(id);
  if (gone_.size() > histories_kept) {
    events_.erase(gone_.front());
    gone_.pop_front();
  }
  ++commits_;
  tell(event);
  return fault == Fault::unknown_done ? StoreOutcome::unknown : StoreOutcome::committed;
}

Result<std::vector<ChangeEvent>> MemoryStore::events(VolumeId id, Revision after, std::size_t max) {
  std::vector<ChangeEvent> found;
  const auto at = events_.find(id);
  if (at == events_.end()) return found;
  for (const ChangeEvent& event : at->second) {
    if (after < event.revision && found.size() < max) found.push_back(event);
  }
  return found;
}

Result<std::optional<History>> MemoryStore::history(VolumeId id) {
  const auto at = events_.find(id);
  if (at == events_.end()) return std::optional<History>();
  const ChangeEvent& newest = at->second.back();
  return std::optional<History>(
      History{Version{newest.epoch, newest.revision}, at->second.front().revision});
}

Result<std::vector<NodeRecord>> MemoryStore::nodes() {
  std::vector<NodeRecord> all;
  for (const auto& [id, record] : nodes_) all.push_back(record);
  return all;
}

Status MemoryStore::remember(const NodeRecord& node) {
  nodes_[node.id] = node;
  return Status();
}

}  // namespace seawall::controller
