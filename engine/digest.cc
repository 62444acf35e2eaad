#include "engine/digest.h"

#include "engine/engine.h"

namespace seawall {

// --- values ---

void digest_of(Digest& d, const Configuration& v) {
  d.add_unordered(v.members);
  d.add_unordered(v.in_sync);
  d.add(v.policy, v.min_in_sync, v.write_cache);
}
void digest_of(Digest& d, const PeerEndpoint& v) { d.add(v.replica, v.version, v.word); }
void digest_of(Digest& d, const AttachmentGrant& v) { d.add(v.attachment); }
void digest_of(Digest& d, const Assignment& v) {
  d.add(v.epoch, v.revision, v.primary, v.config, v.attachments, v.size, v.winner_start,
        v.winner_position, v.after_power_loss, v.forced, v.wish);
  d.add_unordered(v.endpoints);
}
void digest_of(Digest& d, const TermEntry& v) { d.add(v.term, v.first_lsn, v.chain_before); }
void digest_of(Digest& d, const Position& v) { d.add(v.term, v.lsn); }
void digest_of(Digest& d, const SessionId& v) { d.add(v.epoch, v.counter); }
void digest_of(Digest& d, const RebuildMarker& v) { d.add(v.session, v.cut, v.start); }
void digest_of(Digest& d, const Watermarks& v) {
  d.add(v.written, v.durable, v.applied, v.trimmed);
}
void digest_of(Digest& d, const RecordHeader& v) { d.add(v.lsn, v.flags, v.chain); }
void digest_of(Digest& d, const ReplicaFacts& v) {
  d.add(v.replica, v.process_start, v.promised, v.seen_epoch, v.seen_revision, v.marks, v.last_term,
        v.chain, v.intact, v.floor, v.marker, v.damage, v.size, v.terms);
}
void digest_of(Digest& d, const RequestTables& v) {
  for (const RequestTable& table : v) {
    d.add(table.attachment, table.low_mark);
    for (const RequestEntry& entry : table.entries) d.add(entry.request, entry.lsn);
  }
}
void digest_of(Digest& d, const message::Envelope& v) {
  d.add(v.from, v.to, v.epoch, v.session, v.endpoint);
}

namespace {

using namespace message;  // NOLINT: twenty of its names follow

void words(Digest& d, const Hello& v) { d.add(v.process_start, v.sent_at); }
void words(Digest& d, const HelloReply& v) { d.add(v.echo); }
void words(Digest& d, const StartStream& v) { d.add(v.from, v.chain_before, v.head); }
void words(Digest& d, const Rewind& v) { d.add(v.to); }
void words(Digest& d, const message::RewindDone& v) { d.add(v.written); }
void words(Digest& d, const Append& v) { d.add(v.header, v.committed, v.stable, v.sent_at); }
void words(Digest& d, const Ack& v) { d.add(v.written, v.durable, v.applied, v.echo); }
void words(Digest& d, const Nack& v) { d.add(v.reason, v.expected, v.promised); }
void words(Digest& d, const Barrier& v) { d.add(v.id, v.target, v.sent_at); }
void words(Digest& d, const BarrierDone& v) { d.add(v.id, v.ok, v.durable, v.echo); }
void words(Digest& d, const Heartbeat& v) {
  d.add(v.committed, v.stable, v.fold_limit, v.sent_at);
}
void words(Digest& d, const HeartbeatReply& v) { d.add(v.written, v.durable, v.applied, v.echo); }
void words(Digest& d, const StartRebuild& v) {
  d.add(v.cut, v.cut_term, v.cut_chain, v.extents_total, v.head);
}
void words(Digest&, const BaseRequests&) {}
void words(Digest& d, const RebuildReady& v) { d.add(v.cut, v.start); }
void words(Digest& d, const AskBaseMap& v) { d.add(v.from, v.since); }
void words(Digest& d, const BaseMap& v) { d.add(v.from, v.upto, v.lines); }
void words(Digest& d, const BaseBlocks& v) { d.add(v.sequence, v.lba, v.last_lsn, v.present); }
void words(Digest& d, const BaseAck& v) { d.add(v.sequence); }
void words(Digest& d, const BaseEnd& v) { d.add(v.count, v.digest, v.compared, v.map_digest); }
void words(Digest& d, const RebuildComplete& v) { d.add(v.count, v.digest, v.durable, v.requests); }
void words(Digest& d, const RebuildAccepted& v) { d.add(v.required); }
void words(Digest&, const MarkerCleared&) {}
template <class Other>
void words(Digest&, const Other&) {}  // what has no meaning here yet counts by its index

}  // namespace

void digest_of(Digest& d, const message::PeerMessage& v) {
  d.word(v.index());
  std::visit([&d](const auto& each) { words(d, each); }, v);
}

// --- state ---

struct DigestAccess {
  static void of(Digest& d, const OwnLog& v) {
    d.add(v.head_, v.head_term_, v.head_chain_);
    d.word(v.recent_.size());
  }
  static void of(Digest& d, const Context& v) {
    d.add(v.opened, v.log_failed, v.removed, v.facts, v.fill_percent, v.promised, v.assignment,
          v.known_epoch, v.known_primary, v.fold_limit, v.pins, v.freezes, v.granted_epoch,
          v.granted_until, v.wake);
    of(d, v.log);
    d.word(v.supers.size());
    for (std::size_t i = 0; i < v.supers.size(); ++i) {
      const PendingSuper& super = v.supers[i];
      d.add(super.kind, super.promise, super.session, super.clears_floor);
    }
  }
  static void of(Digest& d, const Attachments& v) {
    d.add(v.tables_, v.granted_);
    for (const AttachmentConnection& each : v.connections_) {
      d.add(each.id, each.connection, each.link);
    }
  }
  static void of(Digest& d, const Replica& v) {
    d.add(v.stage_, v.session_, v.told_committed_, v.told_stable_, v.held_stable_,
          v.head_at_handshake_, v.flush_covers_, v.unrest_since_, v.rewinding_, v.preparing_);
    if (v.stage_ != ReplicaStage::none) d.add(v.link_, v.reply_, v.echo_);
    d.word(v.barriers_.size());
    for (std::size_t i = 0; i < v.barriers_.size(); ++i) {
      d.add(v.barriers_[i].id, v.barriers_[i].target);
    }
    d.word(v.greeting_.has_value() ? 1 : 0);
    if (v.greeting_) d.add(v.greeting_->link, v.greeting_->envelope, v.greeting_->sent_at);
    d.word(v.fence_.has_value() ? 1 : 0);
    if (v.fence_) d.add(v.fence_->epoch, v.fence_->revision);
    d.add(v.cut_, v.since_, v.map_out_, v.base_received_, v.base_written_, v.base_digest_,
          v.base_flush_out_, v.base_flushed_, v.complete_sent_);
    d.word(v.base_end_.has_value() ? 1 : 0);
    if (v.base_end_) {
      d.add(v.base_end_->count, v.base_end_->digest, v.base_end_->compared,
            v.base_end_->map_digest);
    }
  }
  static void of(Digest& d, const LogPin& v) {
    d.add(v.held());
    if (v.held()) d.add(v.from());
  }
  static void of(Digest& d, const BarrierLog& v) {
    d.word(v.open_.size());
    for (std::size_t i = 0; i < v.open_.size(); ++i) d.add(v.open_[i].id, v.open_[i].target);
  }
  static void of(Digest& d, const ReplicaFailures& v) {
    d.add(v.escalation(), v.terminal());
    for (std::size_t kind = 0; kind < failure_kinds; ++kind) {
      d.add(v.count(static_cast<FailureKind>(kind)));
    }
  }
  static void of(Digest& d, const Peer& v) {
    d.add(v.id, v.endpoint, v.dialled, v.link, v.state, v.session, v.written, v.durable, v.applied,
          v.proved, v.counts, v.floor, v.streaming_from, v.cursor, v.stream_busy, v.stream_upto,
          v.log_way, v.met, v.head_at_handshake, v.proof_target, v.in_sync, v.fenced, v.put_off,
          v.word, v.last_end, v.last_heard, v.deadline, v.progress_at, v.retry_at, v.grant,
          v.counting_since, v.missing_since, v.flaps, v.plan, v.wants_rate);
    const Convergence& c = v.convergence;
    d.add(c.due_, c.since_, c.from_.sent, c.from_.goal, c.drain_rate_, c.ingest_rate_, c.bad_);
    of(d, v.failures);
    of(d, v.barriers);
    of(d, v.pin);
    of(d, v.reserve);
    const BaseLane& base = v.base;
    d.add(base.freeze.held(), base.since, base.cut, base.extents, base.sent, base.acked, base.asked,
          base.comparing, base.busy, base.end, base.range_end, base.upto, base.compared,
          base.digest, base.requests, base.floor);
  }
  static void of(Digest& d, const Requests& v) {
    const auto asker = [&d](const Requests::Asker& a) {
      d.add(a.link, a.attachment, a.connection, a.request, a.listens);
    };
    d.add(v.completed_, v.reads_out_);
    d.word(v.records_.size());
    for (std::size_t i = 0; i < v.records_.size(); ++i) {
      d.add(v.records_[i].lsn, v.records_[i].lba, v.records_[i].blocks, v.records_[i].fua);
      asker(v.records_[i].asker);
    }
    d.word(v.flushes_.size());
    for (const Requests::OpenFlush& each : v.flushes_) {
      d.add(each.target, each.seen);
      asker(each.asker);
    }
    d.word(v.reads_.size());
    for (const Requests::OpenRead& each : v.reads_) {
      d.add(each.lba, each.blocks, each.wait, each.issued, each.ready, each.slot);
      asker(each.asker);
    }
    d.word(v.waiting_.size());
    for (std::size_t i = 0; i < v.waiting_.size(); ++i) {
      d.add(v.waiting_[i].link, v.waiting_[i].request.op, v.waiting_[i].request.request,
            v.waiting_[i].request.connection, v.waiting_[i].since);
    }
    d.word(v.held_.size());
    for (std::size_t i = 0; i < v.held_.size(); ++i) {
      d.add(v.held_[i].link, v.held_[i].done.request, v.held_[i].done.status,
            v.held_[i].done.seen, v.held_[i].done.slot);
    }
  }
  static void of(Digest& d, const Membership& v) {
    d.word(v.change_.has_value() ? 1 : 0);
    if (!v.change_) return;
    d.add(v.change_->wanted, v.change_->cause, v.change_->kind, v.change_->target,
          v.change_->proposed, v.change_->propose_again, v.change_->moved);
  }
  static void of(Digest& d, const Primary& v) {
    d.add(v.phase_);
    if (v.phase_ == PrimaryPhase::off) return;
    d.add(v.epoch_, v.term_start_, v.committed_, v.stable_, v.shown_, v.session_counter_,
          v.flush_covers_, v.barrier_bytes_from_, v.unstable_since_, v.unstable_, v.stable_seen_,
          v.stuck_since_, v.next_heartbeat_, v.tape_bytes_, v.newest_attachment_,
          v.throttle_.rate_, v.throttle_.at_, v.throttle_.credit_, v.unhindered_);
    d.add(v.barriers_.wanted_, v.barriers_.last_, v.barriers_.before_last_, v.barriers_.next_id_);
    of(d, v.requests_);
    of(d, v.membership_);
    d.add(v.drain_.on(), v.drain_.held());
    std::uint64_t peers = 0;
    for (const Peer& peer : v.peers_) {
      Digest each = d.fresh();
      of(each, peer);
      peers += mix64(0x9ee5, each.value());
    }
    d.word(peers);
    d.word(v.tape_.size());
    for (std::size_t i = 0; i < v.tape_.size(); ++i) d.add(v.tape_[i].header, v.tape_[i].slot);
  }
  static void of(Digest& d, const Engine& v) {
    of(d, v.context_);
    of(d, v.attachments_);
    of(d, v.replica_);
    of(d, v.primary_);
    d.add(v.stepped_down_, v.last_wake_);
  }
};

void digest_of(Digest& d, const Engine& v) { DigestAccess::of(d, v); }

}  // namespace seawall
