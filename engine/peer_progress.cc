#include "engine/peer_progress.h"
#include "engine/base/mutant.h"

#include <algorithm>

namespace seawall {

const char* peer_state_name(PeerState state) {
  switch (state) {
    case PeerState::down: return "down";
    case PeerState::greeting: return "greeting";
    case PeerState::streaming: return "streaming";
    case PeerState::rewinding: return "rewinding";
    case PeerState::freezing: return "freezing";
    case PeerState::preparing: return "preparing";
    case PeerState::rebuilding: return "rebuilding";
    case PeerState::clearing: return "clearing";
  }
  return "?";
}

void Peer::become_greeting(std::uint64_t counter, Instant now, Duration start_deadline) {
  CHECK(state == PeerState::down);
  CHECK(counter > session);
  state = PeerState::greeting;
  session = counter;
  retry_at.reset();
  last_heard = now;
  deadline = now + (MUTANT(M40) ? Duration{1u << 30} : start_deadline);
  reason = "handshake";
}

void Peer::become_streaming(Lsn from, Lsn durable_at, bool counting, Instant now) {
  CHECK(state == PeerState::greeting);
  CHECK(durable_at < from);
  state = PeerState::streaming;
  written = from.prev();
  durable = durable_at;
  streaming_from = from;
  cursor = from;
  counts = counting;
  progress_at = now;
}

void Peer::become(PeerState next, Instant deadline_at) {
  CHECK(state != PeerState::down);
  state = next;
  deadline = deadline_at;
}

void Peer::end_session(SessionEnd end) {
  if (pin.held()) reserve = std::move(pin);
  base = BaseLane{};
  state = PeerState::down;
  plan.reset();
  written.reset();
  durable.reset();
  applied.reset();
  proved.reset();
  counts = false;
  floor.reset();
  barriers.clear();
  stream_busy = false;
  proof_target.reset();
  in_sync = false;
  convergence.reset();
  last_end = end;
  reason = session_end_name(end);
}

SessionPhase Peer::phase() const {
  switch (state) {
    case PeerState::down: return last_end ? SessionPhase::closed : SessionPhase::none;
    case PeerState::greeting: return SessionPhase::issued;
    case PeerState::clearing: return SessionPhase::closing;
    case PeerState::streaming:
      if (in_sync) return SessionPhase::closed;  // well
      return proof_target ? SessionPhase::closing : SessionPhase::running;
    case PeerState::rewinding:
    case PeerState::freezing:
    case PeerState::preparing:
    case PeerState::rebuilding: break;
  }
  return SessionPhase::running;
}

void Peer::acknowledge(Lsn upto_written, Lsn upto_durable, Lsn upto_applied, Instant now) {
  if (!written || upto_written > *written || MUTANT(M123)) progress_at = now;
  written = std::max(written.value_or(Lsn{}), upto_written);
  durable = std::max(durable.value_or(Lsn{}), upto_durable);
  applied = std::max(applied.value_or(Lsn{}), upto_applied);
  pin.advance(durable->next());
}

}  // namespace seawall
