// What the controller tells a replica and hears from it, as plain values.
//
// The gRPC edges convert to and from these; the pure controller and the simulator use them
// directly.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/bounded_vector.h"
#include "engine/base/facts.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"
#include "engine/failure_policy.h"

namespace seawall {

enum class Policy : std::uint8_t { quorum = 1, in_sync = 2 };
enum class WriteCache : std::uint8_t { writeback = 1, none = 2 };

using ReplicaSet = BoundedVector<ReplicaId, limits::members_max>;  // sorted by id, no duplicates

// One value, changed as one (protocol.md section 3).
struct Configuration {
  ReplicaSet members;
  ReplicaSet in_sync;  // subset of members; meaningful for Policy::in_sync
  Policy policy = Policy::quorum;
  std::uint8_t min_in_sync = 1;
  WriteCache write_cache = WriteCache::writeback;
  friend constexpr bool operator==(const Configuration&, const Configuration&) = default;
};

// An endpoint is a versioned hint; the address itself stays with the executor. `word` rises when an
// operator says that a replica that was given up is to be tried again.
struct PeerEndpoint {
  ReplicaId replica;
  EndpointVersion version;
  std::uint32_t word = 0;
  friend constexpr bool operator==(const PeerEndpoint&, const PeerEndpoint&) = default;
};

struct AttachmentGrant {
  AttachmentId attachment;  // rising; everything below the greatest revoked one is refused
  NodeId node;
  friend constexpr bool operator==(const AttachmentGrant&, const AttachmentGrant&) = default;
};

struct Assignment {
  VolumeId volume;
  Incarnation incarnation;
  Epoch epoch;
  Revision revision;
  ReplicaId primary;
  Configuration config;
  BoundedVector<PeerEndpoint, limits::members_max> endpoints;
  BoundedVector<AttachmentGrant, limits::attachments_max> attachments;
  BlockCount size;
  // The report by which the primary won; a primary that restarted since, or lacks it, refuses.
  ProcessStart winner_start;
  Position winner_position;
  bool after_power_loss = false;
  bool forced = false;  // by an operator: what the winner gave up, its floor, is let go
  // The configuration that is wanted: the primary brings its newcomers up and proposes it when they
  // count (config_change.h). Its in-sync set is empty: who is in it is known only then.
  std::optional<Configuration> wish;
  // A planned move begins: admit nothing, finish what is open, prove the head. Of one revision; the
  // primary gives it up by itself after limits::drain_ms_max.
  bool drains = false;
  friend constexpr bool operator==(const Assignment&, const Assignment&) = default;

  // A newcomer is assigned, so that it can be rebuilt, and counts nowhere before it is a member.
  [[nodiscard]] constexpr bool names(ReplicaId replica) const {
    return config.members.contains(replica) || (wish && wish->members.contains(replica));
  }
};

// Asks for a durable promise to refuse every lower epoch.
struct FenceRequest {
  VolumeId volume;
  ReplicaId replica;
  Epoch epoch;       // the pending epoch
  Revision revision;
};

// Sent only when the promise is durable.
struct FenceReport {
  VolumeId volume;
  Epoch epoch;        // the promise that this report stands on
  ReplicaFacts facts;
};

// The primary asks for a change of the configuration; the answer is a new Assignment or a refusal.
struct ConfigProposal {
  VolumeId volume;
  Epoch epoch;         // of the proposing primary
  Revision base;       // the revision it was decided on
  Configuration wanted;
  ReplicaId cause;     // the member that left or returns
};

// A refusal says what is committed: while `current` is newer than `base` the proposal itself may be
// what moved it, so the primary keeps satisfying both until that revision arrives.
struct ConfigRefusal {
  VolumeId volume;
  Epoch epoch;
  Revision base;
  Revision current;  // of the committed record at the refusal; == base: nothing was committed
};

enum class RecoveryKind : std::uint8_t { none, attach, rewind, catch_up, delta, full };
enum class ReplicaState : std::uint8_t {
  in_sync, catching_up, rebuilding, rewinding, proving, unreachable, failed, unknown, terminal
};
// A session as everybody sees it (protocol.md section 6.3).
enum class SessionPhase : std::uint8_t { none, issued, running, closing, closed };

// One line of the history of a replica's failures.
struct FailureStatus {
  FailureKind kind = FailureKind::stalled;
  FailureAction action = FailureAction::retry;
  std::uint32_t nth = 0;  // of its kind
  Duration ago;           // before this status
};

// A replica as its primary sees it: projection, never an input.
struct PeerStatus {
  ReplicaId replica;
  ReplicaState state = ReplicaState::unknown;
  RecoveryKind kind = RecoveryKind::none;
  SessionId session;
  std::optional<Lsn> written, durable, applied;
  std::uint64_t bytes_total = 0, bytes_left = 0;  // of the recovery under way
  const char* reason = "";                        // static text
  SessionPhase phase = SessionPhase::none;
  std::optional<std::uint64_t> lag;  // records that it has not acknowledged
  Duration lasting;                  // in sync for so long, or missing for so long
  bool escalated = false;            // its next plan compares everything
  BoundedVector<FailureStatus, ReplicaFailures::history_max> failures;  // oldest first
  ProcessStart start;      // the opening that it shook hands with; 0: none in this epoch
};

enum class Role : std::uint8_t { none, replica, promoting, primary, stepped_down };

// One word each, lower case and stable: traces, logs and users see them.
const char* role_name(Role role);
const char* replica_state_name(ReplicaState state);
const char* recovery_kind_name(RecoveryKind kind);
const char* session_phase_name(SessionPhase phase);

// What a heartbeat carries for one replica.
struct ReplicaStatus {
  VolumeId volume;
  ReplicaId replica;
  Epoch epoch, promised;
  Revision revision;
  Role role = Role::none;
  bool serving = false;  // a primary whose term-start is committed
  Watermarks marks;
  std::optional<Lsn> committed, stable;
  bool log_failed = false;  // sticky error of its disk: wants a failover if it is primary
  // A replica: its grant to the primary of `epoch` still runs (the probe of a failover: while any
  // does, a primary that only the controller has lost is left in peace). Unknown: it cannot say.
  std::optional<bool> grants_primary;
  bool drained = false;  // primary: what Assignment::drains asked for is done, and holds
  std::uint8_t fill_percent = 0;  // of its log
  std::uint32_t store_failures = 0;  // of the store here, since they were last forgotten ...
  bool given_up = false;             // ... and no further opening is tried
  BoundedVector<PeerStatus, limits::members_max> peers;  // primary only
  const char* reason = "";
  Opening opening;
};

}  // namespace seawall
