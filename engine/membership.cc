#include "engine/membership.h"

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/config_change.h"
#include "engine/primary.h"
#include "engine/quorum.h"

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

bool Membership::has_settled(const Peer& peer) {
  if (context_.now >= readd_at(peer)) return true;
  context_.want_wake(readd_at(peer));
  return false;
}

void Membership::advance() {
  if (!primary_.active()) return;
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

// What has not been proposed yet is given up when its reason is gone, or when it would be another
// one by now: nothing has relied on it.
bool Membership::obsolete() {
  if (change_->proposed) return false;
  if (change_->kind == Kind::wish) {
    const std::optional<Configuration> step = step_to_wish();
    return !step || !(*step == change_->wanted);
  }
  const std::optional<Smaller> smaller = step_to_smaller();
  if (change_->kind == Kind::shrink) {
    return !(smaller && smaller->wanted == change_->wanted) && !MUTANT(M141);
  }
  const Peer* newcomer = primary_.peer(change_->cause);
  return newcomer == nullptr || !newcomer->eligible() || smaller.has_value();
}

void Membership::begin() {
  const bool in_sync = context_.assignment->config.policy == Policy::in_sync;
  if (in_sync && begin_shrink()) return;
  if (begin_wish()) return;
  if (in_sync) begin_grow();
}

// Missing for so long that it may be left out; if it will be, that moment is looked at again.
bool Membership::is_gone(const Peer& peer) {
  if (peer.eligible()) return false;
  const Instant gone_at = peer.missing_since + context_.options.suspicion;
  if (context_.now >= gone_at) return true;
  context_.want_wake(gone_at);
  return false;
}

// Without all that are gone: the proof of one that has gone as well would never come. No smaller
// than min_in_sync; nullopt: nobody can be left out.
std::optional<Membership::Smaller> Membership::step_to_smaller() {
  const Configuration& config = context_.assignment->config;
  Smaller step{config, ReplicaId{}};
  for (const Peer& peer : primary_.peers()) {
    if (!config.in_sync.contains(peer.id) || !is_gone(peer)) continue;
    if (step.wanted.in_sync.size() <= config.min_in_sync) break;
    step.cause = peer.id;
    step.wanted.in_sync.erase_if([&](ReplicaId id) { return id == peer.id; });
  }
  if (step.wanted.in_sync.size() == config.in_sync.size()) return std::nullopt;
  return step;
}

bool Membership::begin_shrink() {
  const std::optional<Smaller> step = step_to_smaller();
  if (!step) return false;
  start(step->wanted, step->cause, Kind::shrink);
  return true;
}

bool Membership::begin_grow() {
  const Configuration& config = context_.assignment->config;
  for (const Peer& peer : primary_.peers()) {
    if (!config.members.contains(peer.id) || config.in_sync.contains(peer.id)) continue;
    if (!counts(peer.id) || !has_settled(peer)) continue;
    Configuration wanted = config;
    ReplicaSet added;
    added.push_back(peer.id);
    wanted.in_sync = united(config.in_sync, added);
    start(wanted, peer.id, Kind::grow);
    return true;
  }
  return false;
}

// --- the wish ---

bool Membership::counts(ReplicaId replica) const {
  if (replica == context_.facts.replica) return true;
  const Peer* peer = primary_.peer(replica);
  return peer != nullptr && peer->in_sync && peer->eligible();
}

bool Membership::has_quorum(const Configuration& next) const {
  std::size_t present = 0;
  for (const ReplicaId member : next.members) present += counts(member) ? 1 : 0;
  return present >= write_quorum(next.members.size());
}

// Who counts now. One that is silent, but not for long enough to be given up, is waited for.
bool Membership::choose_in_sync(Configuration& next) {
  const Configuration& config = context_.assignment->config;
  next.in_sync.clear();
  for (const ReplicaId member : next.members) {
    const Peer* peer = primary_.peer(member);
    if (counts(member)) {
      const bool required = config.policy == Policy::quorum || config.in_sync.contains(member) ||
                            peer == nullptr || has_settled(*peer);
      if (required) next.in_sync.push_back(member);
      continue;
    }
    if (config.policy == Policy::in_sync && !config.in_sync.contains(member)) continue;
    if (!is_gone(*peer)) return false;  // or its proof is on the way
  }
  return next.in_sync.size() >= next.min_in_sync;
}

std::optional<Configuration> Membership::step_to_wish() {
  const Assignment& assignment = *context_.assignment;
  if (!assignment.wish) return std::nullopt;
  Configuration next = *assignment.wish;
  next.members = members_of_step(*assignment.wish, context_.facts.replica);
  if (fulfils(assignment.config, next)) return std::nullopt;
  for (const ReplicaId member : next.members) {
    if (assignment.config.members.contains(member)) continue;
    const Peer* peer = primary_.peer(member);
    if (peer == nullptr || !counts(member) || !has_settled(*peer)) return std::nullopt;
  }
  const bool possible =
      next.policy == Policy::quorum ? has_quorum(next) : choose_in_sync(next);
  return possible ? std::optional(next) : std::nullopt;
}

bool Membership::begin_wish() {
  const std::optional<Configuration> step = step_to_wish();
  if (!step) return false;
  ReplicaId cause = context_.facts.replica;
  for (const ReplicaId member : step->members) {
    if (!context_.assignment->config.members.contains(member)) cause = member;
  }
  start(*step, cause, Kind::wish);
  return true;
}

// --- the proposal ---

void Membership::start(const Configuration& wanted, ReplicaId cause, Kind kind) {
  Change change;
  change.wanted = wanted;
  change.cause = cause;
  change.kind = kind;
  change.target = primary_.to_prove();
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
