// Who may become primary? The election of protocol.md section 5.4 as one pure function.
//
// The controller collects FenceReports of a pending epoch, counts time, and asks; the same reports
// in any order give the same answer. Nothing is remembered here. Thread: any. Units: milliseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/base/ids.h"
#include "engine/control.h"

namespace seawall {

struct PromotionFacts {
  const Configuration* config = nullptr;  // as committed
  Epoch pending;                          // reports of another epoch are void
  Epoch record_epoch;                     // of the committed record that is about to promote
  Revision record_revision;
  std::span<const FenceReport> reports;   // at most one a replica counts: the last one
  Duration since_fence;                   // since the fence of `pending` was first sent
  Duration since_enough;                  // since an answer was wait_for_more; 0 before
  // A planned move: `target` is the only candidate; if it cannot win, the incumbent is.
  std::optional<ReplicaId> target;
  ReplicaId incumbent;
};

// An operator's decision for when no promotion is allowed (protocol.md 5.5): the named replicas are
// the members from now on.
struct ForceFacts {
  const Configuration* config = nullptr;  // as committed
  Epoch pending;
  Epoch record_epoch;
  Revision record_revision;
  std::span<const FenceReport> reports;  // of the named and of the others
  ReplicaSet named;                      // members of `config`
  bool old_primary_stopped = false;      // the operator's word, in place of promises of the others
};

enum class PromotionKind : std::uint8_t {
  wait,              // too few reports
  wait_for_more,     // enough; the choice waits up to limits::choice_wait_ms_max for better ones
  wait_for_settle,   // reports after a power loss would be needed: asks again after settle_time_ms
  promote,
  impossible,        // every member has reported and none may win: only an operator helps
  move_failed,       // neither target nor incumbent can lead: a plain failover, in a higher epoch
  record_too_old,    // a replica has seen a newer record than the one that wants to promote
};

struct PromotionDecision {
  PromotionKind kind = PromotionKind::wait;
  ReplicaId winner;
  Position winner_position;
  ProcessStart winner_start;
  bool after_power_loss = false;
  Configuration config;     // with the in-sync set of the new epoch
  const char* reason = "";  // static text
};

PromotionDecision decide_promotion(const PromotionFacts& facts);
PromotionDecision decide_force(const ForceFacts& facts);

// The configuration that a forced set serves under: its own members, and nothing of the others.
Configuration forced_config(const Configuration& config, const ReplicaSet& named);

// What a report claims to hold: last (term, lsn).
inline Position position_of(const ReplicaFacts& facts) {
  return Position{facts.last_term, facts.marks.written};
}

}  // namespace seawall
