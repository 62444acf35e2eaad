#include "engine/primary.h"

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/generation.h"
#include "engine/quorum.h"

namespace seawall {
// --- life ---

void Primary::begin() {
  CHECK(context_.assignment.has_value());
  CHECK(!on());
  phase_ = PrimaryPhase::waiting;
  epoch_ = context_.assignment->epoch;
  term_start_ = Lsn{};
  committed_.reset();
  stable_.reset();
  shown_ = Lsn{};
  peers_.clear();
  session_counter_ = 0;
  barriers_.reset();
  flush_covers_ = context_.facts.marks.durable;
  barrier_bytes_from_ = context_.log.head();
  unstable_ = false;
  membership_.reset();
  attachments_.forget_connections();
  attachments_.keep(context_.assignment->attachments);
  for (const AttachmentGrant& grant : context_.assignment->attachments) {
    newest_attachment_ = std::max(newest_attachment_, grant.attachment);
  }
  if (context_.assignment->drains) drain_.begin();
  sync_peers();
}

// The role is taken when the promise is durable, nobody older may still answer, and the log is at
// rest.
void Primary::maybe_begin_term() {
  if (phase_ != PrimaryPhase::waiting) return;
  if (context_.facts.promised < epoch_) return;
  if (!context_.log.quiet(context_.facts) && !MUTANT(M111)) return;
  if (context_.granted_to_others(epoch_)) {
    context_.want_wake(context_.granted_until);
    return;
  }
  phase_ = PrimaryPhase::proving;
  next_heartbeat_ = context_.now + context_.options.heartbeat;
  for (Peer& peer : peers_) peer.missing_since = context_.now;
  RecordHeader header;
  header.kind = RecordKind::term_start;
  term_start_ = append_record(header, no_slot);
  want_barrier(term_start_);
  for (Peer& peer : peers_) {
    if (peer.link) greet(peer);
  }
}

void Primary::on_new_revision(const Assignment& before) {
  const Assignment& now = *context_.assignment;
  membership_.on_configuration();
  sync_peers();
  for (const AttachmentGrant& grant : now.attachments) {
    newest_attachment_ = std::max(newest_attachment_, grant.attachment);
  }
  if (now.drains && !before.drains) drain_.begin();
  if (!now.drains) end_drain();
  for (const AttachmentGrant& grant : before.attachments) {
    if (!revoked(grant.attachment)) continue;
    requests_.revoke(grant.attachment);
    drain_.take(grant.attachment, [this](const Drain::Held& held) {
      requests_.refuse(held.link, held.request, ClientStatus::detached);
    });
  }
  attachments_.keep(now.attachments);
}

void Primary::stop(ClientStatus status) {
  if (!on()) return;
  requests_.fail_all(status);
  drain_.release(
      [&](const Drain::Held& held) { requests_.refuse(held.link, held.request, status); });
  blocks_.clear();
  for (Peer& peer : peers_) drop_peer(peer);
  peers_.clear();
  membership_.reset();
  while (!tape_.empty()) context_.drop(tape_.pop_front().slot);
  tape_bytes_ = 0;
  attachments_.forget_connections();
  committed_.reset();
  stable_.reset();
  throttle_ = WriteThrottle{};
  phase_ = PrimaryPhase::off;
}

// --- the log ---

Lsn Primary::append_record(RecordHeader& header, Slot slot) {
  CHECK(active());
  header.lsn = context_.log.head().next();
  header.term = epoch_;
  context_.log.append(header, context_.facts);
  attachments_.fold(header);
  context_.emit(command::AppendLog{header, slot});
  if (tape_.full()) {
    tape_bytes_ -= payload_bytes(tape_.front().header).value();
    context_.drop(tape_.pop_front().slot);
  }
  tape_.push_back({header, slot});
  tape_bytes_ += payload_bytes(header).value();
  for (Peer& peer : peers_) send_from_tape(peer);
  trim_tape();
  return header.lsn;
}

// --- watermarks ---

std::optional<Lsn> Primary::proved_on(const Configuration& config) const {
  BoundedVector<Standing<Lsn>, limits::members_max> standings;
  standings.push_back({context_.facts.replica, context_.facts.marks.durable});
  for (const Peer& peer : peers_) {
    standings.push_back({peer.id, peer.eligible() ? peer.proved : std::nullopt});
  }
  std::optional<Lsn> prefix =
      reached(config, std::span<const Standing<Lsn>>(standings.span()));
  if (prefix) prefix = std::min(*prefix, context_.facts.marks.durable);
  return prefix;
}

void Primary::update_watermarks() {
  if (!active()) return;
  BoundedVector<Standing<Lsn>, limits::members_max> written;
  BoundedVector<Standing<Lsn>, limits::members_max> durable;
  const Watermarks& own = context_.facts.marks;
  written.push_back({context_.facts.replica, own.written});
  durable.push_back({context_.facts.replica, own.durable});
  for (const Peer& peer : peers_) {
    const bool counts = peer.eligible() || (MUTANT(M06) && peer.written) ||
                        (MUTANT(M48) && peer.state == PeerState::rebuilding);
    written.push_back({peer.id, counts ? peer.written : std::nullopt});
    durable.push_back({peer.id, counts ? peer.proved : std::nullopt});
  }
  const Configuration& config = context_.assignment->config;
  const std::optional<Configuration> wanted =
      MUTANT(M13) ? std::nullopt : membership_.wanted();
  std::optional<Lsn> prefix =
      reached_jointly(config, wanted, std::span<const Standing<Lsn>>(written.span()));
  if (MUTANT(M02) || (MUTANT(M03) && config.policy == Policy::in_sync)) prefix = own.written;
  if (MUTANT(M04) && written.size() > 1 && !written[1].at) prefix = own.written;
  if (prefix && !MUTANT(M01)) prefix = std::min(*prefix, own.written);
  // Records of older terms are committed by the term-start, never by counting copies of themselves.
  if (prefix && *prefix >= term_start_ && (!committed_ || *prefix > *committed_)) {
    committed_ = prefix;
  }
  prefix = reached_jointly(config, wanted, std::span<const Standing<Lsn>>(durable.span()));
  if (prefix) prefix = std::min(*prefix, own.durable);
  if (prefix && committed_) prefix = std::min(*prefix, *committed_);
  if (prefix && committed_ && *prefix >= term_start_ && (!stable_ || *prefix > *stable_)) {
    stable_ = prefix;
  }
  shown_ = visible();
  // What it lacks of its own log is fetched, or known to be lost, before it serves.
  const bool ready = repair_.done() &&
                     (completes_when_stable() ? stable_.has_value() : committed_.has_value());
  const bool proves = context_.options.generation->promotion.proves_term && !MUTANT(M22);
  if (phase_ == PrimaryPhase::proving && (ready || !proves)) {
    phase_ = PrimaryPhase::serving;
    requests_.start_epoch(term_start_);
  }
}

bool Primary::completes_when_stable() const {
  const std::optional<Configuration> wanted = membership_.wanted();
  return context_.assignment->config.write_cache == WriteCache::none ||
         (wanted && wanted->write_cache == WriteCache::none);
}

bool Primary::outvoted() const {
  BoundedVector<Standing<Lsn>, limits::members_max> left;
  left.push_back({context_.facts.replica, Lsn{}});
  for (const Peer& peer : peers_) {
    if (!peer.fenced) left.push_back({peer.id, Lsn{}});
  }
  return !reached_jointly(context_.assignment->config, membership_.wanted(),
                          std::span<const Standing<Lsn>>(left.span()));
}

Lsn Primary::visible() const {
  const std::optional<Lsn>& frontier = completes_when_stable() ? stable_ : committed_;
  return std::max(shown_, frontier.value_or(Lsn{}));
}

void Primary::prove_self() {
  if (stable_) {
    context_.set_intact();
    context_.maybe_clear_floor();
    context_.set_fold_limit(*stable_);
  }
  context_.set_fold_limit(fold_limit());
}

// What any replica of this lineage has folded is stable in every epoch.
Lsn Primary::fold_limit() const {
  Lsn limit = context_.facts.marks.applied;
  for (const Peer& peer : peers_) {
    if (peer.eligible() && peer.applied) limit = std::max(limit, *peer.applied);
  }
  return std::max(limit, stable_.value_or(Lsn{}));
}

// --- barriers ---

// Our own barriers, by bytes, by time and by the fill of the log, prove the whole log while there
// is room; in a full one what is committed, for the head may be waiting for the room that only a
// barrier can make.
void Primary::maybe_send_barrier() {
  const Lsn head = context_.log.head();
  const bool tight = context_.fill_percent >= tight_percent;
  const Lsn provable = tight ? committed_.value_or(context_.facts.marks.written) : head;
  const std::uint64_t bytes = context_.log.bytes_after(barrier_bytes_from_);
  if (bytes >= context_.options.barrier_bytes) want_barrier(provable);
  const bool owed = !barriers_.last_target() || *barriers_.last_target() < head;
  if (owed && !unstable_) unstable_since_ = context_.now;
  unstable_ = owed;
  if (owed) {
    const Instant due_at = unstable_since_ + context_.options.barrier_interval;
    if (context_.now >= due_at) want_barrier(provable);
    else context_.want_wake(due_at);
  }
  const std::optional<Lsn> target = barriers_.due(context_.facts.marks.durable);
  maybe_relieve();
  if (!target) return;
  const std::uint64_t id = barriers_.issue(*target);
  unstable_ = *target < head;
  unstable_since_ = context_.now;
  barrier_bytes_from_ = *target;
  send_barrier(id, *target);
}

// A barrier may wait for a record that has no room yet, or have gone with the session it was asked
// in. By time, one proves what is committed: it becomes stable, is folded, and makes the room.
void Primary::maybe_relieve() {
  if (!committed_ || stable_ == committed_ || stable_ != stable_seen_) {
    stable_seen_ = stable_;
    stuck_since_ = context_.now;
  }
  if (!committed_ || stable_ == committed_) return;
  const std::uint64_t patience = 2 * context_.options.barrier_interval.value();
  const Instant due_at = stuck_since_ + Duration{patience};
  if (context_.now < due_at) {
    context_.want_wake(due_at);
    return;
  }
  stuck_since_ = context_.now;
  send_barrier(barriers_.next_id(), *committed_);
}

void Primary::send_barrier(std::uint64_t id, Lsn target) {
  if (flush_covers_ < target) {
    flush_covers_ = context_.log.head();
    context_.emit(command::FlushLog{});
  }
  for (Peer& peer : peers_) {
    if (peer.state != PeerState::streaming) continue;
    peer.barriers.asked(id, target);
    send(peer, message::Barrier{id, target, context_.now});
  }
}

// --- a planned move ---

void Primary::advance_drain() {
  if (drain_.overdue()) return end_drain();
  if (drain_.on() && serving() && requests_.open() == 0) want_barrier(context_.log.head());
}

void Primary::end_drain() {
  drain_.release([this](const Drain::Held& held) {
    requests_.on_asked(held.link, held.request);
  });
}

void Primary::on_client_asked(LinkId link, const ClientRequest& request) {
  if (!drain_.on()) {
    requests_.on_asked(link, request);
  } else if (requests_.open() + drain_.held() >= Requests::open_max ||
             !drain_.hold(link, request)) {
    requests_.refuse(link, request, ClientStatus::busy);
  }
}

// --- lease ---

std::optional<Instant> Primary::lease_until() const {
  BoundedVector<Standing<Instant>, limits::members_max> grants;
  grants.push_back({context_.facts.replica, context_.now});
  for (const Peer& peer : peers_) grants.push_back({peer.id, peer.grant});
  return lease_end(context_.assignment->config, membership_.wanted(),
                   std::span<const Standing<Instant>>(grants.span()), context_.options.lease);
}

bool Primary::has_lease() const {
  if (!on() || context_.promised > epoch_) return false;
  const std::optional<Instant> until = lease_until();
  return until && context_.now < *until;
}

// --- after every event ---

void Primary::advance() {
  if (!on()) return;
  maybe_begin_term();
  if (!active()) return;
  update_watermarks();
  prove_self();
  for (Peer& peer : peers_) {
    pump(peer);
    maybe_prove(peer);
    converge(peer);
  }
  peer_deadlines();
  set_throttle();
  trim_tape();
  repair();
  membership_.advance();
  if (serving()) requests_.release();
  advance_drain();
  maybe_send_barrier();
  if (!peers_.empty()) context_.want_wake(next_heartbeat_);
}

void Primary::tick() {
  if (!active()) return;
  if (context_.now >= next_heartbeat_) send_heartbeats();
}

void Primary::send_heartbeats() {
  next_heartbeat_ = context_.now + context_.options.heartbeat;
  for (Peer& peer : peers_) {
    if (!peer.open() || peer.state == PeerState::greeting) continue;
    send(peer, message::Heartbeat{committed_, stable_, fold_limit(), context_.now});
  }
}

// --- clients ---

bool Primary::revoked(AttachmentId attachment) const {
  for (const AttachmentGrant& grant : context_.assignment->attachments) {
    if (grant.attachment == attachment) return false;
  }
  return attachment <= newest_attachment_ && !MUTANT(M25);
}

// What the attachment has seen is in this log: by its position, or, for terms that the table has
// forgotten, by the last epoch that proved it. Neither: nobody can tell, and that is said.
bool Primary::proves(const ClientAttach& attach) const {
  const TermTable& terms = context_.facts.terms;
  const Position& seen = *attach.seen;
  if (holds_position(terms, context_.log.head(), seen)) return true;
  for (const TermEntry& entry : terms) {
    if (entry.term != attach.proved_by) continue;
    return seen.term < entry.term && seen.lsn < entry.first_lsn;
  }
  return false;
}

void Primary::on_client_opened(LinkId link, const ClientAttach& attach) {
  ClientAttachReply reply;
  reply.epoch = epoch_;
  reply.known_epoch = context_.known_epoch;
  reply.known_primary = context_.known_primary;
  reply.size = context_.facts.size;
  bool granted = false;
  for (const AttachmentGrant& grant : context_.assignment->attachments) {
    granted = granted || grant.attachment == attach.attachment;
  }
  const AttachmentConnection* known = attachments_.connection(attach.attachment);
  if (revoked(attach.attachment)) {
    reply.status = ClientStatus::detached;
  } else if ((!granted && !MUTANT(M25)) || !serving()) {
    reply.status = ClientStatus::not_serving;  // our record may be older than the attachment
  } else if (known != nullptr && attach.connection <= known->connection) {
    reply.status = ClientStatus::stale_connection;
  } else if (attach.seen && !proves(attach)) {
    reply.status = ClientStatus::position_lost;
  }
  if (reply.status == ClientStatus::ok) {
    // The older connection ends before the first request of this one is admitted.
    requests_.end_connection(attach.attachment);
    drain_.forget(attach.attachment);
    attachments_.open(attach.attachment, attach.connection, link);
  }
  context_.emit(command::AttachReply{link, reply});
}

void Primary::on_client_closed(LinkId link) {
  const AttachmentConnection* open = attachments_.connection(link);
  if (open == nullptr) return;
  requests_.end_connection(open->id);
  drain_.forget(open->id);
  attachments_.close(link);
}

}  // namespace seawall
