#include "engine/projection.h"

#include <algorithm>

#include "engine/engine.h"

namespace seawall {

ReplicaState replica_state(const Peer& peer) {
  if (peer.failures.terminal()) return ReplicaState::terminal;
  switch (peer.state) {
    case PeerState::down: return ReplicaState::unreachable;
    case PeerState::greeting: return ReplicaState::unknown;
    case PeerState::rewinding: return ReplicaState::rewinding;
    case PeerState::freezing:
    case PeerState::preparing:
    case PeerState::rebuilding:
    case PeerState::clearing: return ReplicaState::rebuilding;
    case PeerState::streaming: break;
  }
  if (peer.in_sync) return ReplicaState::in_sync;
  return peer.proof_target ? ReplicaState::proving : ReplicaState::catching_up;
}

namespace {

RecoveryKind kind_of(const Peer& peer) {
  switch (replica_state(peer)) {
    case ReplicaState::rewinding: return RecoveryKind::rewind;
    case ReplicaState::rebuilding:
      return peer.base.since ? RecoveryKind::delta : RecoveryKind::full;
    case ReplicaState::catching_up: return RecoveryKind::catch_up;
    case ReplicaState::proving: return RecoveryKind::attach;
    case ReplicaState::in_sync:
    case ReplicaState::unreachable:
    case ReplicaState::failed:
    case ReplicaState::terminal:
    case ReplicaState::unknown: return RecoveryKind::none;
  }
  return RecoveryKind::none;
}

PeerStatus status_of(const Engine& engine, const Peer& peer, Instant now) {
  const Context& context = engine.context();
  PeerStatus status;
  status.replica = peer.id;
  status.state = replica_state(peer);
  status.kind = kind_of(peer);
  if (peer.open()) status.session = SessionId{engine.primary().epoch(), peer.session};
  status.written = peer.written;
  status.durable = peer.durable;
  status.applied = peer.applied;
  status.reason = peer.reason;
  status.phase = peer.phase();
  // Of a peer of the older generations its own word may be ahead of this log.
  if (peer.written && *peer.written < context.log.head()) {
    status.lag = (context.log.head() - *peer.written).value();
  }
  const Instant since = peer.in_sync ? peer.counting_since : peer.missing_since;
  if (now > since) status.lasting = now - since;
  status.escalated = peer.failures.escalated();
  if (peer.met) status.start = *peer.met;
  for (const FailureNote& note : peer.failures.history()) {
    status.failures.push_back({note.kind, note.action, note.nth, now - note.at});
  }
  if (status.state == ReplicaState::rebuilding) {
    // Of the volume: compared and, where they differed, written over there.
    const std::uint64_t size = context.facts.size.value();
    const std::uint64_t upto = std::min(peer.base.upto.value(), size);
    const std::uint64_t owed = std::min(
        upto, (peer.base.sent - peer.base.acked) * limits::extent_bytes / limits::block_bytes);
    status.bytes_total = size * limits::block_bytes;
    status.bytes_left = (size - upto + owed) * limits::block_bytes;
  } else if (peer.written) {
    status.bytes_left = context.log.bytes_after(*peer.written);
    const Lsn before = peer.streaming_from > Lsn{0} ? peer.streaming_from.prev() : Lsn{};
    status.bytes_total = std::max(context.log.bytes_after(before), status.bytes_left);
  }
  return status;
}

}  // namespace

ReplicaStatus project(const Engine& engine, Instant now) {
  const Context& context = engine.context();
  const Primary& primary = engine.primary();
  ReplicaStatus status;
  status.volume = context.options.volume;
  status.replica = context.facts.replica;
  status.epoch = context.known_epoch;
  status.promised = context.facts.promised;
  if (context.assignment) status.revision = context.assignment->revision;
  status.role = engine.role();
  status.serving = primary.serving();
  status.marks = context.facts.marks;
  status.committed = primary.on() ? primary.committed() : engine.replica().told_committed();
  status.stable = primary.on() ? primary.stable() : engine.replica().told_stable();
  status.log_failed = context.log_failed;
  status.drained = primary.drained();
  status.fill_percent = context.fill_percent;
  if (!primary.on() && context.granted_epoch) {
    status.grants_primary =
        *context.granted_epoch == context.known_epoch && now < context.granted_until;
  }
  for (const Peer& peer : primary.peers()) {
    status.peers.push_back(status_of(engine, peer, now));
  }
  status.reason = engine.reason();
  return status;
}

}  // namespace seawall
