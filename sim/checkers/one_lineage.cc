#include "sim/checkers/one_lineage.h"

#include <algorithm>

namespace seawall::sim {
namespace {

std::string name(ReplicaId replica) { return "replica " + std::to_string(replica.value()); }

}  // namespace

void OneLineage::sample(const ReplicaFacts& facts) {
  ++samples_;
  const Watermarks& marks = facts.marks;
  if (marks.trimmed > marks.applied || marks.applied > marks.durable ||
      marks.durable > marks.written) {
    fail(name(facts.replica) + " has its watermarks out of order: trimmed " +
         std::to_string(marks.trimmed.value()) + " applied " +
         std::to_string(marks.applied.value()) + " durable " +
         std::to_string(marks.durable.value()) + " written " +
         std::to_string(marks.written.value()));
  }
  if (facts.marker.has_value() || marks.written == Lsn{0}) return;
  const Position end{facts.last_term, marks.written};
  const auto [it, fresh] = chains_.try_emplace(end, facts.chain, facts.replica);
  if (!fresh && it->second.first != facts.chain) {
    fail(name(facts.replica) + " and " + name(it->second.second) + " ended at term " +
         std::to_string(end.term.value()) + " lsn " + std::to_string(end.lsn.value()) +
         " with different chains");
  }
}

void OneLineage::sample(const ReplicaStatus& status) {
  const auto [promise, first] = promises_.try_emplace(status.replica, status.promised);
  if (!first && status.promised < promise->second) {
    fail(name(status.replica) + " had promised epoch " + std::to_string(promise->second.value()) +
         " and now knows of " + std::to_string(status.promised.value()));
  }
  promise->second = std::max(promise->second, status.promised);
  if (status.role != Role::primary && status.role != Role::promoting) return;
  const auto [it, fresh] = primaries_.try_emplace(status.epoch, status.replica);
  if (!fresh && it->second != status.replica) {
    fail(name(status.replica) + " and " + name(it->second) + " were both primary in epoch " +
         std::to_string(status.epoch.value()));
  }
}

}  // namespace seawall::sim
