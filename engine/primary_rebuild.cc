// The source of a rebuild: base and log are held before it starts, so it ends at the first attempt.
// It compares its map with the replica's, range by range, and sends the columns that differ. The
// replica counts only when its own map says the same as the source's and its marker is gone.
#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/primary.h"

namespace seawall {

void Primary::start_rebuild(Peer& peer, const Plan& plan, const ReplicaFacts& facts) {
  peer.become(PeerState::freezing, context_.now + context_.options.progress_deadline);
  journal(peer, PlanStage::step);
  // What it may have acknowledged and is about to give up: its floor, and its old end.
  std::optional<Position> floor = facts.floor;
  const Position old_end{facts.last_term, facts.marks.written};
  if (old_end.lsn > Lsn{0} && (!floor || old_end > *floor)) floor = old_end;
  peer.pin = LogPin(context_, context_.facts.marks.applied.next());
  peer.reserve.release();
  peer.base = BaseLane{};
  peer.base.floor = floor;
  if (plan.kind == PlanKind::delta) peer.base.since = plan.since;
  peer.base.freeze = BaseFreeze(context_, peer.id, session_id(peer));
}

void Primary::on_base_frozen(const event::BaseFrozen& done) {
  Peer* peer = session_of(done.peer, done.session);
  if (peer == nullptr || peer->state != PeerState::freezing) return;
  if (!done.ok) {
    close(*peer, SessionEnd::base_failed);
    return;
  }
  CHECK(done.cut >= context_.facts.marks.applied);
  peer->base.cut = done.cut;
  peer->base.extents = done.extents;
  peer->pin.advance(done.cut.next());
  peer->become(PeerState::preparing, context_.now + context_.options.progress_deadline);
  journal(*peer, PlanStage::step);
  peer->head_at_handshake = context_.log.head();
  rebuild_terms_ = context_.facts.terms;
  while (!rebuild_terms_.empty() && rebuild_terms_.back().first_lsn > done.cut) {
    rebuild_terms_.pop_back();
  }
  rebuild_requests_ = attachments_.tables();
  rebuild_requests_.cut(done.cut);
  if (MUTANT(M82)) rebuild_requests_.clear();
  peer->base.requests = rebuild_requests_.digest();
  send(*peer, message::BaseRequests{&rebuild_requests_});
  send(*peer, message::StartRebuild{done.cut, done.cut_term, done.cut_chain, &rebuild_terms_,
                                    done.extents, peer->head_at_handshake});
}

void Primary::on(Peer& peer, const message::RebuildReady& ready) {
  if (peer.state != PeerState::preparing || ready.cut != peer.base.cut) {
    ++context_.counters.unexpected;
    return;
  }
  // What its base certainly held; and never beyond this base: what it folded beyond differs, too.
  if (peer.base.since && ready.start) {
    peer.base.since = std::min({*peer.base.since, *ready.start, peer.base.cut});
  } else {
    peer.base.since.reset();
  }
  peer.become(PeerState::rebuilding, context_.now + context_.options.progress_deadline);
  journal(peer, PlanStage::step);
  peer.written = peer.durable = ready.cut;
  peer.cursor = ready.cut.next();
  peer.progress_at = context_.now;
  ask_map(peer, Lba{0});
}

void Primary::ask_map(Peer& peer, Lba from) {
  peer.base.asked = true;
  send(peer, message::AskBaseMap{from, peer.base.since});
}

void Primary::on(Peer& peer, const message::BaseMap& map) {
  BaseLane& base = peer.base;
  const bool wanted = peer.state == PeerState::rebuilding && base.asked && map.from == base.upto &&
                      map.upto > map.from;
  if (!wanted) {
    ++context_.counters.unexpected;
    context_.drop(map.slot);
    return;
  }
  base.asked = false;
  base.comparing = true;
  base.range_end = map.upto;
  peer.progress_at = context_.now;
  context_.emit(command::CompareBase{peer.id, session_id(peer), map, base.since});
  context_.drop(map.slot);
  pump_base(peer);
}

void Primary::pump_base(Peer& peer) {
  BaseLane& base = peer.base;
  if (peer.state != PeerState::rebuilding || base.busy || !base.comparing) return;
  const std::uint64_t in_flight = base.sent - base.acked;
  if (in_flight >= context_.options.base_window) return;
  base.busy = true;
  command::SendBase command;
  command.peer = peer.id;
  command.link = *peer.link;
  command.session = session_id(peer);
  command.envelope = envelope_to(peer);
  command.extents_max = static_cast<std::uint32_t>(context_.options.base_window - in_flight);
  context_.emit(command);
}

void Primary::on_base_sent(const event::BaseSent& done) {
  Peer* peer = session_of(done.peer, done.session);
  if (peer == nullptr || peer->state != PeerState::rebuilding || !peer->base.busy) return;
  BaseLane& base = peer->base;
  base.busy = false;
  if (!done.ok) {
    close(*peer, SessionEnd::base_failed);
    return;
  }
  if (base.sent > done.sequence) {  // it has acknowledged what was never sent
    close(*peer, SessionEnd::not_equal);
    return;
  }
  CHECK(done.upto >= base.upto);
  if (done.upto > base.upto) peer->progress_at = context_.now;
  base.sent = done.sequence;
  base.upto = done.upto;
  if (!done.range_done) return pump_base(*peer);
  CHECK(done.upto == base.range_end);
  base.comparing = false;
  if (base.upto.value() < context_.facts.size.value()) return ask_map(*peer, base.upto);
  base.end = true;
  base.compared = done.compared;
  base.digest = done.map_digest;
  send(*peer, message::BaseEnd{done.sequence, done.digest, done.compared, done.map_digest});
}

void Primary::on(Peer& peer, const message::BaseAck& ack) {
  BaseLane& base = peer.base;
  const std::uint64_t queued = base.sent + (base.busy ? context_.options.base_window : 0);
  if (peer.state != PeerState::rebuilding || ack.sequence <= base.acked ||
      ack.sequence > queued) {
    ++context_.counters.unexpected;
    return;
  }
  base.acked = ack.sequence;
  base.sent = std::max(base.sent, base.acked);
  peer.progress_at = context_.now;
  pump_base(peer);
}

// Count, digest, contiguous and durable to cut and floor: lsn arithmetic alone proves nothing.
void Primary::on(Peer& peer, const message::RebuildComplete& complete) {
  const BaseLane& base = peer.base;
  if (peer.state != PeerState::rebuilding || !base.end) {
    ++context_.counters.unexpected;
    return;
  }
  const bool equal = complete.count == base.compared && complete.digest == base.digest &&
                     complete.requests == base.requests;
  const bool reaches = complete.durable >= base.cut && complete.durable <= peer.sent_upto();
  const std::optional<Position> at = position_at(context_.facts.terms, complete.durable);
  const bool above_floor = !base.floor || (at && *at >= *base.floor);
  if ((!equal && !MUTANT(M49)) || !reaches || (!above_floor && !MUTANT(M45))) {
    close(peer, SessionEnd::not_equal);
    return;
  }
  peer.become(PeerState::clearing, context_.now + context_.options.progress_deadline);
  journal(peer, PlanStage::step);
  peer.progress_at = context_.now;
  send(peer, message::RebuildAccepted{complete.durable});
}

void Primary::on(Peer& peer, const message::MarkerCleared&) {
  if (peer.state != PeerState::clearing) {
    ++context_.counters.unexpected;
    return;
  }
  peer.base = BaseLane{};  // the freeze goes
  peer.state = PeerState::streaming;
  journal(peer, PlanStage::step);
  peer.floor.reset();
  peer.counts = true;
  peer.counting_since = context_.now;
  peer.progress_at = context_.now;
}

}  // namespace seawall
