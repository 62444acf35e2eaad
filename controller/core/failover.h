// The failover of one volume, as pure decisions: whether one is wanted, and its fence and its
// choice.
//
// A reason of the primary's own (restarted, stepped down, refused) goes on at once. Suspicion by
// silence first probes the members, without promises: only what they say from then on counts.
// Enough of them must be there for a promotion, and none may still grant a lease to the silent
// primary (protocol.md 5.2, P165).
#pragma once

#include <string>

#include "controller/core/plan.h"

namespace seawall::controller {

struct FailoverReason {
  bool wanted = false;
  std::string text;          // one word with underscores, when wanted
  const char* waiting = "";  // why a failover that seems due is not begun
  bool suspects = false;     // the primary is silent
};

FailoverReason failover_reason(const VolumeRecord& record, const VolumeSeen& seen,
                               const NodesSeen& nodes, Instant now, const Options& options);

// The primary is heard here, but a set of the others that could go on without it says that no grant
// to it runs: they have lost it. Two of three, or as many of the in-sync set as minInSync asks for.
bool is_cut_off(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                Instant now, const Options& options);

// Fences to the members whose report is missing, and the assignment once the reports allow it.
void plan_fencing(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                  Instant now, const Options& options, Plan& plan);

// Asks every member how it is, if it was not asked a moment ago.
void plan_probe(const VolumeRecord& record, const VolumeSeen& seen, Instant now,
                const Options& options, Plan& plan);

// What a replica said in the present session of a node that is alive; nullptr: nothing that counts.
const ReplicaStatus* fresh_status(const ReplicaRecord& replica, const VolumeSeen& seen,
                                  const NodesSeen& nodes, Instant now, const Options& options);

// Is a delivery to this node due? Yes in a new session, for a new version, and again after
// `resend`.
bool is_due(const SentMark& sent, const NodesSeen& nodes, NodeId node, const Version& version,
            Instant now, Duration resend);
SentMark mark_of(const VolumeSeen& seen, ReplicaId replica);

}  // namespace seawall::controller
