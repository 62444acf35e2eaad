// The five decisions in which generations of this protocol differ, as one value.
//
// Purpose: the simulator compares older ways to decide (v1, v1_5; sim/generations) with this
// protocol on one core, so that a difference in a result is a difference of a decision and of
// nothing else. Production binaries hold generation_v2 only: the default of CoreOptions and of the
// controller's Options. Life cycle: constants. Thread: any. Ownership: static. Errors: none.
#pragma once

#include <cstdint>

#include "engine/promotion.h"
#include "engine/recovery_plan.h"

namespace seawall {

// What a primary remembers of a replica, beside its facts.
struct Acquaintance {
  bool met = false;        // a handshake of this epoch has been answered already
  bool restarted = false;  // by another process than this one
};

// (a) can_attempt_catchup: is the way back through the log held while it is used?
enum class LogWay : std::uint8_t { none, unreserved, reserved };
using CanAttemptCatchup = LogWay (*)(const Plan& plan, const Acquaintance& known);

// (b) catchup_convergence: whose records does a log that runs full give up?
enum class SpaceRule : std::uint8_t {
  absent_at_once,  // who is away holds nothing, however much room there is
  never,           // who is behind holds the log, and writers wait
  by_need,         // the absent first, then the slowest, when the room is needed
};

// (c) recoverability: facts in, plan out.
struct Recoverability {
  Plan (*plan)(const PrimaryFacts& primary, const ReplicaFacts& replica,
               const Acquaintance& known);
  bool verifies_lineage;  // a record enters a log only behind the record that it was written behind
  bool attach_is_in_sync;  // an attached replica counts as in sync before a barrier has shown it
};

// (d) restart_rejoin: what a replica that comes back is believed.
struct RestartRejoin {
  bool waits_for_assignment;  // no handshake before the controller has spoken to this process
  bool keeps_marker;          // a rebuild that was interrupted is known to be one
};

// (e) promotion: who leads, by what word, and from when on.
struct Promotion {
  PromotionDecision (*decide)(const PromotionFacts& facts);
  bool probes;       // no failover unless enough answer for one, and nobody still grants
  bool fences;       // positions count behind a durable promise only
  bool proves_term;  // nothing is served before the own term-start is committed
};

struct Generation {
  const char* name;
  CanAttemptCatchup can_attempt_catchup;
  SpaceRule catchup_convergence;
  Recoverability recoverability;
  RestartRejoin restart_rejoin;
  Promotion promotion;
};

extern const Generation generation_v2;

}  // namespace seawall
