// The target's side of a rebuild: marker and floor first, then base lane and log lane, and the
// marker goes only when the source has accepted what is there. The base stays: it is compared, and
// what differs is replaced.
#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/replica.h"

namespace seawall {
namespace {

constexpr std::uint64_t base_in_flight_max = 64;

}  // namespace

void Replica::on(const message::BaseRequests& requests) {
  const bool legal = stage_ == ReplicaStage::answered && !preparing_ &&
                     requests.tables != nullptr && well_formed(*requests.tables);
  if (!legal) {
    ++context_.counters.unexpected;
    return;
  }
  cut_requests_ = *requests.tables;
}

void Replica::on(const message::StartRebuild& start) {
  if (stage_ != ReplicaStage::answered || start.terms == nullptr || !cut_requests_) {
    ++context_.counters.unexpected;
    return;
  }
  CHECK(context_.log.quiet(context_.facts));
  const ReplicaFacts& facts = context_.facts;
  RebuildMarker marker;
  marker.session = session_;
  marker.cut = start.cut;
  // A base that is not trusted is given up: nothing of it can be called equal.
  const bool keep_base = facts.damage != Damage::base_untrusted;
  if (keep_base && facts.marker) {
    marker.start = facts.marker->start;  // the first one counts: what changed since is unknown
  } else if (keep_base) {
    marker.start = facts.marks.applied;
  }
  std::optional<Floor> floor = facts.floor;  // only ever raised
  const Position old_end{facts.last_term, facts.marks.written};
  if (old_end.lsn > Lsn{0} && (!floor || old_end > *floor || MUTANT(M113))) floor = old_end;

  cut_ = start.cut;
  cut_terms_ = *start.terms;
  map_out_ = false;
  head_at_handshake_ = start.head;
  base_received_ = base_written_ = 0;
  base_digest_ = 0;
  base_end_.reset();
  base_flush_out_ = base_flushed_ = complete_sent_ = false;
  stage_ = ReplicaStage::preparing;
  preparing_ = true;
  cut_requests_->cut(start.cut);
  context_.emit(command::PrepareRebuild{marker, floor, start.cut_term, start.cut_chain,
                                        &cut_terms_, &*cut_requests_, keep_base});
}

void Replica::on_prepared(const event::RebuildPrepared& done) {
  CHECK(preparing_);
  preparing_ = false;
  cut_requests_.reset();
  if (!done.ok) {
    on_log_failed();
    return;
  }
  // The log they were folded from is gone; the disk has those of the base instead.
  attachments_.adopt(done.requests != nullptr ? *done.requests : RequestTables{});
  requests_digest_ = attachments_.tables().digest();
  repair_.clear();
  adopt_log(*done.facts);
  CHECK(context_.facts.marker.has_value());
  if (stage_ != ReplicaStage::preparing || done.session != session_) return;
  stage_ = ReplicaStage::rebuilding;
  send(message::RebuildReady{cut_, context_.facts.marker->start});
}

void Replica::on(const message::AskBaseMap& ask) {
  if (stage_ != ReplicaStage::rebuilding || base_end_ || map_out_) {
    ++context_.counters.unexpected;
    return;
  }
  map_out_ = true;
  since_ = ask.since;
  context_.emit(command::ReadBaseMap{link_, session_, reply_, ask.from, since_});
}

void Replica::on_base_map_read(const event::BaseMapRead& done) {
  if (stage_ != ReplicaStage::rebuilding || done.session != session_) {
    ++context_.counters.stale_session;
    return;
  }
  map_out_ = false;
  if (!done.ok) give_up_base();
}

// Map or base cannot be what they were taken for: the next rebuild copies all of it.
void Replica::give_up_base() {
  ++context_.counters.alarms;
  context_.facts.damage = Damage::base_untrusted;
  refuse(message::NackReason::marker);
}

void Replica::on(const message::BaseBlocks& blocks) {
  if (stage_ != ReplicaStage::rebuilding || base_end_) {
    ++context_.counters.unexpected;
    return;
  }
  if (blocks.sequence != base_received_ + 1 ||
      base_received_ - base_written_ >= base_in_flight_max) {
    refuse(message::NackReason::gap);
    return;
  }
  ++base_received_;
  context_.emit(command::WriteBase{session_, blocks});
}

void Replica::on_base_written(const event::BaseWritten& done) {
  if (stage_ != ReplicaStage::rebuilding || done.session != session_) {
    ++context_.counters.stale_session;
    return;
  }
  if (!done.ok) {
    on_log_failed();
    return;
  }
  CHECK(done.sequence == base_written_ + 1);
  base_written_ = done.sequence;
  base_digest_ = done.digest;
  send(message::BaseAck{base_written_});
  maybe_complete_rebuild();
}

void Replica::on(const message::BaseEnd& end) {
  if (stage_ != ReplicaStage::rebuilding || base_end_) {
    ++context_.counters.unexpected;
    return;
  }
  if (end.count != base_received_) {
    refuse(message::NackReason::gap);
    return;
  }
  base_end_ = end;
  maybe_complete_rebuild();
}

void Replica::on_base_flushed(const event::BaseFlushed& done) {
  if (stage_ != ReplicaStage::rebuilding || done.session != session_ || !base_flush_out_) {
    ++context_.counters.stale_session;
    return;
  }
  if (!done.ok) {
    on_log_failed();
    return;
  }
  if ((done.count != base_end_->compared || done.digest != base_end_->map_digest) &&
      !MUTANT(M49)) {
    give_up_base();
    return;
  }
  base_flushed_ = true;
  maybe_complete_rebuild();
}

// Complete = every column written, all maps equal, base flushed, log durable to cut and floor.
void Replica::maybe_complete_rebuild() {
  if (stage_ != ReplicaStage::rebuilding || !base_end_ || complete_sent_) return;
  if (base_written_ != base_end_->count) return;
  if (base_end_->count > 0 && base_digest_ != base_end_->digest) {
    ++context_.counters.alarms;
    refuse(message::NackReason::divergence);
    return;
  }
  if (!base_flush_out_ && !MUTANT(M47)) {
    base_flush_out_ = true;
    context_.emit(command::FlushBase{session_, since_});
  }
  if (!base_flushed_ && !MUTANT(M47)) return;
  const Lsn durable = context_.facts.marks.durable;
  if ((durable < cut_ || !context_.floor_reached(durable)) && !MUTANT(M45)) {
    flush_upto(context_.log.head());
    return;
  }
  complete_sent_ = true;
  send(message::RebuildComplete{base_end_->compared, base_end_->map_digest, durable,
                                requests_digest_});
}

void Replica::on(const message::RebuildAccepted& accepted) {
  const bool legal = stage_ == ReplicaStage::rebuilding && complete_sent_ &&
                     context_.facts.marks.durable >= accepted.required;
  if (!legal) {
    ++context_.counters.unexpected;
    return;
  }
  stage_ = ReplicaStage::clearing;
  command::WriteSuper update;
  update.clear_marker = true;
  update.clear_floor =
      context_.facts.floor.has_value() && context_.floor_reached(context_.facts.marks.durable);
  PendingSuper pending;
  pending.kind = SuperKind::clear_marker;
  pending.session = session_;
  pending.clears_floor = update.clear_floor;
  context_.write_super(update, pending);
}

void Replica::on_marker_cleared(const SessionId& session) {
  context_.facts.marker.reset();
  context_.facts.damage = Damage::none;
  if (stage_ != ReplicaStage::clearing || session != session_) return;
  stage_ = ReplicaStage::streaming;
  fold();
  send(message::MarkerCleared{});
  acknowledge();
}

}  // namespace seawall
