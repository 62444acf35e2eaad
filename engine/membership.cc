#include "engine/membership.h"

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/primary.h"

namespace seawall {
namespace {

constexpr Duration propose_again_after{1'000};
constexpr Duration readd_after{300};       // first return; doubles with each flap
constexpr std::uint32_t readd_doublings_max = 8;

}  // namespace

Instant Membership::readd_at(const Peer& peer) const {
  const std::uint32_t doublings = std::min(peer.flaps, readd_doublings_max);
  return peer.counting_since + Duration{readd_after.value() << doublings};
}

void Membership::advance() {
  if (!primary_.active()) return;
  const Configuration& config = context_.assignment->config;
  if (config.policy != Policy::in_sync) return;
  if (change_ && obsolete()) change_.reset();
  if (!change_) begin();
  if (!change_ || change_->moved) return;
  if (!change_->proposed) {
    const std::optional<Lsn> proved = primary_.proved_on(change_->wanted);
    if ((proved && *proved >= change_->target) || MUTANT(M12)) propose();
  } else if (context_.now >= change_->propose_again) {
    propose();
  }
  if (change_->proposed) context_.want_wake(change_->propose_again);
}

// What has not been proposed yet is given up when its reason is gone.
bool Membership::obsolete() const {
  if (change_->proposed) return false;
  const Peer* peer = primary_.peer(change_->cause);
  if (peer == nullptr) return true;
  return change_->shrinks == peer->eligible();
}

void Membership::begin() {
  if (begin_shrink()) return;
  begin_grow();
}

bool Membership::begin_shrink() {
  const Configuration& config = context_.assignment->config;
  Configuration wanted = config;
  ReplicaId cause;
  for (const Peer& peer : primary_.peers()) {
    if (!config.in_sync.contains(peer.id) || peer.eligible()) continue;
    const Instant gone_at = peer.missing_since + context_.options.suspicion;
    if (context_.now < gone_at) {
      context_.want_wake(gone_at);
      continue;
    }
    if (wanted.in_sync.size() <= wanted.min_in_sync) break;  // it waits instead
    cause = peer.id;
    wanted.in_sync.erase_if([&](ReplicaId id) { return id == peer.id; });
  }
  if (wanted.in_sync.size() == config.in_sync.size()) return false;
  start(wanted, cause, true);
  return true;
}

bool Membership::begin_grow() {
  const Configuration& config = context_.assignment->config;
  for (const Peer& peer : primary_.peers()) {
    if (config.in_sync.contains(peer.id) || !peer.in_sync || !peer.eligible()) continue;
    if (context_.now < readd_at(peer)) {
      context_.want_wake(readd_at(peer));
      continue;
    }
    Configuration wanted = config;
    std::size_t place = 0;
    while (place < wanted.in_sync.size() && wanted.in_sync[place] < peer.id) ++place;
    wanted.in_sync.insert_at(place, peer.id);
    start(wanted, peer.id, false);
    return true;
  }
  return false;
}

void Membership::start(const Configuration& wanted, ReplicaId cause, bool shrinks) {
  Change change;
  change.wanted = wanted;
  change.cause = cause;
  change.shrinks = shrinks;
  change.target = context_.log.head();
  change_ = change;
  primary_.want_barrier(change_->target);
}

void Membership::propose() {
  change_->proposed = true;
  change_->propose_again = context_.now + propose_again_after;
  ConfigProposal proposal;
  proposal.volume = context_.options.volume;
  proposal.epoch = primary_.epoch();
  proposal.base = context_.assignment->revision;
  proposal.wanted = change_->wanted;
  proposal.cause = change_->cause;
  context_.emit(command::Propose{proposal});
}

void Membership::on_refused(const ConfigRefusal& refusal) {
  if (!change_ || !change_->proposed) return;
  if (refusal.epoch != primary_.epoch() || refusal.base != context_.assignment->revision) return;
  // Something was committed on top of our base, perhaps this very proposal: both sets go on
  // counting until that revision is here.
  if (refusal.current > refusal.base) {
    change_->moved = refusal.current;
    return;
  }
  change_.reset();
}

}  // namespace seawall
