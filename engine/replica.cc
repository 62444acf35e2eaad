#include "engine/replica.h"

#include <algorithm>

#include "engine/base/chain.h"
#include "engine/base/mutant.h"
#include "engine/generation.h"

namespace seawall {
namespace {

constexpr std::uint8_t full_percent = 90;
constexpr Duration withdraw_after{300};

}  // namespace

const char* replica_stage_name(ReplicaStage stage) {
  switch (stage) {
    case ReplicaStage::none: return "none";
    case ReplicaStage::answered: return "answered";
    case ReplicaStage::streaming: return "streaming";
    case ReplicaStage::rewinding: return "rewinding";
    case ReplicaStage::preparing: return "preparing";
    case ReplicaStage::rebuilding: return "rebuilding";
    case ReplicaStage::clearing: return "clearing";
    case ReplicaStage::refused: return "refused";
  }
  return "?";
}

// --- sending ---

void Replica::send(message::PeerMessage message) {
  context_.emit(command::Send{link_, reply_, message});
}

// Every answer grants: the primary may answer its clients until the grant has run out.
void Replica::send_granting(message::PeerMessage message) {
  context_.grant(session_.epoch);
  send(message);
}

void Replica::nack(LinkId link, const message::Envelope& envelope, message::NackReason reason) {
  message::Envelope back = envelope;
  std::swap(back.from, back.to);
  const message::Nack nack{reason, context_.log.head().next(), context_.promised};
  context_.emit(command::Send{link, back, nack});
}

// Ends the session from this side; the primary starts a new handshake by the reason's rule.
void Replica::refuse(message::NackReason reason) {
  send(message::Nack{reason, context_.log.head().next(), context_.promised});
  stage_ = ReplicaStage::refused;
  barriers_.clear();
  repair_.session_over(reply_.to);
}

// --- damage ---

// The primary of this session is asked; what it cannot give, a rebuild brings.
void Replica::repair() {
  if (stage_ != ReplicaStage::streaming) return;
  while (const std::optional<BlockRepair::Question> question = blocks_.ask(reply_.to)) {
    send(message::FetchBlocks{question->id, question->lba, question->blocks, true});
  }
  ReplicaSet primary;
  primary.push_back(reply_.to);
  while (blocks_.hopeless(primary)) {  // what does not fit yet is found again by a later look
  }
  if (repair_.done()) return;
  if (repair_.refused_by(reply_.to)) return refuse(message::NackReason::unrepaired);
  while (const RecordHeader* header = repair_.ask(reply_.to)) {
    send(message::FetchRecord{*header, true});
  }
}

void Replica::on(const message::FetchRecord& fetch) {
  if (!context_.has_blocks(fetch.header.lba, fetch.header.blocks)) {
    send(message::RecordPayload{fetch.header, message::FetchResult::none, true, no_slot});
    return;
  }
  context_.emit(command::ServeRecord{link_, reply_, fetch.header, true});
}

void Replica::on(const message::RecordPayload& answer) { repair_.on_payload(reply_.to, answer); }

void Replica::on(const message::BlocksPayload& answer) { blocks_.on_payload(reply_.to, answer); }

void Replica::on_blocks_rotten(const event::BlocksRotten& found) {
  if (follows()) blocks_.begin_unasked(found.lba, found.blocks);
}

void Replica::on_blocks_repaired(const event::BlocksRepaired& done) {
  const std::optional<BlockRepair::Verdict> verdict = blocks_.on_repaired(done);
  if (verdict) blocks_.forget(verdict->token);
}

void Replica::on(const message::FetchBlocks& fetch) {
  if (stage_ == ReplicaStage::streaming && context_.has_blocks(fetch.lba, fetch.blocks)) {
    context_.emit(command::ServeBlocks{link_, reply_, fetch.id, fetch.lba, fetch.blocks});
  } else {
    send(message::BlocksPayload{fetch.id, no_slot});
  }
}

// --- sessions ---

void Replica::end_session() {
  if (stage_ != ReplicaStage::none) repair_.session_over(reply_.to);
  blocks_.clear();
  stage_ = ReplicaStage::none;
  greeting_.reset();
  barriers_.clear();
  told_committed_.reset();
  told_stable_.reset();
  head_at_handshake_.reset();
  base_end_.reset();
  if (!preparing_) cut_requests_.reset();
}

void Replica::on_epoch(Epoch epoch) {
  const bool greeted = greeting_ && greeting_->envelope.epoch >= epoch;
  if (session_.epoch < epoch && !greeted) end_session();
}

void Replica::stop() {
  end_session();
  fence_.reset();
}

void Replica::on_link_closed(LinkId link) {
  if (greeting_ && greeting_->link == link) greeting_.reset();
  if (stage_ != ReplicaStage::none && link_ == link) end_session();
}

void Replica::on(const message::Hello& hello, LinkId link, const message::Envelope& envelope) {
  if (hello.incarnation != context_.facts.incarnation && !MUTANT(M77)) {
    ++context_.counters.foreign;
    nack(link, envelope, message::NackReason::wrong_incarnation);
    return;
  }
  // Only the controller's word raises a promise. A primary whose epoch it has not told this node of
  // asks again; a number that nobody minted would lock this replica out for ever (P51).
  if (envelope.epoch > context_.promised) {
    ++context_.counters.foreign;
    nack(link, envelope, message::NackReason::refused);
    return;
  }
  const bool known = context_.known_epoch == envelope.epoch;
  if (known && context_.known_primary != envelope.from && !MUTANT(M18)) {
    ++context_.counters.foreign;  // right epoch, but not its primary
    nack(link, envelope, message::NackReason::refused);
    return;
  }
  const SessionId asked{envelope.epoch, envelope.session};
  const bool pending = greeting_ && asked <= SessionId{greeting_->envelope.epoch,
                                                       greeting_->envelope.session};
  if (asked <= session_ || pending) {
    ++context_.counters.stale_session;
    // A copy of the Hello that opened this session: an answer would end that one at its primary.
    if (asked != session_) nack(link, envelope, message::NackReason::stale);
    return;
  }
  const bool forgotten = !context_.assignment.has_value() &&
                         context_.options.generation->restart_rejoin.waits_for_assignment;
  if (forgotten) {
    nack(link, envelope, message::NackReason::refused);
    return;
  }
  if (context_.log_failed || context_.supers_busy()) {
    nack(link, envelope, context_.log_failed ? message::NackReason::log_failed
                                             : message::NackReason::refused);
    return;
  }
  end_session();
  if (envelope.epoch > context_.known_epoch) {
    context_.known_epoch = envelope.epoch;
    context_.known_primary = envelope.from;
  }
  greeting_ = Greeting{link, envelope, hello.sent_at};
}

void Replica::accept_greeting() {
  const message::Envelope& envelope = greeting_->envelope;
  if (context_.facts.promised < envelope.epoch || log_busy()) return;
  if (!context_.log.quiet(context_.facts)) return;
  // The end of a rebuild that outlived its session: what is said about the marker must be true.
  if (context_.writing_super(SuperKind::clear_marker)) return;
  if (context_.granted_to_others(envelope.epoch)) {
    context_.want_wake(context_.granted_until);
    return;
  }
  session_ = SessionId{envelope.epoch, envelope.session};
  link_ = greeting_->link;
  reply_ = envelope;
  std::swap(reply_.from, reply_.to);
  echo_ = greeting_->sent_at;
  greeting_.reset();
  stage_ = ReplicaStage::answered;
  flush_covers_ = context_.facts.marks.durable;
  send_granting(message::HelloReply{&context_.facts, echo_});
}

// A full log at a change of epoch: what it has no room for cannot be written before something is
// folded, and nothing may be folded before the new term is committed. Nobody ever acknowledged
// those records here: they are withdrawn.
void Replica::maybe_withdraw(bool wants_rest) {
  const bool waits = (wants_rest || greeting_) && !context_.log.quiet(context_.facts) &&
                     context_.fill_percent >= full_percent && !log_busy() && !context_.log_failed;
  if (!waits) {
    unrest_since_.reset();
    return;
  }
  if (!unrest_since_) unrest_since_ = context_.now;
  const Instant due = *unrest_since_ + withdraw_after;
  if (context_.now < due || !context_.ticking) {
    context_.want_wake(due);
    return;
  }
  unrest_since_.reset();
  rewinding_ = true;
  context_.emit(command::RewindLog{context_.facts.marks.written});
}

void Replica::advance(bool wants_rest) {
  maybe_withdraw(wants_rest);
  if (greeting_) accept_greeting();
  if (fence_) report_fence();
  repair();
}

// --- fencing ---

void Replica::on_fence(const FenceRequest& request) {
  if (request.epoch < context_.promised) {
    context_.emit(command::RefuseFence{request.epoch, context_.promised});
    return;
  }
  if (request.epoch <= context_.known_epoch) {  // that epoch has its primary: a late copy
    ++context_.counters.stale_assignment;
    return;
  }
  if (context_.promised < request.epoch) end_session();
  context_.promise(request.epoch);
  context_.remember_seen(context_.facts.seen_epoch, request.revision);
  fence_ = request;
}

void Replica::report_fence() {
  if (fence_->epoch < context_.promised) {
    context_.emit(command::RefuseFence{fence_->epoch, context_.promised});
    fence_.reset();
    return;
  }
  if (context_.facts.promised < fence_->epoch || log_busy() || context_.log_failed) return;
  if (context_.granted_to_others(fence_->epoch) && !MUTANT(M20)) {
    context_.want_wake(context_.granted_until);
    return;
  }
  fence_report_.volume = context_.options.volume;
  fence_report_.epoch = fence_->epoch;
  fence_report_.facts = context_.facts;
  TermTable& terms = fence_report_.facts.terms;  // appended and not yet written is not held
  while (!terms.empty() && terms.back().first_lsn > context_.facts.marks.written) terms.pop_back();
  fence_.reset();
  context_.emit(command::ReportFence{&fence_report_});
}

// --- the gate of a session ---

bool Replica::admit(LinkId link, const message::Envelope& envelope) {
  const SessionId named{envelope.epoch, envelope.session};
  if (stage_ != ReplicaStage::none && named == session_ && link == link_) return true;
  ++context_.counters.stale_session;
  return false;
}

void Replica::on_message(LinkId link, const message::Envelope& envelope,
                         const message::PeerMessage& message) {
  Slot slot = message::payload_slot(message);
  if (envelope.epoch < context_.promised) {
    ++context_.counters.stale_epoch;
    nack(link, envelope, message::NackReason::stale);
    context_.drop(slot);
    return;
  }
  if (const auto* hello = std::get_if<message::Hello>(&message)) {
    on(*hello, link, envelope);
    return;
  }
  if (admit(link, envelope)) {
    std::visit(
        [this](const auto& words) {
          if constexpr (requires { this->on(words); }) this->on(words);
        },
        message);
    const bool taken_over = std::holds_alternative<message::RecordPayload>(message) ||
                            std::holds_alternative<message::BlocksPayload>(message);
    if (taken_over) slot = no_slot;
  }
  context_.drop(slot);
}

// --- the plan ---

void Replica::on(const message::StartStream& start) {
  if (stage_ != ReplicaStage::answered) {
    ++context_.counters.unexpected;
    return;
  }
  if (context_.facts.marker) {
    refuse(message::NackReason::marker);
    return;
  }
  if (start.from != context_.log.head().next() ||
      start.chain_before != context_.log.head_chain()) {
    refuse(message::NackReason::divergence);
    return;
  }
  head_at_handshake_ = start.head;
  stage_ = ReplicaStage::streaming;
  acknowledge();
}

void Replica::on(const message::Rewind& rewind) {
  const bool legal = stage_ == ReplicaStage::answered && !context_.facts.marker &&
                     (rewind.to < context_.log.head() ||
                      (rewind.to == context_.log.head() &&
                       context_.facts.damage == Damage::regressed)) &&
                     (rewind.to >= context_.facts.marks.applied || MUTANT(M34));
  if (!legal) {
    ++context_.counters.unexpected;
    if (stage_ == ReplicaStage::answered) refuse(message::NackReason::refused);
    return;
  }
  stage_ = ReplicaStage::rewinding;
  rewinding_ = true;
  context_.emit(command::RewindLog{rewind.to});
}

void Replica::adopt_log(const ReplicaFacts& facts) {
  const Epoch promised = std::max(context_.facts.promised, facts.promised);
  const Epoch seen_epoch = context_.facts.seen_epoch;
  const Revision seen_revision = context_.facts.seen_revision;
  context_.facts = facts;
  context_.facts.promised = promised;
  context_.facts.seen_epoch = seen_epoch;
  context_.facts.seen_revision = seen_revision;
  context_.log.adopt(context_.facts);
  attachments_.cut(context_.log.head());
  repair_.cut(context_.log.head());
  flush_covers_ = context_.facts.marks.durable;
  context_.fold_limit = std::min(context_.fold_limit, context_.facts.marks.durable);
  held_stable_ = std::min(held_stable_, context_.log.head());
}

void Replica::on_rewound(const event::RewindDone& done) {
  CHECK(rewinding_);
  rewinding_ = false;
  if (done.facts != nullptr) adopt_log(*done.facts);
  if (stage_ != ReplicaStage::rewinding) return;  // the session ended meanwhile
  if (!done.ok) {  // the base was further on, or the disk failed: it says so by LogFailed
    refuse(message::NackReason::refused);
    return;
  }
  send(message::RewindDone{context_.facts.marks.written});
  stage_ = ReplicaStage::refused;  // a new handshake follows
}

// --- the stream ---

void Replica::on(const message::Append& append) {
  if (!takes_records()) {
    ++context_.counters.unexpected;
    return;
  }
  echo_ = std::max(echo_, append.sent_at);
  const Lsn expected = context_.log.head().next();
  if (append.header.lsn > expected) {
    refuse(message::NackReason::gap);
  } else if (append.header.lsn < expected) {
    judge_known_record(append);
  } else {
    take_record(append);
  }
  if (takes_records()) learn(append.committed, append.stable);
}

void Replica::take_record(const message::Append& append) {
  RecordHeader header = append.header;
  const bool of_this_history = header.term >= context_.log.head_term() &&
                               header.term <= session_.epoch &&
                               chain_next(context_.log.head_chain(), header) == header.chain;
  if (!context_.options.generation->recoverability.verifies_lineage) {
    header.term = std::max(header.term, context_.log.head_term());
  } else if (!of_this_history) {
    ++context_.counters.alarms;
    refuse(message::NackReason::divergence);
    return;
  }
  const bool inside =
      !changes_blocks(header.kind) || context_.has_blocks(header.lba, header.blocks);
  if (!inside || has_payload(header) != (append.slot != no_slot)) {
    ++context_.counters.alarms;
    refuse(message::NackReason::broken_contract);
    return;
  }
  if (context_.log.full(context_.facts)) {
    refuse(message::NackReason::log_full);
    return;
  }
  context_.log.append(header, context_.facts);
  attachments_.fold(header);
  context_.emit(command::AppendLog{header, append.slot});
}

// A record that is there already: equal, or the histories differ.
void Replica::judge_known_record(const message::Append& append) {
  const Lsn lsn = append.header.lsn;
  const RecentRecord* recent = context_.log.recent(lsn);
  const std::optional<Term> term = term_at(context_.facts.terms, lsn);
  bool equal = lsn > context_.facts.marks.trimmed && term == append.header.term;
  if (recent != nullptr) {
    equal = recent->term == append.header.term && recent->chain == append.header.chain;
  }
  if (!equal && !MUTANT(M42)) {
    ++context_.counters.alarms;
    const bool trimmed = recent == nullptr && lsn <= context_.facts.marks.trimmed;
    refuse(trimmed ? message::NackReason::broken_contract : message::NackReason::divergence);
    return;
  }
  ++context_.counters.duplicates;
}

void Replica::learn(const std::optional<Lsn>& committed, const std::optional<Lsn>& stable) {
  if (committed) told_committed_ = std::max(told_committed_.value_or(Lsn{}), *committed);
  if (!stable) return;
  told_stable_ = std::max(told_stable_.value_or(Lsn{}), *stable);
  fold();
}

// Never in a rebuild: until the marker is gone the log has room for what a rebuild needs, which is
// no more than the log of its source.
void Replica::fold() {
  if (stage_ != ReplicaStage::streaming || !told_stable_) return;
  // What this verified log holds of it is stable for ever, whatever becomes of the session.
  held_stable_ = std::max(held_stable_, std::min(*told_stable_, context_.log.head()));
  context_.set_fold_limit(held_stable_);
}

void Replica::acknowledge() {
  const Watermarks& marks = context_.facts.marks;
  send_granting(message::Ack{marks.written, marks.durable, marks.applied, echo_});
}

void Replica::on_log_written() {
  if (!takes_records()) return;
  acknowledge();
  maybe_complete_rebuild();
}

void Replica::on_log_durable() {
  // Without a session, too: a full log that may not fold would never take what is queued for it,
  // and a handshake waits for that.
  if (!log_busy()) context_.set_fold_limit(held_stable_);
  if (!takes_records()) return;
  answer_barriers();
  fold();
  context_.maybe_clear_floor();
  maybe_complete_rebuild();
}

void Replica::on_log_failed() {
  context_.log_failed = true;
  if (stage_ != ReplicaStage::none && stage_ != ReplicaStage::refused) {
    while (!barriers_.empty()) {
      send(message::BarrierDone{barriers_.pop_front().id, false, Lsn{}, echo_});
    }
    refuse(message::NackReason::log_failed);
  }
  if (greeting_) {
    nack(greeting_->link, greeting_->envelope, message::NackReason::log_failed);
    greeting_.reset();
  }
}

void Replica::flush_upto(Lsn target) {
  if (flush_covers_ >= target) return;
  flush_covers_ = context_.log.head();
  context_.emit(command::FlushLog{});
}

void Replica::on(const message::Barrier& barrier) {
  if (stage_ != ReplicaStage::streaming) {
    ++context_.counters.unexpected;
    return;
  }
  echo_ = std::max(echo_, barrier.sent_at);
  if (barriers_.full()) barriers_.pop_front();  // the newer one covers it
  barriers_.push_back({barrier.id, barrier.target});
  answer_barriers();
}

// Contiguous to the target, flushed, then answered with what is durable.
void Replica::answer_barriers() {
  for (std::size_t left = barriers_.size(); left > 0; --left) {
    const PendingBarrier barrier = barriers_.pop_front();
    if (context_.facts.marks.durable < barrier.target && !MUTANT(M11)) {
      if (context_.log.head() >= barrier.target) flush_upto(barrier.target);
      barriers_.push_back(barrier);
      continue;
    }
    send_granting(message::BarrierDone{barrier.id, true, context_.facts.marks.durable, echo_});
    const bool proves = head_at_handshake_ && barrier.target >= *head_at_handshake_;
    if (proves && !context_.facts.marker && context_.floor_reached(barrier.target)) {
      context_.set_intact();
    }
  }
}

void Replica::on(const message::Heartbeat& heartbeat) {
  echo_ = std::max(echo_, heartbeat.sent_at);
  if (stage_ == ReplicaStage::refused) return;
  if (takes_records()) learn(heartbeat.committed, heartbeat.stable);
  if (stage_ == ReplicaStage::streaming) {
    context_.set_fold_limit(heartbeat.fold_limit);
    // Stable without us, by a set that does not need us: our own flush lets both logs go on.
    if (told_stable_) flush_upto(std::min(*told_stable_, context_.log.head()));
  }
  const Watermarks& marks = context_.facts.marks;
  send_granting(message::HeartbeatReply{marks.written, marks.durable, marks.applied, echo_});
}

}  // namespace seawall
