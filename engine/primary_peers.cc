// Sessions with the replicas and the one ordered stream of each.
#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/config_change.h"
#include "engine/generation.h"
#include "engine/primary.h"

namespace seawall {
namespace {

// Two chunks, or the live window: both below OwnLog::unwritten_max of a replica.
constexpr std::uint64_t live_window_records = 512;
constexpr std::uint64_t chunk_records = 256;
constexpr std::uint64_t backlog_window_records = 512;
static_assert(backlog_window_records + chunk_records < OwnLog::unwritten_max);
// A step's commands are bounded: the rest follows with the next acknowledgement.
constexpr int sends_per_step = 32;
constexpr int drops_per_step = 64;
constexpr Duration wait_max{10'000};
constexpr Duration calm{120'000};  // in sync for so long: its flaps are forgotten
constexpr std::uint8_t reserve_dropped_percent = 75;
constexpr std::uint8_t pin_dropped_percent = 92;

SessionEnd end_of(message::NackReason reason) {
  switch (reason) {
    case message::NackReason::gap: return SessionEnd::gap;
    case message::NackReason::divergence: return SessionEnd::divergence;
    case message::NackReason::log_failed: return SessionEnd::log_failed;
    case message::NackReason::log_full: return SessionEnd::log_full;
    case message::NackReason::stale: return SessionEnd::stale;
    case message::NackReason::refused: return SessionEnd::refused;
    case message::NackReason::wrong_incarnation: return SessionEnd::wrong_incarnation;
    case message::NackReason::marker: return SessionEnd::marker;
    case message::NackReason::unrepaired: return SessionEnd::unrepaired;
    case message::NackReason::broken_contract: return SessionEnd::broken_contract;
  }
  return SessionEnd::refused;
}

// What an earlier session has shown asks for more than the facts do. Only a verified history can
// tell what changed since.
Plan escalated(const Plan& plan, Escalation least, const ReplicaFacts& facts, bool verified) {
  const bool by_log = plan.kind == PlanKind::attach || plan.kind == PlanKind::catch_up;
  if (least == Escalation::none || plan.kind == PlanKind::refuse) return plan;
  if (least == Escalation::delta && verified) {
    if (!by_log) return plan;
    return Plan{PlanKind::delta, plan.common, false, "its catch-up was ended", facts.marks.applied};
  }
  return Plan{PlanKind::full, plan.common, plan.alarm, "escalated", Lsn{}};
}

}  // namespace

// --- the rows ---

const Peer* Primary::peer(ReplicaId id) const {
  for (const Peer& peer : peers_) {
    if (peer.id == id) return &peer;
  }
  return nullptr;
}

Peer* Primary::find_peer(ReplicaId id) {
  for (Peer& peer : peers_) {
    if (peer.id == id) return &peer;
  }
  return nullptr;
}

// Rows follow the assignment, newcomers included: those that it no longer names go at once, new
// endpoints end their sessions.
void Primary::sync_peers() {
  const Assignment& assignment = *context_.assignment;
  for (std::size_t i = peers_.size(); i > 0; --i) {
    if (assignment.names(peers_[i - 1].id) || MUTANT(M14)) continue;
    drop_peer(peers_[i - 1]);
    peers_.erase_at(i - 1);
  }
  const ReplicaSet& members = assignment.config.members;
  const ReplicaSet all = assignment.wish ? united(members, assignment.wish->members) : members;
  for (const ReplicaId member : all) {
    if (member == context_.facts.replica) continue;
    Peer* row = find_peer(member);
    if (row == nullptr) {
      Peer fresh;
      fresh.id = member;
      fresh.missing_since = context_.now;
      row = &peers_.push_back(std::move(fresh));
    }
    for (const PeerEndpoint& endpoint : assignment.endpoints) {
      if (endpoint.replica != member) continue;
      obey_word(*row, endpoint.word);
      if (endpoint.version <= row->endpoint) continue;
      if (row->dialled) {
        close(*row, SessionEnd::endpoint_changed);
        context_.emit(command::StopDialling{member});
      }
      row->endpoint = endpoint.version;
      row->dialled = false;
    }
    if (!row->dialled && !row->failures.terminal()) dial(*row);
  }
}

void Primary::dial(Peer& peer) {
  peer.dialled = true;
  context_.emit(command::DialPeer{peer.id, peer.endpoint});
}

void Primary::drop_peer(Peer& peer) {
  close(peer, SessionEnd::epoch_over);
  peer.pin.release();
  peer.reserve.release();
  if (peer.dialled) context_.emit(command::StopDialling{peer.id});
  peer.dialled = false;
}

// --- sessions ---

message::Envelope Primary::envelope_to(const Peer& peer) const {
  message::Envelope envelope;
  envelope.volume = context_.options.volume;
  envelope.from = context_.facts.replica;
  envelope.to = peer.id;
  envelope.epoch = epoch_;
  envelope.session = peer.session;
  envelope.endpoint = peer.endpoint;
  return envelope;
}

void Primary::send(Peer& peer, const message::PeerMessage& message) {
  CHECK(peer.link.has_value());
  context_.emit(command::Send{*peer.link, envelope_to(peer), message});
}

void Primary::on_peer_up(ReplicaId id, LinkId link) {
  Peer* peer = find_peer(id);
  if (peer == nullptr || peer->failures.terminal()) {
    context_.emit(command::HangUp{link});
    return;
  }
  if (peer->open()) close(*peer, SessionEnd::superseded);
  if (peer->link && *peer->link != link) {
    context_.emit(command::HangUp{*peer->link});
    peer->retry_at.reset();  // what was said over the old one is over
  }
  peer->link = link;
  if (active() && !peer->retry_at) greet(*peer);
}

void Primary::on_link_down(LinkId link) {
  for (Peer& peer : peers_) {
    if (peer.link != link) continue;
    close(peer, SessionEnd::transport);
    peer.link.reset();
    peer.retry_at.reset();
  }
}

void Primary::greet(Peer& peer) {
  peer.become_greeting(++session_counter_, context_.now, context_.options.start_deadline);
  send(peer, message::Hello{context_.facts.incarnation, context_.facts.process_start,
                            context_.now});
}

// Ends a session: pins go in this step; what follows is in the tables of session.cc and
// failure_policy.cc.
void Primary::close(Peer& peer, SessionEnd end) {
  repair_.session_over(peer.id);
  blocks_.session_over(peer.id);
  if (peer.open()) {
    if (peer.eligible()) peer.missing_since = context_.now;
    const bool lasted = peer.in_sync && context_.now >= peer.counting_since + calm;
    if (peer.in_sync) {
      peer.flaps = lasted ? 1 : peer.flaps + 1;
      peer.failures.in_sync_for(peer.counting_since, context_.now);
    }
    if (MUTANT(M124)) peer.failures.session_ended_well();
    journal(peer, PlanStage::ended, end);
    peer.end_session(end);
    const SpaceRule space = context_.options.generation->catchup_convergence;
    const bool tight = context_.fill_percent >= reserve_dropped_percent;
    if (space == SpaceRule::absent_at_once || (space == SpaceRule::by_need && tight)) {
      peer.reserve.release();
    }
  }
  if (end != SessionEnd::not_converging) peer.wants_rate.reset();
  else peer.reserve.release();
  if (const std::optional<FailureKind> kind = failure_of(end)) return fail(peer, *kind);
  const EndRule rule = rule_of(end);
  if (rule.alarm) ++context_.counters.alarms;
  if (rule.hang_up) {
    hang_up(peer, end != SessionEnd::epoch_over && end != SessionEnd::endpoint_changed);
  }
  if (!peer.link || rule.pause.is_zero()) return;
  const std::uint32_t doublings = std::min(peer.put_off, 10u);
  ++peer.put_off;
  back_off(peer, std::min(wait_max, Duration{rule.pause.value() << doublings}), peer.put_off);
}

void Primary::back_off(Peer& peer, Duration pause, std::uint32_t nth) {
  peer.retry_at = context_.now + context_.options.jitter.of(pause, peer.id.value(), nth);
}

// A terminal replica costs nothing any more: no link, no reservation, no timer.
void Primary::fail(Peer& peer, FailureKind kind) {
  const FailureNote failure = peer.failures.note(kind, context_.now);
  const FailureRule& rule = rule_of(kind);
  if (rule.alarm) ++context_.counters.alarms;
  if (peer.failures.terminal() && !MUTANT(M126)) {
    hang_up(peer, false);
    peer.reserve.release();
    peer.retry_at.reset();
    peer.wants_rate.reset();
    if (peer.dialled) context_.emit(command::StopDialling{peer.id});
    peer.dialled = false;
    return;
  }
  if (rule.hang_up) hang_up(peer, true);
  back_off(peer, pause_of(kind, failure.nth), failure.nth);
}

void Primary::hang_up(Peer& peer, bool again) {
  if (!peer.link) return;
  context_.emit(command::HangUp{*peer.link});
  peer.link.reset();
  if (again) dial(peer);
}

// An operator says that it is to be tried again: what it has cost so far is forgotten.
void Primary::obey_word(Peer& peer, std::uint32_t word) {
  if (word <= peer.word) return;
  peer.word = word;
  peer.failures.forget();
  if (peer.retry_at) peer.retry_at = context_.now;
}

// The open session that a message of (envelope, link) belongs to, if any.
Peer* Primary::session_of(const message::Envelope& envelope, LinkId link) {
  Peer* peer = find_peer(envelope.from);
  const bool current = peer != nullptr && peer->open() && peer->link == link &&
                       envelope.session == peer->session;
  if (current || (MUTANT(M42) && peer != nullptr && peer->open())) return peer;
  ++context_.counters.stale_session;
  return nullptr;
}

Peer* Primary::session_of(ReplicaId id, const SessionId& session) {
  Peer* peer = find_peer(id);
  if (active() && peer != nullptr && peer->open() && session == session_id(*peer)) return peer;
  ++context_.counters.stale_session;
  return nullptr;
}

void Primary::on_message(LinkId link, const message::Envelope& envelope,
                         const message::PeerMessage& message) {
  if (!active() || envelope.epoch != epoch_) {
    ++context_.counters.stale_epoch;
    context_.drop(message::payload_slot(message));
    return;
  }
  Peer* peer = session_of(envelope, link);
  if (peer == nullptr) return context_.drop(message::payload_slot(message));
  peer->last_heard = context_.now;
  std::visit(
      [&](const auto& words) {
        if constexpr (requires { this->on(*peer, words); }) this->on(*peer, words);
      },
      message);
}

void Primary::on(Peer& peer, const message::HelloReply& reply) {
  if (peer.state != PeerState::greeting || reply.facts == nullptr ||
      reply.facts->replica != peer.id) {
    ++context_.counters.unexpected;
    return;
  }
  note_grant(peer, reply.echo);
  PrimaryFacts own;
  own.incarnation = context_.facts.incarnation;
  own.epoch = epoch_;
  own.log = context_.log.view(context_.facts);
  own.trimmed = context_.facts.marks.trimmed;
  own.stable = context_.fold_limit;
  const Generation& generation = *context_.options.generation;
  if (reply.facts->size < context_.facts.size) return close(peer, SessionEnd::misfit);
  const Acquaintance known{peer.met.has_value(), peer.met != reply.facts->process_start};
  peer.met = reply.facts->process_start;
  Plan plan = generation.recoverability.plan(own, *reply.facts, known);
  peer.log_way = generation.can_attempt_catchup(plan, known);
  if (plan.kind == PlanKind::catch_up && peer.log_way == LogWay::none) {
    plan = Plan{PlanKind::full, Lsn{}, false, "may not catch up"};
  }
  plan = escalated(plan, peer.failures.escalation(), *reply.facts,
                   generation.recoverability.verifies_lineage);
  if (plan.alarm) ++context_.counters.alarms;
  execute(peer, plan, *reply.facts);
}

void Primary::execute(Peer& peer, const Plan& plan, const ReplicaFacts& facts) {
  peer.head_at_handshake = context_.log.head();
  peer.reason = plan.reason;
  journal_plan(peer, plan, facts);
  switch (plan.kind) {
    case PlanKind::refuse:
      close(peer, plan.alarm ? SessionEnd::wrong_incarnation : SessionEnd::stale);
      return;
    case PlanKind::attach:
      start_stream(peer, plan.common, facts);
      if (context_.options.generation->recoverability.attach_is_in_sync) note_in_sync(peer);
      return;
    case PlanKind::catch_up: start_stream(peer, plan.common, facts); return;
    case PlanKind::rewind:
      peer.become(PeerState::rewinding, context_.now + context_.options.progress_deadline);
      journal(peer, PlanStage::step);
      send(peer, message::Rewind{plan.common});
      return;
    case PlanKind::delta:
    case PlanKind::full: start_rebuild(peer, plan, facts); return;
  }
}

void Primary::start_stream(Peer& peer, Lsn common, const ReplicaFacts& facts) {
  const Lsn durable = std::min(facts.marks.durable, common);
  const Lsn from = MUTANT(M35) ? common : common.next();
  peer.become_streaming(common.next(), durable, true, context_.now);
  peer.applied = facts.marks.applied;
  peer.floor = facts.floor;
  note_floor(peer);
  // Judged and reserved in one step; the pin moves with durable acknowledgements only.
  if (peer.log_way == LogWay::reserved) {
    peer.pin = LogPin(context_, std::max(durable, context_.facts.marks.trimmed).next());
  }
  peer.reserve.release();
  peer.counting_since = context_.now;
  journal(peer, PlanStage::step);
  send(peer, message::StartStream{from, facts.chain, context_.log.head()});
}

void Primary::on(Peer& peer, const message::RewindDone&) {
  if (peer.state != PeerState::rewinding) {
    ++context_.counters.unexpected;
    return;
  }
  close(peer, SessionEnd::rewound);
  greet(peer);
}

void Primary::on(Peer& peer, const message::Nack& nack) {
  if (nack.promised > epoch_) peer.fenced = true;  // for ever: it has promised
  close(peer, end_of(nack.reason));
}

// --- acknowledgements ---

// A grant runs from the sending of what it answers.
void Primary::note_grant(Peer& peer, Instant echo) {
  if (echo <= context_.now) peer.note_grant(MUTANT(M21) ? context_.now : echo);
}

void Primary::progress(Peer& peer, Lsn written, Lsn durable, Lsn applied) {
  const bool sane = peer.receives_records() && written <= peer.sent_upto() &&
                    durable <= written && applied <= written;
  if (!sane) {
    ++context_.counters.unexpected;
    return;
  }
  peer.acknowledge(written, durable, applied, context_.now);
  note_floor(peer);
}

// A floor is reached by what is durable, compared as a pair.
void Primary::note_floor(Peer& peer) {
  if (!peer.floor || !peer.durable) return;
  const std::optional<Position> at = position_at(context_.facts.terms, *peer.durable);
  if (at && *at >= *peer.floor) peer.floor.reset();
}

void Primary::on(Peer& peer, const message::Ack& ack) {
  note_grant(peer, ack.echo);
  progress(peer, ack.written, ack.durable, ack.applied);
}

void Primary::on(Peer& peer, const message::HeartbeatReply& reply) {
  note_grant(peer, reply.echo);
  if (peer.receives_records()) progress(peer, reply.written, reply.durable, reply.applied);
}

void Primary::on(Peer& peer, const message::BarrierDone& done) {
  if (peer.state != PeerState::streaming) {
    ++context_.counters.unexpected;
    return;
  }
  if (done.ok) note_grant(peer, done.echo);
  const std::optional<Lsn> proves = peer.barriers.answered(done);
  if (!done.ok && !MUTANT(M09)) {
    close(peer, SessionEnd::log_failed);
    return;
  }
  if (!proves || done.durable > peer.sent_upto()) {
    ++context_.counters.unexpected;
    return;
  }
  // Durable is written: the acknowledgement of the write may still be behind this answer.
  const Lsn written = std::max(peer.written.value_or(Lsn{}), done.durable);
  peer.acknowledge(written, done.durable, peer.applied.value_or(Lsn{}), context_.now);
  note_floor(peer);
  peer.proved = std::max(peer.proved.value_or(Lsn{}), *proves);
  if (peer.proof_target && *peer.proved >= *peer.proof_target && !peer.in_sync) {
    note_in_sync(peer);
    journal(peer, PlanStage::complete);
  }
}

void Primary::note_in_sync(Peer& peer) {
  peer.in_sync = true;
  peer.failures.session_ended_well();
  peer.put_off = 0;
  peer.counting_since = context_.now;
  peer.reason = "";
  if (peer.log_way == LogWay::reserved) return;  // since its plan was made
  peer.pin = LogPin(context_, std::max(*peer.durable, context_.facts.marks.trimmed).next());
}

// --- the stream: one tape, one cursor ---

bool Primary::window_open(const Peer& peer) const {
  const Lsn acked = peer.written.value_or(Lsn{});
  if ((peer.cursor - acked).value() > live_window_records) return false;
  const std::uint64_t owed = context_.log.bytes_after(acked);
  const std::uint64_t unsent = context_.log.bytes_after(peer.cursor.prev());
  return owed - std::min(owed, unsent) < context_.options.live_window_bytes;
}

// Sends what the tape still holds; the switch from backlog to live happens here, in the step that
// owns the stream, or not at all.
void Primary::send_from_tape(Peer& peer) {
  if (!peer.receives_records() || peer.stream_busy || tape_.empty()) return;
  const Lsn first = tape_.front().header.lsn;
  for (int left = sends_per_step; left > 0; --left) {
    if (peer.cursor < first || peer.cursor > context_.log.head() || !window_open(peer)) return;
    if (!context_.has_room()) return;
    const TapeEntry& entry = tape_[(peer.cursor - first).value()];
    CHECK(entry.header.lsn == peer.cursor);
    send(peer, message::Append{entry.header, entry.slot, committed_, stable_, context_.now});
    ++peer.cursor;
  }
}

// A slot goes when every open stream has passed its record, or when the tape is too long.
void Primary::trim_tape() {
  for (int left = drops_per_step; left > 0 && !tape_.empty() && context_.has_room(); --left) {
    const Lsn lsn = tape_.front().header.lsn;
    bool needed = false;
    for (const Peer& peer : peers_) {
      needed = needed || (peer.receives_records() && peer.cursor <= lsn);
    }
    if (needed && tape_bytes_ <= tape_bytes_max) return;
    tape_bytes_ -= payload_bytes(tape_.front().header).value();
    context_.drop(tape_.pop_front().slot);
  }
}

void Primary::pump(Peer& peer) {
  if (!peer.receives_records() || peer.stream_busy) return;
  send_from_tape(peer);
  Lsn on_disk = context_.facts.marks.written;
  if (const std::optional<Lsn> unknown = repair_.first()) {  // never beyond what can be sent
    on_disk = std::min(on_disk, unknown->prev());
    if (peer.cursor > on_disk) peer.progress_at = context_.now;
  }
  const bool from_tape = !tape_.empty() && peer.cursor >= tape_.front().header.lsn;
  if (from_tape || peer.cursor > on_disk) return;
  // Reading and sending go on while what was sent before is being written there.
  if ((peer.cursor - peer.written.value_or(Lsn{})).value() > backlog_window_records) return;
  if (!window_open(peer)) return;
  peer.stream_busy = true;
  peer.stream_upto = std::min(on_disk, peer.cursor + LsnCount{chunk_records - 1});
  command::StreamLog stream;
  stream.peer = peer.id;
  stream.link = *peer.link;
  stream.session = session_id(peer);
  stream.envelope = envelope_to(peer);
  stream.from = peer.cursor;
  stream.upto = peer.stream_upto;
  stream.max_bytes = context_.options.stream_bytes;
  stream.committed = committed_;
  stream.stable = stable_;
  context_.emit(stream);
}

void Primary::on_log_streamed(const event::LogStreamed& done) {
  Peer* peer = session_of(done.peer, done.session);
  if (peer == nullptr || !peer->stream_busy) return;
  if (!done.ok && repair_.has(peer->cursor)) {  // it waits for the payload
    peer->stream_busy = false;
    return;
  }
  if (!done.ok) {
    const bool gone = peer->cursor <= context_.facts.marks.trimmed;
    close(*peer, gone ? SessionEnd::trimmed : SessionEnd::log_unreadable);
    return;
  }
  CHECK_MSG(done.upto <= peer->stream_upto, "streamed more than was asked for");
  CHECK_MSG(done.upto >= peer->cursor, "streamed nothing");
  peer->stream_busy = false;
  peer->cursor = done.upto.next();
  peer->progress_at = context_.now;
}

// At the end of the backlog one barrier shows that the replica is in sync.
void Primary::maybe_prove(Peer& peer) {
  if (peer.state != PeerState::streaming || peer.proof_target || peer.stream_busy) return;
  if (peer.cursor <= context_.log.head()) return;
  peer.proof_target = context_.log.head();
  const std::uint64_t id = barriers_.next_id();
  peer.barriers.asked(id, *peer.proof_target);
  send(peer, message::Barrier{id, *peer.proof_target, context_.now});
}

// --- time and space ---

// Of its session, or of its next handshake. What owes nothing makes progress by that.
std::optional<Primary::Deadline> Primary::deadline_of(Peer& peer) {
  if (!peer.open()) {
    if (!peer.retry_at || !peer.link) return std::nullopt;
    return Deadline{*peer.retry_at, peer.id};
  }
  const bool starting = peer.state == PeerState::greeting;
  const bool owes_records =
      peer.receives_records() && peer.written.value_or(Lsn{}) < context_.log.head();
  if (!owes_records && peer.state == PeerState::streaming) peer.progress_at = context_.now;
  Deadline due{starting ? peer.deadline : peer.last_heard + context_.options.suspicion, peer.id,
               starting ? SessionEnd::start_deadline : SessionEnd::silent};
  const Instant progress_due = peer.receives_records()
                                   ? peer.progress_at + context_.options.progress_deadline
                                   : peer.deadline;
  const bool waits = owes_records || (!starting && peer.state != PeerState::streaming);
  if (waits && progress_due < due.at) {
    due.at = progress_due;
    due.end = SessionEnd::stalled;
  }
  return due;
}

// What is due acts in the order in which it was due, then by replica, however late the tick is.
// Sessions end on a Tick only: data goes before timers.
void Primary::peer_deadlines() {
  BoundedVector<Deadline, limits::peers_max> due;
  for (Peer& peer : peers_) {
    const std::optional<Deadline> deadline = deadline_of(peer);
    if (!deadline) continue;
    const bool acts = context_.now >= deadline->at &&
                      (!deadline->end || context_.ticking || MUTANT(M116));
    if (!acts) {
      context_.want_wake(deadline->at);
      continue;
    }
    std::size_t place = due.size();
    while (place > 0 && deadline->before(due[place - 1])) --place;
    due.insert_at(place, *deadline);
  }
  for (const Deadline& deadline : due) {
    Peer& peer = *find_peer(deadline.replica);
    if (deadline.end) close(peer, *deadline.end);
    else greet(peer);
  }
}

// A full log gives up reservations of the absent first, then that of the slowest laggard. A rebuild
// keeps its own: what it loses it would have to begin again, and it would never end.
void Primary::on_log_space() {
  if (context_.fill_percent >= tight_percent && committed_) want_barrier(*committed_);
  if (context_.options.generation->catchup_convergence == SpaceRule::never) return;
  if (context_.fill_percent < reserve_dropped_percent) return;
  Peer* slowest = nullptr;
  for (Peer& peer : peers_) {
    peer.reserve.release();
    // What commits wait for does not lag: without it there would be nothing to make room with.
    const bool behind = committed_ && peer.written && *peer.written < *committed_;
    const bool lags = peer.pin.held() && peer.state == PeerState::streaming && behind &&
                      (!peer.in_sync || peer.convergence.bad_windows() > 0);
    if (lags && (slowest == nullptr || peer.pin.from() < slowest->pin.from())) slowest = &peer;
  }
  if (slowest == nullptr || context_.fill_percent < pin_dropped_percent) return;
  close(*slowest, SessionEnd::log_given_up);
}

}  // namespace seawall
