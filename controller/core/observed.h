// What the controller has heard since it started: soft state, lost and learnt again with every
// start.
//
// Purpose: the second input of plan.h. Nothing here is needed after a crash: nodes register again,
// fences are sent again, reports come again.
// Life cycle: values inside Core. Thread: Core's. Units: Instant in milliseconds of the injected
// clock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "controller/core/record.h"
#include "engine/control.h"
#include "engine/generation.h"

namespace seawall::controller {

struct Options {
  Duration suspicion{1'500};      // without a heartbeat
  Duration resend{500};           // of what has not shown its effect
  Duration survey{2'000};         // between looks at whether the store still holds what is known
  Duration cut_off{5'000};        // its replicas do without the primary: longer than a shrink takes
  Duration create_limit{20'000};  // then a half-made volume is undone
  Duration failover_pause_max{5'000};
  Duration failover_pause_first{100};
  Duration drain{1'500};  // of a planned move; below limits::drain_ms_max
  Duration probe{50};     // between questions to a primary that drains
  Duration calm{5'000};           // serving for so long: the next failover is a first one
  Duration replace_after{1'800'000};  // a member's node was silent for so long: another takes over
  Duration replace_missing{30'000};   // its node is there, and has not got it
  std::size_t requests_max = 16;  // that wait for one volume
  // Whether a replica that comes back older is doubted (openings.h). Off: where all copies were put
  // back (P164), nobody is left to end the doubt, and clients would have been told of the loss.
  bool doubt_older_copies = false;
  const Generation* generation = &generation_v2;  // anything else in the simulator only
};

struct NodeSeen {
  NodeRecord record;
  std::uint64_t session = 0;  // 0: not connected
  Instant session_since;
  Instant heard_at;           // at first: when this controller started
  bool heard = false;         // since this controller started
  std::uint64_t free_bytes = 0;
};
using NodesSeen = std::map<NodeId, NodeSeen>;

// The last time that something was sent, and what: it is sent again after a new session, after a
// change, or when it has shown no effect for Options::resend.
struct SentMark {
  std::uint64_t session = 0;
  Version version;
  Instant at;
};

struct ReplicaSeen {
  std::optional<ReplicaStatus> status;  // of the newest heartbeat or registration
  std::uint64_t status_session = 0;
  Instant status_at;
  std::optional<FenceReport> report;  // of the present pending epoch only
  ProcessStart report_node_start;     // of the node's process that sent it
  bool created = false;
  std::string create_error;  // empty: none
  bool deleted = false;
  SentMark sent;
  // Openings (openings.h).
  std::optional<OpeningTold> told;  // the newest that nobody doubts
  ProcessStart judged;              // the newest opening that was heard of; 0: none
  ProcessStart judged_before;       // and the one before it: what it says comes late
  bool older = false;               // `judged` is in doubt
};

struct VolumeSeen {
  std::map<ReplicaId, ReplicaSeen> replicas;
  std::map<AttachmentId, SentMark> views;
  std::optional<ConfigProposal> proposal;  // the newest one that waits for its answer
  ReplicaId proposal_from;
  // The primary of `failover_epoch` cannot go on, and says so itself.
  Epoch failover_epoch;
  std::string failover_reason;
  // The primary is silent: only what its replicas have said since then is an answer.
  std::optional<Instant> suspected_since;
  Instant probed_at;         // the last Probe went out
  Instant move_since;        // this controller knows of the order to move
  std::string order_failed;  // why the last move or force came to nothing
  std::optional<Instant> cut_off_since;  // the primary speaks, and its replicas do not hear it
  Instant pending_since;                 // this controller knows of the pending epoch
  std::optional<Instant> enough_since;   // reports would do; a better one may still come
  std::optional<Version> newer;  // greatest epoch and greatest revision that a replica has seen
  Instant creating_since;
  Instant failover_not_before;
  std::uint32_t failovers_in_row = 0;
  std::optional<Instant> serving_since;
  std::optional<Instant> unserved_since;  // for people

  [[nodiscard]] const ReplicaSeen* find(ReplicaId replica) const {
    const auto at = replicas.find(replica);
    return at == replicas.end() ? nullptr : &at->second;
  }
};

inline bool is_connected(const NodesSeen& nodes, NodeId node) {
  const auto at = nodes.find(node);
  return at != nodes.end() && at->second.session != 0;
}

// Heard of within the time of suspicion. A node of the store counts from the controller's start on.
inline bool is_alive(const NodesSeen& nodes, NodeId node, Instant now, const Options& options) {
  const auto at = nodes.find(node);
  return at != nodes.end() && now <= at->second.heard_at + options.suspicion;
}

}  // namespace seawall::controller
