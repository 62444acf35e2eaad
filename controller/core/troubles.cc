#include "controller/core/troubles.h"

#include <string>

#include "controller/core/failover.h"
#include "controller/core/openings.h"

namespace seawall::controller {
namespace {

std::string text_of(FailureKind kind, FailureAction action, std::uint32_t nth) {
  return std::string(rule_of(kind).name) + "," + failure_action_name(action) + "," +
         std::to_string(nth);
}

// The newest failure that has this consequence; it may have left a history that is bounded.
std::string newest(const PeerStatus& peer, FailureAction action) {
  for (std::size_t i = peer.failures.size(); i > 0; --i) {
    const FailureStatus& failure = peer.failures[i - 1];
    if (failure.action == action) return text_of(failure.kind, action, failure.nth);
  }
  return std::string("unknown,") + failure_action_name(action) + ",0";
}

std::string trouble_of(const PeerStatus& peer) {
  if (peer.state == ReplicaState::terminal) return newest(peer, FailureAction::terminal);
  return peer.escalated ? newest(peer, FailureAction::escalate) : "";
}

}  // namespace

std::optional<Change> plan_troubles(const VolumeRecord& record, const VolumeSeen& seen,
                                    const NodesSeen& nodes, Instant now, const Options& options) {
  if (!is_acknowledged(record, seen, nodes, Revision(0))) return std::nullopt;
  const ReplicaRecord* primary = record.replica(record.primary);
  const ReplicaStatus* word = fresh_status(*primary, seen, nodes, now, options);
  if (word == nullptr || word->epoch != record.epoch) return std::nullopt;
  VolumeRecord next = record;
  bool worse = false;
  for (ReplicaRecord& replica : next.replicas) {
    std::string trouble;
    for (const PeerStatus& peer : word->peers) {
      if (peer.replica == replica.id) trouble = trouble_of(peer);
    }
    const ReplicaStatus* own = fresh_status(replica, seen, nodes, now, options);
    if (own != nullptr && own->given_up) {
      trouble = text_of(FailureKind::store_failed, FailureAction::terminal, own->store_failures);
    }
    if (is_doubted(replica, seen.find(replica.id))) trouble = older_copy_trouble;
    worse = worse || (!trouble.empty() && trouble != replica.trouble);
    replica.trouble = trouble;
  }
  if (next == record) return std::nullopt;
  return make_change(std::move(next), worse ? "replica_failing" : "replica_mended", "");
}

}  // namespace seawall::controller
