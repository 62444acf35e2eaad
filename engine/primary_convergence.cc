// A catch-up that its writers outrun: they are slowed first, within bounds; if that does not help
// the session ends by kind and a delta follows. Steady progress has no time limit.
#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/generation.h"
#include "engine/primary.h"

namespace seawall {

// What has been committed without it and is not sent yet. A replica that commits wait for has none,
// so it can neither slow its writers by this nor lose its session.
StreamBytes Primary::stream_bytes(const Peer& peer) const {
  const Lsn goal = std::max(committed_.value_or(Lsn{}), peer.cursor.prev());
  return {context_.log.bytes_upto(peer.cursor.prev()), context_.log.bytes_upto(goal)};
}

// A quarter of what they write unhindered, and never less than the option.
std::uint64_t Primary::throttle_floor() const {
  return std::max(context_.options.throttle_floor, unhindered_ / 4);
}

void Primary::converge(Peer& peer) {
  if (context_.options.generation->catchup_convergence != SpaceRule::by_need) return;
  if (peer.state != PeerState::streaming || !committed_) return peer.convergence.reset();
  const ConvergenceLimits& limits = context_.options.convergence;
  const StreamBytes at = stream_bytes(peer);
  peer.convergence.note(context_.now, at, limits);
  if (at.owed() == 0 && peer.in_sync) peer.wants_rate.reset();
  if (!peer.convergence.due()) return;
  if (!context_.ticking) return context_.want_wake(*peer.convergence.due());
  const bool at_floor = throttle_.on() && *throttle_.rate() <= throttle_floor();
  switch (peer.convergence.judge(context_.now, at, at_floor, limits)) {
    case Verdict::none:
    case Verdict::wins: break;
    case Verdict::slow: slow_writers(peer); break;
    case Verdict::lost:
      if (!peer.failures.escalated() || MUTANT(M133)) {
        slow_writers(peer);  // for the delta as well: its log lane has the same writers
        return close(peer, SessionEnd::not_converging);
      }
      // It has come by a rebuild already, and the writers were at their floor: a further one would
      // end the same way. They go on; room in the log decides.
      peer.wants_rate.reset();
      peer.reason = "its writers are faster than it";
      break;
  }
  if (peer.convergence.due()) context_.want_wake(*peer.convergence.due());
}

// To three quarters of what it takes: then it ends in four times what it would take undisturbed.
void Primary::slow_writers(Peer& peer) {
  if (MUTANT(M134)) return;
  if (!throttle_.on()) unhindered_ = std::max(unhindered_, peer.convergence.ingest_rate());
  const std::uint64_t target = peer.convergence.drain_rate() / 4 * 3;
  peer.wants_rate = std::max(target, throttle_floor());
}

// The slowest that can still win sets the pace of all.
void Primary::set_throttle() {
  std::optional<std::uint64_t> rate;
  for (const Peer& peer : peers_) {
    if (peer.wants_rate) rate = std::min(rate.value_or(*peer.wants_rate), *peer.wants_rate);
  }
  if (!rate) unhindered_ = 0;
  throttle_.set(rate, context_.now);
}

}  // namespace seawall
