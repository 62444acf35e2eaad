// One replica as its primary sees it: link, session, positions. All transitions are here.
//
//        PeerUp                HelloReply + plan
//  down ───────► greeting ─┬──► streaming ◄────────────────────────────┐
//    ▲              ▲      ├──► rewinding ──► greeting (new session)   │ MarkerCleared
//    │  close()     │      └──► freezing ► preparing ► rebuilding ► clearing
//    └── any state ─┘ retry: from any state, after the wait of the session's end
//
// Purpose: what a replica holds and may count with, in this session only. Positions never go back
// within a session and are unknown outside of one. Thread: the Core's. Units: as in ids.h.
// Invariants: durable <= written < cursor (or the end of a stream under way); at most one session.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/barrier.h"
#include "engine/convergence.h"
#include "engine/generation.h"
#include "engine/recovery_plan.h"
#include "engine/session.h"

namespace seawall {

enum class PeerState : std::uint8_t {
  down, greeting, streaming, rewinding, freezing, preparing, rebuilding, clearing
};
const char* peer_state_name(PeerState state);

// The base lane of a rebuild, source side: ask for a range of the replica's map, send the columns
// of that range that differ, ask for the next.
struct BaseLane {
  BaseFreeze freeze;
  std::optional<Lsn> since;  // delta; none: every extent is compared
  Lsn cut;
  std::uint64_t extents = 0;
  std::uint64_t sent = 0;    // columns
  std::uint64_t acked = 0;
  bool asked = false;        // an AskBaseMap is out
  bool comparing = false;    // a range is with the executor
  bool busy = false;         // a SendBase is out
  bool end = false;          // all has been compared; count and digest are known
  Lba range_end;             // of the range that is compared
  Lba upto;                  // all before it was compared
  std::uint64_t compared = 0;
  std::uint64_t digest = 0;  // of the entries that were compared
  std::uint64_t requests = 0;   // digest of the request tables that were sent
  std::optional<Position> floor;  // what the replica must hold again: its old end included
};

struct Peer {
  ReplicaId id;
  EndpointVersion endpoint;
  bool dialled = false;
  std::optional<LinkId> link;

  PeerState state = PeerState::down;
  std::uint64_t session = 0;          // of the open one; 0: none
  std::optional<PlanKind> plan;       // of this session, once it is made
  std::optional<Lsn> written, durable, applied;  // acknowledged in this session
  std::optional<Lsn> proved;          // durable, by a barrier of this session
  bool counts = false;                // lineage verified, no marker
  std::optional<Floor> floor;         // not reached yet
  BarrierLog barriers;

  Lsn streaming_from;                 // where this session's stream began
  Lsn cursor;                         // next record to send: the one owner of the stream
  bool stream_busy = false;           // a StreamLog is out
  Lsn stream_upto;                    // what it may have queued already
  LogPin pin;                         // of the session
  LogPin reserve;                     // of the row, after a session: the way back by catch-up
  LogWay log_way = LogWay::reserved;  // of the session
  std::optional<ProcessStart> met;    // of its last handshake in this epoch
  BaseLane base;

  Lsn head_at_handshake;
  std::optional<Lsn> proof_target;    // the barrier that shows it in sync
  bool in_sync = false;               // that barrier has been answered
  Convergence convergence;            // of the debt of this session
  std::optional<std::uint64_t> wants_rate;  // what its writers are slowed to for it
  ReplicaFailures failures;           // of this epoch
  std::uint32_t word = 0;             // of the operator, the newest one that was obeyed
  std::optional<SessionEnd> last_end;  // of its last session in this epoch
  bool fenced = false;                // it has promised a higher epoch: it never counts again
  std::uint32_t put_off = 0;          // refusals in a row that are no failures
  const char* reason = "not reached yet";

  Instant last_heard;
  Instant deadline;                   // start, and progress of rewind and rebuild
  Instant progress_at;                // last progress, or last moment without a debt
  std::optional<Instant> retry_at;
  std::optional<Instant> grant;       // sending time of what its newest answer answers
  Instant counting_since;             // in_sync policy: since when it streams ...
  Instant missing_since;              // ... or is gone
  std::uint32_t flaps = 0;

  void become_greeting(std::uint64_t counter, Instant now, Duration start_deadline);
  void become_streaming(Lsn from, Lsn durable_at, bool counting, Instant now);
  void become(PeerState next, Instant deadline_at);
  // Ends the session: pins and freeze go, positions are unknown again.
  void end_session(SessionEnd end);

  void acknowledge(Lsn upto_written, Lsn upto_durable, Lsn upto_applied, Instant now);
  void note_grant(Instant echo) {
    if (!grant || echo > *grant) grant = echo;
  }
  [[nodiscard]] bool open() const { return state != PeerState::down; }
  [[nodiscard]] bool receives_records() const {
    return state == PeerState::streaming || state == PeerState::rebuilding ||
           state == PeerState::clearing;
  }
  [[nodiscard]] SessionPhase phase() const;
  // What it may count with: lineage verified, no marker, not below its floor.
  [[nodiscard]] bool eligible() const {
    return state == PeerState::streaming && counts && !floor;
  }
  [[nodiscard]] Lsn sent_upto() const {
    return stream_busy && stream_upto >= cursor ? stream_upto : cursor.prev();
  }
};

}  // namespace seawall
