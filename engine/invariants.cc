#include "engine/invariants.h"

#include "engine/engine.h"

namespace seawall {

CoreSnapshot snapshot(const Core& core) {
  const Engine& engine = core.engine();
  const Context& context = engine.context();
  CoreSnapshot now;
  now.promised = context.facts.promised;
  now.known_epoch = context.known_epoch;
  now.written = context.facts.marks.written;
  now.durable = context.facts.marks.durable;
  now.applied = context.facts.marks.applied;
  now.trimmed = context.facts.marks.trimmed;
  now.head = context.log.head();
  now.floor = context.facts.floor;
  now.marker = context.facts.marker.has_value();
  now.log_busy = engine.replica().log_busy();
  now.leads = engine.primary().on();
  now.leading = engine.primary().epoch();
  now.committed = engine.primary().committed();
  now.stable = engine.primary().stable();
  return now;
}

namespace {

const char* check_terms(const TermTable& terms, Lsn head) {
  for (std::size_t i = 0; i < terms.size(); ++i) {
    if (terms[i].first_lsn > head) return "I5: a term begins beyond the head";
    if (i == 0) continue;
    if (terms[i].term <= terms[i - 1].term) return "I5: terms do not ascend";
    if (terms[i].first_lsn <= terms[i - 1].first_lsn) return "I5: first lsns do not ascend";
  }
  return nullptr;
}

const char* check_peer(const Peer& peer) {
  const bool open = peer.open();
  if (!open && (peer.written || peer.proved || peer.counts)) {
    return "I13: positions without a session";
  }
  if (open && !peer.link) return "I13: a session without a link";
  if (peer.written && peer.durable && *peer.durable > *peer.written) {
    return "I5: a peer is durable beyond what it has written";
  }
  if (peer.receives_records() && peer.written && *peer.written > peer.sent_upto()) {
    return "I13: a peer acknowledged what it was not sent";
  }
  if (peer.proved && *peer.proved > peer.durable.value_or(Lsn{})) {
    return "I5: proved beyond durable";
  }
  if (peer.failures.terminal() && (open || peer.link || peer.dialled || peer.reserve.held())) {
    return "I12: what was given up still costs something";
  }
  if (!open && (peer.pin.held() || peer.base.freeze.held())) return "I11: a pin without a session";
  return nullptr;
}

std::size_t pins_of(const Primary& primary) {
  std::size_t count = 0;
  for (const Peer& peer : primary.peers()) {
    count += (peer.pin.held() ? 1u : 0u) + (peer.reserve.held() ? 1u : 0u);
  }
  return count;
}

std::size_t freezes_of(const Primary& primary) {
  std::size_t count = 0;
  for (const Peer& peer : primary.peers()) count += peer.base.freeze.held() ? 1u : 0u;
  return count;
}

const char* check_primary(const Context& context, const Primary& primary) {
  const Watermarks& marks = context.facts.marks;
  if (context.promised > primary.epoch()) return "I4: leads below its own promise";
  if (primary.active() && context.facts.promised < primary.epoch()) {
    return "I4: leads before its promise is durable";
  }
  if (context.facts.marker) return "I4: leads with a marker";
  const std::optional<Lsn> committed = primary.committed();
  const std::optional<Lsn> stable = primary.stable();
  if (committed && *committed < primary.term_start()) return "I1: committed below its term-start";
  if (committed && *committed > marks.written) return "I1: committed beyond what is written here";
  if (stable && *stable < primary.term_start()) return "I1: stable below its term-start";
  if (stable && (!committed || *stable > *committed)) return "I1: stable beyond committed";
  if (stable && *stable > marks.durable) return "I1: stable beyond what is durable here";
  if (primary.serving() && !committed) return "I4: serves before its term-start is committed";
  for (const Peer& peer : primary.peers()) {
    if (const char* broken = check_peer(peer)) return broken;
  }
  if (primary.requests().open() > Requests::open_max) return "I12: too many open requests";
  return nullptr;
}

}  // namespace

const char* check_state(const Core& core) {
  const Engine& engine = core.engine();
  const Context& context = engine.context();
  const Watermarks& marks = context.facts.marks;
  if (!context.opened) return nullptr;
  if (marks.trimmed > marks.applied) return "I10: trimmed beyond applied";
  if (marks.applied > marks.durable) return "I10: applied beyond durable";
  if (marks.durable > marks.written) return "I5: durable beyond written";
  if (marks.written > context.log.head()) return "I5: written beyond the head";
  if (context.facts.promised > context.promised) return "I4: the promise on disk is not known";
  if (const char* broken = check_terms(context.facts.terms, context.log.head())) return broken;
  if (context.pins != pins_of(engine.primary())) return "I11: a pin without an owner";
  if (context.freezes != freezes_of(engine.primary())) return "I11: a freeze without an owner";
  if (!engine.primary().on()) {
    if (!engine.primary().peers().empty()) return "I13: peers of somebody who does not lead";
    if (engine.primary().drain().held() != 0) return "I13: held requests of nobody who leads";
    if (engine.primary().requests().open() != 0) return "I13: requests of nobody who leads";
    return nullptr;
  }
  return check_primary(context, engine.primary());
}

const char* check_delta(const CoreSnapshot& before, const CoreSnapshot& after) {
  if (after.promised < before.promised) return "I4: a promise was taken back";
  if (after.known_epoch < before.known_epoch) return "I4: an older epoch became known";
  const bool log_replaced = before.log_busy;  // a rewind or a rebuild ended in this step
  if (!log_replaced) {
    if (after.written < before.written) return "I5: written went back";
    if (after.durable < before.durable) return "I5: durable went back";
    if (after.applied < before.applied) return "I10: applied went back";
    if (after.trimmed < before.trimmed) return "I5: trimmed went back";
    if (after.head < before.head) return "I5: the head went back";
    if (after.marker && !before.marker) return "I10: a marker out of nothing";
  }
  if (before.floor && after.floor && *after.floor < *before.floor) {
    return "I10: a floor was lowered";
  }
  const bool same_epoch = before.leads && after.leads && before.leading == after.leading;
  if (!same_epoch) return nullptr;
  if (before.committed && (!after.committed || *after.committed < *before.committed)) {
    return "I1: committed went back";
  }
  if (before.stable && (!after.stable || *after.stable < *before.stable)) {
    return "I1: stable went back";
  }
  return nullptr;
}

namespace {

const char* check_send(const Context& context, const command::Send& send) {
  const bool grants = std::holds_alternative<message::Ack>(send.message) ||
                      std::holds_alternative<message::HelloReply>(send.message) ||
                      std::holds_alternative<message::HeartbeatReply>(send.message);
  if (grants && context.facts.promised < send.envelope.epoch) {
    return "I4: an answer under a promise that is not durable";
  }
  if (grants && context.promised > send.envelope.epoch) return "I4: an answer to a fenced primary";
  if (const auto* done = std::get_if<message::BarrierDone>(&send.message)) {
    if (done->ok && done->durable > context.facts.marks.durable) {
      return "I1: a barrier was answered beyond what is durable";
    }
  }
  return nullptr;
}

const char* check_complete(const Primary& primary, const command::Complete& complete) {
  const ClientDone& done = complete.done;
  if (done.status != ClientStatus::ok) return nullptr;
  if (!primary.serving()) return "I4: completed by one who does not serve";
  if (!primary.has_lease()) return "I4: left without a lease";
  if (done.seen.term != primary.epoch()) return "I3: a completion of another epoch";
  if (done.seen < Position{primary.epoch(), primary.term_start()}) {
    return "I3: a completion below the term-start";
  }
  if (done.seen.lsn > primary.visible()) return "I1: completed before it was committed";
  return nullptr;
}

}  // namespace

const char* check_commands(const Core& core, const Commands& commands) {
  const Context& context = core.engine().context();
  for (const Command& command : commands) {
    const char* broken = nullptr;
    if (const auto* send = std::get_if<command::Send>(&command)) {
      broken = check_send(context, *send);
    } else if (const auto* complete = std::get_if<command::Complete>(&command)) {
      broken = check_complete(core.engine().primary(), *complete);
    } else if (const auto* fold = std::get_if<command::SetFoldLimit>(&command)) {
      if (fold->upto > context.facts.marks.durable) broken = "I10: folds what is not durable";
    } else if (const auto* report = std::get_if<command::ReportFence>(&command)) {
      const bool durable = context.facts.promised >= report->report->epoch;
      if (!durable) broken = "I4: a report before its promise is durable";
    }
    if (broken != nullptr) return broken;
  }
  return nullptr;
}

}  // namespace seawall
