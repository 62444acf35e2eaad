// One writer and equal logs: what replicas say of themselves while the run goes on.
//
// Purpose: sampled facts and statuses of every replica must never contradict each other or the
// past:
//   - (term, lsn) names one record for ever: two replicas whose logs end at the same (term, lsn)
//   have
//     the same chain there (I5, trap 6), now and at any other moment of the run;
//   - an epoch has one primary: no two replicas ever hold that role in the same epoch (I4);
//   - a promise never goes down, not even over a crash or a power loss (I4, trap 40);
//   - watermarks of one replica are in their order: trimmed <= applied <= durable <= written.
// Life cycle: one run. Thread: the run's. Errors: safety failures of the Verdict.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "engine/base/facts.h"
#include "engine/control.h"
#include "sim/verdict.h"

namespace seawall::sim {

class OneLineage {
 public:
  explicit OneLineage(Verdict& verdict) : verdict_(verdict) {}

  void sample(const ReplicaFacts& facts);
  void sample(const ReplicaStatus& status);
  // Somebody put an older copy of its files in their place: they know of fewer promises.
  void restored(ReplicaId replica) { promises_.erase(replica); }
  [[nodiscard]] std::uint64_t samples() const { return samples_; }

 private:
  void fail(const std::string& text) { verdict_.fail(Failure::safety, "one lineage: " + text); }

  Verdict& verdict_;
  std::map<Position, std::pair<std::uint64_t, ReplicaId>> chains_;
  std::map<Epoch, ReplicaId> primaries_;
  std::map<ReplicaId, Epoch> promises_;
  std::uint64_t samples_ = 0;
};

}  // namespace seawall::sim
