// The words of every event, command and message.
#include "engine/trace.h"

namespace seawall {
namespace {

using Out = TraceWriter;

void words(Out& out, const RecordHeader& header) {
  out << Position{header.term, header.lsn} << " " << record_kind_name(header.kind);
  if (changes_blocks(header.kind)) {
    out << " lba=" << header.lba.value() << "+" << header.blocks.value();
  }
  if (header.request.value() != 0) out << " r" << header.request.value();
}

void words(Out& out, const SessionId& session) {
  out << session.epoch << "." << session.counter;
}

void words(Out& out, const Configuration& config) {
  out << (config.policy == Policy::quorum ? "quorum" : "in_sync") << " members={";
  for (const ReplicaId id : config.members) out << " " << id;
  out << " } in_sync={";
  for (const ReplicaId id : config.in_sync) out << " " << id;
  out << " }" << (config.write_cache == WriteCache::none ? " none" : "");
}

// --- messages ---

void words(Out& out, const message::Hello&) { out << "Hello"; }
void words(Out& out, const message::HelloReply& m) {
  out << "HelloReply ";
  if (m.facts != nullptr) render(out, *m.facts);
}
void words(Out& out, const message::StartStream& m) {
  out << "StartStream from=" << m.from << " head=" << m.head;
}
void words(Out& out, const message::Rewind& m) { out << "Rewind to=" << m.to; }
void words(Out& out, const message::RewindDone& m) { out << "RewindDone written=" << m.written; }
void words(Out& out, const message::Append& m) {
  out << "Append ";
  words(out, m.header);
  out << " committed=" << m.committed << " stable=" << m.stable;
}
void words(Out& out, const message::Ack& m) {
  out << "Ack written=" << m.written << " durable=" << m.durable << " applied=" << m.applied;
}
void words(Out& out, const message::Nack& m) {
  out << "Nack " << nack_reason_name(m.reason) << " expected=" << m.expected
      << " promised=" << m.promised;
}
void words(Out& out, const message::Barrier& m) {
  out << "Barrier #" << m.id << " target=" << m.target;
}
void words(Out& out, const message::BarrierDone& m) {
  out << "BarrierDone #" << m.id << (m.ok ? " durable=" : " failed durable=") << m.durable;
}
void words(Out& out, const message::Heartbeat& m) {
  out << "Heartbeat committed=" << m.committed << " stable=" << m.stable
      << " fold=" << m.fold_limit;
}
void words(Out& out, const message::HeartbeatReply& m) {
  out << "HeartbeatReply written=" << m.written << " durable=" << m.durable;
}
void words(Out& out, const message::StartRebuild& m) {
  out << "StartRebuild cut=" << Position{m.cut_term, m.cut} << " extents=" << m.extents_total;
}
void words(Out& out, const message::BaseRequests& m) {
  std::uint64_t requests = 0;
  if (m.tables != nullptr) {
    for (const RequestTable& row : *m.tables) requests += row.entries.size();
  }
  out << "BaseRequests attachments="
      << (m.tables != nullptr ? std::uint64_t{m.tables->size()} : std::uint64_t{0})
      << " requests=" << requests;
}
void words(Out& out, const message::RebuildReady& m) { out << "RebuildReady cut=" << m.cut; }
void words(Out& out, const message::AskBaseMap& m) {
  out << "AskBaseMap from=" << m.from.value();
  if (m.since) out << " since=" << *m.since;
}
void words(Out& out, const message::BaseMap& m) {
  out << "BaseMap " << m.from.value() << ".." << m.upto.value()
      << " lines=" << std::uint64_t{m.lines};
}
void words(Out& out, const message::BaseBlocks& m) {
  out << "BaseBlocks #" << m.sequence << " lba=" << m.lba.value() << " last=" << m.last_lsn;
}
void words(Out& out, const message::BaseAck& m) { out << "BaseAck #" << m.sequence; }
void words(Out& out, const message::BaseEnd& m) {
  out << "BaseEnd count=" << m.count << " compared=" << m.compared;
}
void words(Out& out, const message::RebuildComplete& m) {
  out << "RebuildComplete count=" << m.count << " durable=" << m.durable;
}
void words(Out& out, const message::FetchRecord& m) {
  out << "FetchRecord " << Position{m.header.term, m.header.lsn};
}
void words(Out& out, const message::RecordPayload& m) {
  out << "RecordPayload " << Position{m.header.term, m.header.lsn} << " "
      << fetch_result_name(m.result);
}
void words(Out& out, const message::FetchBlocks& m) {
  out << "FetchBlocks #" << m.id << " lba=" << m.lba.value() << "+" << m.blocks.value();
}
void words(Out& out, const message::BlocksPayload& m) {
  out << "BlocksPayload #" << m.id << (m.slot == no_slot ? " unreadable" : "");
}
void words(Out& out, const message::RebuildAccepted& m) {
  out << "RebuildAccepted required=" << m.required;
}
void words(Out& out, const message::MarkerCleared&) { out << "MarkerCleared"; }

// --- clients ---

void words(Out& out, const ClientRequest& r) {
  out << client_op_name(r.op) << " r" << r.request.value();
  if (r.op != ClientOp::flush) out << " lba=" << r.lba.value() << "+" << r.blocks.value();
  if (r.fua) out << " fua";
}
void words(Out& out, const ClientDone& d) {
  out << "r" << d.request.value() << " " << client_status_name(d.status);
  if (d.status == ClientStatus::ok) out << " seen=" << d.seen;
}

// --- events ---

void words(Out& out, const event::Opened& e) {
  out << "Opened ";
  if (e.facts != nullptr) render(out, *e.facts);
}
void words(Out& out, const event::Tick&) { out << "Tick"; }
void words(Out& out, const event::Assigned& e) {
  out << "Assigned";
  if (e.assignment == nullptr) return;
  out << " epoch=" << e.assignment->epoch << " revision=" << e.assignment->revision.value()
      << " primary=" << e.assignment->primary << " ";
  words(out, e.assignment->config);
  if (!e.assignment->wish) return;
  out << " wish ";
  words(out, *e.assignment->wish);
}
void words(Out& out, const event::Fence& e) { out << "Fence epoch=" << e.request.epoch; }
void words(Out& out, const event::ProposalRefused& e) {
  out << "ProposalRefused base=" << e.refusal.base.value()
      << " current=" << e.refusal.current.value();
}
void words(Out& out, const event::Removed&) { out << "Removed"; }
void words(Out& out, const event::PeerUp& e) { out << "PeerUp " << e.peer; }
void words(Out& out, const event::PeerDown& e) { out << "PeerDown " << e.peer; }
void words(Out& out, const event::Received& e) {
  out << "Received ";
  if (e.envelope != nullptr) {
    out << "from=" << e.envelope->from << " ";
    words(out, SessionId{e.envelope->epoch, e.envelope->session});
    out << " ";
  }
  if (e.message != nullptr) render(out, *e.message);
}
void words(Out& out, const event::LinkClosed& e) { out << "LinkClosed " << e.link.value(); }
void words(Out& out, const event::LogWritten& e) { out << "LogWritten " << e.upto; }
void words(Out& out, const event::LogDurable& e) { out << "LogDurable " << e.upto; }
void words(Out& out, const event::LogFailed& e) { out << "LogFailed " << errc_name(e.errc); }
void words(Out& out, const event::SuperWritten& e) { out << "SuperWritten #" << e.token; }
void words(Out& out, const event::RewindDone& e) { out << "RewindDone ok=" << e.ok; }
void words(Out& out, const event::Checkpointed& e) {
  out << "Checkpointed applied=" << e.applied << " trimmed=" << e.trimmed;
}
void words(Out& out, const event::LogSpace& e) {
  out << "LogSpace " << std::uint64_t{e.fill_percent} << "%";
}
void words(Out& out, const event::LogStreamed& e) {
  out << "LogStreamed " << e.peer << " upto=" << e.upto << " ok=" << e.ok;
}
void words(Out& out, const event::BaseFrozen& e) {
  out << "BaseFrozen " << e.peer << " cut=" << e.cut << " ok=" << e.ok;
}
void words(Out& out, const event::BaseSent& e) {
  out << "BaseSent " << e.peer << " #" << e.sequence << " upto=" << e.upto.value()
      << " range_done=" << e.range_done << " ok=" << e.ok;
}
void words(Out& out, const event::RebuildPrepared& e) { out << "RebuildPrepared ok=" << e.ok; }
void words(Out& out, const event::BaseMapRead& e) { out << "BaseMapRead ok=" << e.ok; }
void words(Out& out, const event::BaseWritten& e) {
  out << "BaseWritten #" << e.sequence << " ok=" << e.ok;
}
void words(Out& out, const event::BaseFlushed& e) { out << "BaseFlushed ok=" << e.ok; }
void words(Out& out, const event::LogRepaired& e) {
  out << "LogRepaired ok=" << e.ok << " left=" << e.unknown.size();
}
void words(Out& out, const event::RecordUnknown& e) {
  out << "RecordUnknown " << Position{e.header.term, e.header.lsn};
}
void words(Out& out, const event::BlocksRotten& e) {
  out << "BlocksRotten lba=" << e.lba.value() << "+" << e.blocks.value() << (e.map ? " map" : "");
}
void words(Out& out, const event::BlocksRepaired& e) {
  out << "BlocksRepaired #" << e.id << " any=" << e.any;
}
void words(Out& out, const event::LostByWord&) { out << "LostByWord"; }
void words(Out& out, const event::ClientOpened& e) {
  out << "ClientOpened attachment=" << e.attach.attachment.value()
      << " connection=" << e.attach.connection.value();
}
void words(Out& out, const event::ClientClosed& e) { out << "ClientClosed " << e.link.value(); }
void words(Out& out, const event::ClientAsked& e) {
  out << "ClientAsked ";
  words(out, e.request);
}
void words(Out& out, const event::ReadDone& e) {
  out << "ReadDone #" << e.token << " " << errc_name(e.errc);
}

// --- commands ---

void words(Out& out, const command::AppendLog& c) {
  out << "AppendLog ";
  words(out, c.header);
}
void words(Out& out, const command::FlushLog&) { out << "FlushLog"; }
void words(Out& out, const command::SetFoldLimit& c) { out << "SetFoldLimit " << c.upto; }
void words(Out& out, const command::PinLog& c) { out << "PinLog #" << c.pin << " " << c.from; }
void words(Out& out, const command::UnpinLog& c) { out << "UnpinLog #" << c.pin; }
void words(Out& out, const command::WriteSuper& c) {
  out << "WriteSuper";
  if (c.promise) out << " promise=" << *c.promise;
  if (c.seen_epoch) out << " seen=" << *c.seen_epoch;
  if (c.floor) out << " floor=" << *c.floor;
  if (c.clear_floor) out << " clear_floor";
  if (c.clear_marker) out << " clear_marker";
  if (c.intact) out << " intact=" << *c.intact;
}
void words(Out& out, const command::RewindLog& c) { out << "RewindLog " << c.to; }
void words(Out& out, const command::DialPeer& c) { out << "DialPeer " << c.peer; }
void words(Out& out, const command::HangUp& c) { out << "HangUp " << c.link.value(); }
void words(Out& out, const command::StopDialling& c) { out << "StopDialling " << c.peer; }
void words(Out& out, const command::Send& c) {
  out << "Send to=" << c.envelope.to << " ";
  words(out, SessionId{c.envelope.epoch, c.envelope.session});
  out << " ";
  render(out, c.message);
}
void words(Out& out, const command::ServeRecord& c) {
  out << "ServeRecord " << Position{c.header.term, c.header.lsn};
}
void words(Out& out, const command::ServeBlocks& c) {
  out << "ServeBlocks #" << c.id << " lba=" << c.lba.value() << "+" << c.blocks.value();
}
void words(Out& out, const command::RepairLog& c) {
  out << "RepairLog";
  for (const command::RepairPiece& piece : c.pieces) {
    out << " " << piece.lsn << (piece.slot == no_slot ? "(lost)" : "");
  }
}
void words(Out& out, const command::DistrustBase&) { out << "DistrustBase"; }
void words(Out& out, const command::RepairBlocks& c) {
  out << "RepairBlocks #" << c.id << " lba=" << c.lba.value() << "+" << c.blocks.value();
}
void words(Out& out, const command::StreamLog& c) {
  out << "StreamLog to=" << c.peer << " " << c.from << ".." << c.upto;
}
void words(Out& out, const command::FreezeBase& c) { out << "FreezeBase for=" << c.peer; }
void words(Out& out, const command::CompareBase& c) {
  out << "CompareBase with=" << c.peer << " " << c.map.from.value() << ".." << c.map.upto.value()
      << " since=" << c.since;
}
void words(Out& out, const command::SendBase& c) {
  out << "SendBase to=" << c.peer << " max=" << std::uint64_t{c.extents_max};
}
void words(Out& out, const command::ThawBase& c) { out << "ThawBase for=" << c.peer; }
void words(Out& out, const command::PrepareRebuild& c) {
  out << "PrepareRebuild cut=" << c.marker.cut << " start=" << c.marker.start
      << " floor=" << c.floor;
}
void words(Out& out, const command::ReadBaseMap& c) {
  out << "ReadBaseMap from=" << c.from.value() << " since=" << c.since;
}
void words(Out& out, const command::WriteBase& c) { out << "WriteBase #" << c.blocks.sequence; }
void words(Out& out, const command::FlushBase&) { out << "FlushBase"; }
void words(Out& out, const command::AttachReply& c) {
  out << "AttachReply " << client_status_name(c.reply.status);
  if (c.reply.status == ClientStatus::not_primary) {
    out << " hint=" << c.reply.known_primary << "@" << c.reply.known_epoch;
  }
}
void words(Out& out, const command::Complete& c) {
  out << "Complete ";
  words(out, c.done);
}
void words(Out& out, const command::ReadData& c) {
  out << "ReadData #" << c.token << " lba=" << c.lba.value() << "+" << c.blocks.value();
}
void words(Out& out, const command::DropSlot& c) {
  out << "DropSlot " << std::uint64_t{c.slot.value()};
}
void words(Out& out, const command::ReportFence& c) {
  out << "ReportFence";
  if (c.report == nullptr) return;
  out << " epoch=" << c.report->epoch << " ";
  render(out, c.report->facts);
}
void words(Out& out, const command::RefuseFence& c) {
  out << "RefuseFence asked=" << c.asked << " promised=" << c.promised;
}
void words(Out& out, const command::RefuseAssignment& c) {
  out << "RefuseAssignment epoch=" << c.epoch << " (" << c.reason << ")";
}
void words(Out& out, const command::Propose& c) {
  out << "Propose base=" << c.proposal.base.value() << " cause=" << c.proposal.cause << " ";
  words(out, c.proposal.wanted);
}
void words(Out& out, const command::RequestFailover& c) {
  out << "RequestFailover epoch=" << c.epoch << " (" << c.reason << ")";
}
void words(Out& out, const command::WakeAt& c) { out << "WakeAt " << c.at.value(); }

}  // namespace

void render(TraceWriter& out, const message::PeerMessage& message) {
  std::visit([&](const auto& what) { words(out, what); }, message);
}

void render(TraceWriter& out, const Event& event) {
  std::visit([&](const auto& what) { words(out, what); }, event);
}

void render(TraceWriter& out, const Command& command) {
  std::visit([&](const auto& what) { words(out, what); }, command);
}

}  // namespace seawall
