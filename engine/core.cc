#include "engine/core.h"

#include <algorithm>
#include <cstdint>
#include <new>

#include "engine/base/mutant.h"
#include "engine/engine.h"
#include "engine/generation.h"
#include "engine/projection.h"

namespace seawall {

// --- Core: the face ---

std::size_t Core::memory_bytes() { return sizeof(Engine) + alignof(Engine); }

Core::Core(const CoreOptions& options, std::span<std::byte> memory) {
  CHECK(memory.size() >= memory_bytes());
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  const std::size_t offset = (alignof(Engine) - address % alignof(Engine)) % alignof(Engine);
  engine_ = ::new (static_cast<void*>(memory.data() + offset)) Engine(options);
}

Core::~Core() { engine_->~Engine(); }

void Core::step(Instant now, const Event& event, Commands& out) { engine_->step(now, event, out); }
const ReplicaFacts& Core::facts() const { return engine_->context().facts; }
const CoreCounters& Core::counters() const { return engine_->context().counters; }
Epoch Core::known_epoch() const { return engine_->context().known_epoch; }
ReplicaId Core::known_primary() const { return engine_->context().known_primary; }
ReplicaStatus Core::status() const { return project(*engine_, engine_->context().now); }
ReplicaStatus Core::status(Instant now) const { return project(*engine_, now); }

// --- Engine: dispatch ---

Engine::Engine(const CoreOptions& options)
    : repair_(context_),
      replica_(context_, attachments_, repair_),
      primary_(context_, attachments_, repair_) {
  context_.options = options;
}

void Engine::step(Instant now, const Event& event, Commands& out) {
  CHECK_MSG(now >= context_.now, "time goes back");
  out.clear();
  context_.now = now;
  context_.out = &out;
  context_.wake.reset();
  context_.ticking = std::holds_alternative<event::Tick>(event);
  const bool opens = std::holds_alternative<event::Opened>(event);
  CHECK_MSG(opens != context_.opened, "Opened is the first event and comes once");
  std::visit([this](const auto& what) { this->on(what); }, event);
  settle();
  context_.out = nullptr;
}

// What every event may have set free, in one fixed order.
void Engine::settle() {
  if (primary_.on() && context_.promised > primary_.epoch() && !MUTANT(M17)) {
    step_down("a higher epoch was promised", false);
  }
  if (primary_.on() && primary_.outvoted()) {
    step_down("too many replicas have promised a higher epoch", true);
  }
  replica_.advance(primary_.phase() == PrimaryPhase::waiting);
  if (primary_.phase() != PrimaryPhase::waiting || !replica_.log_busy()) primary_.advance();
  repair_.advance();
  if (context_.ticking) primary_.tick();
  // Whoever ticks has no other tick in mind: it may be one that was asked for before last_wake_.
  if (context_.ticking) last_wake_.reset();
  if (context_.wake && last_wake_ && context_.now < *last_wake_ && *context_.wake >= *last_wake_) {
    return;  // an earlier tick is on its way and will ask again
  }
  last_wake_ = context_.wake;
  if (context_.wake) context_.emit(command::WakeAt{*context_.wake});
}

Role Engine::role() const {
  if (primary_.serving()) return Role::primary;
  if (primary_.on()) return Role::promoting;
  if (stepped_down_ && replica_.stage() == ReplicaStage::none) return Role::stepped_down;
  if (!context_.opened || context_.removed) return Role::none;
  return Role::replica;
}

void Engine::step_down(const char* reason, bool want_failover) {
  if (!primary_.on()) return;
  const Epoch epoch = primary_.epoch();
  primary_.stop(ClientStatus::not_primary);
  stepped_down_ = true;
  reason_ = reason;
  if (want_failover) context_.emit(command::RequestFailover{epoch, reason});
}

// --- life ---

void Engine::on(const event::Opened& event) {
  CHECK(event.facts != nullptr);
  context_.facts = *event.facts;
  if (!context_.options.generation->restart_rejoin.keeps_marker && context_.facts.marker) {
    context_.facts.marker.reset();
    context_.facts.damage = Damage::none;  // that goes with it
  }
  context_.log.adopt(context_.facts);
  if (event.requests != nullptr) attachments_.adopt(*event.requests);
  context_.promised = context_.facts.promised;
  context_.opened = true;
  repair_.adopt(event.unknown);
  // A grant given before the restart is forgotten: a full lease is waited out.
  if (context_.promised > Epoch{0}) context_.granted_until = context_.now + context_.options.lease;
}

void Engine::on(const event::Tick&) {}

void Engine::on(const event::Removed&) {
  primary_.stop(ClientStatus::not_primary);
  replica_.stop();
  repair_.clear();
  context_.removed = true;
  stepped_down_ = false;
  reason_ = "removed";
}

// --- control ---

// Ordered by (epoch, revision); what is older is ignored whole.
bool Engine::stale(const Assignment& assignment) {
  if (MUTANT(M24)) return false;
  if (assignment.epoch < context_.promised) return true;
  if (!context_.assignment) return false;
  const Assignment& known = *context_.assignment;
  if (assignment.epoch != known.epoch) return assignment.epoch < known.epoch;
  return assignment.revision < known.revision;
}

void Engine::refuse(const Assignment& assignment, const char* reason) {
  context_.emit(command::RefuseAssignment{assignment.epoch, assignment.revision, reason});
}

void Engine::on(const event::Assigned& event) {
  CHECK(event.assignment != nullptr);
  const Assignment& assignment = *event.assignment;
  if (context_.supers_busy()) return;  // delivered again
  if (assignment.volume != context_.options.volume ||
      assignment.incarnation != context_.facts.incarnation) {
    ++context_.counters.foreign;
    return;
  }
  if (stale(assignment)) {
    ++context_.counters.stale_assignment;
    return;
  }
  if (context_.assignment && assignment.epoch == context_.assignment->epoch) {
    if (assignment.revision == context_.assignment->revision) {
      if (!(assignment == *context_.assignment)) {
        ++context_.counters.alarms;
        refuse(assignment, "one revision with two contents");
      }
      return;
    }
    if (assignment.primary != context_.assignment->primary) {
      ++context_.counters.alarms;
      refuse(assignment, "one epoch with two primaries");
      return;
    }
  }
  if (!assignment.names(context_.facts.replica)) {
    on(event::Removed{});
    return;
  }
  context_.removed = false;  // a member again: planned by its facts
  take(assignment);
}

void Engine::take(const Assignment& assignment) {
  const bool new_epoch =
      !context_.assignment || context_.assignment->epoch != assignment.epoch;
  const std::optional<Assignment> before = context_.assignment;
  if (new_epoch) {
    step_down("a new epoch", false);
    stepped_down_ = false;
    reason_ = "";
    replica_.on_epoch(assignment.epoch);
  }
  context_.assignment = assignment;
  if (assignment.epoch > context_.known_epoch) {
    context_.known_epoch = assignment.epoch;
    context_.known_primary = assignment.primary;
  }
  context_.promise(assignment.epoch);
  context_.remember_seen(assignment.epoch, assignment.revision);
  if (!new_epoch) {
    if (primary_.on()) primary_.on_new_revision(*before);
    return;
  }
  if (assignment.primary != context_.facts.replica) return;
  if (const char* reason = unfit_to_lead(assignment)) {
    reason_ = reason;
    refuse(assignment, reason);
    return;
  }
  primary_.begin();
}

// The report by which this replica won must still be true. nullptr: it is.
const char* Engine::unfit_to_lead(const Assignment& assignment) const {
  const ReplicaFacts& facts = context_.facts;
  if (context_.log_failed) return "its log has failed";
  if (replica_.log_busy()) return "its log is being cut";
  if (facts.marker) return "it carries a marker";
  if (facts.damage == Damage::base_untrusted) return "its base is not to be trusted";
  const Position end{facts.last_term, facts.marks.written};
  if (facts.floor && end < *facts.floor && (!assignment.forced || MUTANT(M115))) {
    return "it is below its floor";
  }
  if (context_.known_epoch == assignment.epoch && context_.known_primary != facts.replica) {
    return "another primary of this epoch is known";
  }
  const bool first = assignment.winner_start == ProcessStart{0} &&
                     facts.marks.written == Lsn{0} && assignment.winner_position == Position{};
  if (!first && assignment.winner_start != facts.process_start && !MUTANT(M23)) {
    return "it has restarted since it won";
  }
  if (!holds_position(facts.terms, facts.marks.written, assignment.winner_position)) {
    return "it lacks the position by which it won";
  }
  return nullptr;
}

void Engine::on(const event::Fence& event) {
  const FenceRequest& request = event.request;
  if (context_.supers_busy()) return;  // sent again by whoever wants it
  if (context_.removed || request.volume != context_.options.volume ||
      request.replica != context_.facts.replica) {
    ++context_.counters.foreign;
    return;
  }
  replica_.on_fence(request);
}

void Engine::on(const event::ProposalRefused& event) {
  if (primary_.active() && event.refusal.volume == context_.options.volume) {
    primary_.on_refused(event.refusal);
  }
}

// --- peers ---

void Engine::on(const event::PeerUp& event) {
  if (primary_.on()) primary_.on_peer_up(event.peer, event.link);
  else context_.emit(command::HangUp{event.link});
}

void Engine::on(const event::PeerDown& event) { primary_.on_link_down(event.link); }

void Engine::on(const event::LinkClosed& event) {
  replica_.on_link_closed(event.link);
  primary_.on_link_down(event.link);
}

namespace {

template <class Words>
constexpr bool is_for_primary =
    std::is_same_v<Words, message::HelloReply> || std::is_same_v<Words, message::RewindDone> ||
    std::is_same_v<Words, message::Ack> || std::is_same_v<Words, message::Nack> ||
    std::is_same_v<Words, message::BarrierDone> ||
    std::is_same_v<Words, message::HeartbeatReply> ||
    std::is_same_v<Words, message::RebuildReady> || std::is_same_v<Words, message::BaseMap> ||
    std::is_same_v<Words, message::BaseAck> ||
    std::is_same_v<Words, message::RebuildComplete> ||
    std::is_same_v<Words, message::MarkerCleared>;

}  // namespace

void Engine::on(const event::Received& event) {
  CHECK(event.envelope != nullptr);
  CHECK(event.message != nullptr);
  const bool for_primary = std::visit(
      [](const auto& words) {
        if constexpr (requires { words.to_primary; }) return words.to_primary;
        else return is_for_primary<std::decay_t<decltype(words)>>;
      },
      *event.message);
  const message::Envelope& envelope = *event.envelope;
  const bool ours = envelope.volume == context_.options.volume &&
                    envelope.to == context_.facts.replica &&
                    envelope.from != context_.facts.replica;
  if (!ours || context_.removed) {
    ++context_.counters.foreign;
    context_.drop(message::payload_slot(*event.message));
    return;
  }
  if (for_primary) primary_.on_message(event.link, envelope, *event.message);
  else replica_.on_message(event.link, envelope, *event.message);
}

// --- the own log ---

void Engine::on(const event::LogWritten& event) {
  context_.log.on_written(event.upto, context_.facts);
  replica_.on_log_written();
}

void Engine::on(const event::LogDurable& event) {
  context_.log.on_durable(event.upto, context_.facts);
  replica_.on_log_durable();
}

void Engine::on(const event::LogFailed&) {
  step_down("its own log has failed", true);
  replica_.on_log_failed();
}

void Engine::on(const event::SuperWritten& event) {
  CHECK(!context_.supers.empty());
  const PendingSuper done = context_.supers.pop_front();
  CHECK_MSG(done.token == event.token, "super writes are answered in order");
  switch (done.kind) {
    case SuperKind::promise:
      context_.facts.promised = std::max(context_.facts.promised, done.promise);
      break;
    case SuperKind::seen: break;
    case SuperKind::intact: context_.facts.intact = true; break;
    case SuperKind::clear_floor: context_.facts.floor.reset(); break;
    case SuperKind::clear_marker:
      if (done.clears_floor) context_.facts.floor.reset();
      replica_.on_marker_cleared(done.session);
      break;
  }
}

void Engine::on(const event::RewindDone& event) { replica_.on_rewound(event); }

void Engine::on(const event::Checkpointed& event) {
  if (replica_.log_busy()) return;  // fresh facts come with the end of the rewind or rebuild
  Watermarks& marks = context_.facts.marks;
  marks.applied = std::max(marks.applied, event.applied);
  marks.trimmed = std::max(marks.trimmed, event.trimmed);
}

void Engine::on(const event::LogSpace& event) {
  context_.fill_percent = event.fill_percent;
  primary_.on_log_space();
}

void Engine::on(const event::LogStreamed& event) { primary_.on_log_streamed(event); }
void Engine::on(const event::BaseFrozen& event) { primary_.on_base_frozen(event); }
void Engine::on(const event::BaseSent& event) { primary_.on_base_sent(event); }
void Engine::on(const event::RebuildPrepared& event) { replica_.on_prepared(event); }
void Engine::on(const event::BaseMapRead& event) { replica_.on_base_map_read(event); }
void Engine::on(const event::BaseWritten& event) { replica_.on_base_written(event); }
void Engine::on(const event::BaseFlushed& event) { replica_.on_base_flushed(event); }

// --- damage ---

void Engine::on(const event::LogRepaired& event) { repair_.on_repaired(event); }

void Engine::on(const event::RecordUnknown& event) {
  if (!repair_.add(event.header)) ++context_.counters.unexpected;
}

void Engine::on(const event::BlocksRepaired& event) {
  if (event.id >= Replica::first_block_repair) {
    replica_.on_blocks_repaired(event);
  } else if (primary_.on()) {
    primary_.on_blocks_repaired(event);
  }
}

// Where a column's own entry is bad nothing can be judged by it: the whole base comes anew, from
// those that count. Without any of them this one goes on, and the blocks are unreadable.
void Engine::on(const event::BlocksRotten& event) {
  if (context_.log_failed || context_.removed) return;
  const bool helped = primary_.on() ? primary_.anybody_counts() : replica_.follows();
  if (event.map) {
    if (helped) context_.emit(command::DistrustBase{});
  } else if (primary_.on()) {
    primary_.on_blocks_rotten(event);
  } else {
    replica_.on_blocks_rotten(event);
  }
}

void Engine::on(const event::LostByWord&) {
  if (primary_.active()) repair_.judge_by_word();
}

// --- clients ---

void Engine::on(const event::ClientOpened& event) {
  const ClientAttach& attach = event.attach;
  if (attach.volume != context_.options.volume ||
      attach.incarnation != context_.facts.incarnation) {
    ++context_.counters.foreign;
  } else if (primary_.on()) {
    primary_.on_client_opened(event.link, attach);
    return;
  }
  ClientAttachReply reply;
  reply.status = ClientStatus::not_primary;
  reply.epoch = context_.promised;
  reply.known_epoch = context_.known_epoch;
  reply.known_primary = context_.known_primary;
  reply.size = context_.facts.size;
  context_.emit(command::AttachReply{event.link, reply});
}

void Engine::on(const event::ClientClosed& event) {
  if (primary_.on()) primary_.on_client_closed(event.link);
}

void Engine::on(const event::ClientAsked& event) {
  if (primary_.serving()) {
    primary_.on_client_asked(event.link, event.request);
    return;
  }
  context_.drop(event.request.slot);
  const ClientStatus status =
      primary_.on() ? ClientStatus::not_serving : ClientStatus::not_primary;
  context_.emit(command::Complete{
      event.link, ClientDone{event.request.attachment, event.request.connection,
                             event.request.request, status, context_.known_epoch, Position{},
                             no_slot}});
}

void Engine::on(const event::ReadDone& event) { primary_.requests().on_read_done(event); }

}  // namespace seawall
