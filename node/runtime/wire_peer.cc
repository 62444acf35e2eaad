#include <bit>
#include <utility>
#include <variant>

#include "engine/base/chain.h"
#include "engine/base/record.h"
#include "node/runtime/base_map.h"
#include "node/runtime/lost_record.h"
#include "node/runtime/wire.h"
#include "node/runtime/wire_parts.h"

namespace seawall::runtime {
namespace {

using namespace message;  // NOLINT(google-build-using-namespace): every type here is one

void put_facts(ByteWriter& writer, const ReplicaFacts& facts) {
  writer.id(facts.incarnation);
  writer.id(facts.replica);
  writer.id(facts.process_start);
  writer.id(facts.promised);
  writer.id(facts.seen_epoch);
  writer.id(facts.seen_revision);
  writer.id(facts.marks.written);
  writer.id(facts.marks.durable);
  writer.id(facts.marks.applied);
  writer.id(facts.marks.trimmed);
  writer.id(facts.last_term);
  writer.u64(facts.chain);
  writer.boolean(facts.intact);
  const Floor floor = facts.floor.value_or(Floor{});
  writer.boolean(facts.floor.has_value());
  writer.id(floor.term);
  writer.id(floor.lsn);
  const RebuildMarker marker = facts.marker.value_or(RebuildMarker{});
  writer.boolean(facts.marker.has_value());
  writer.id(marker.session.epoch);
  writer.u64(marker.session.counter);
  writer.id(marker.cut);
  writer.optional(marker.start);
  writer.u8(static_cast<std::uint8_t>(facts.damage));
  writer.id(facts.size);
  parts::put_terms(writer, facts.terms);
}

void get_facts(ByteReader& reader, ReplicaFacts& facts) {
  facts.incarnation = reader.id<Incarnation>();
  facts.replica = reader.id<ReplicaId>();
  facts.process_start = reader.id<ProcessStart>();
  facts.promised = reader.id<Epoch>();
  facts.seen_epoch = reader.id<Epoch>();
  facts.seen_revision = reader.id<Revision>();
  facts.marks.written = reader.id<Lsn>();
  facts.marks.durable = reader.id<Lsn>();
  facts.marks.applied = reader.id<Lsn>();
  facts.marks.trimmed = reader.id<Lsn>();
  reader.require(facts.marks.trimmed <= facts.marks.applied);
  reader.require(facts.marks.applied <= facts.marks.durable);
  reader.require(facts.marks.durable <= facts.marks.written);
  facts.last_term = reader.id<Term>();
  facts.chain = reader.u64();
  facts.intact = reader.boolean();
  const bool has_floor = reader.boolean();
  Floor floor;
  floor.term = reader.id<Term>();
  floor.lsn = reader.id<Lsn>();
  reader.require(has_floor || floor == Floor{});
  facts.floor = has_floor ? std::optional<Floor>(floor) : std::nullopt;
  const bool has_marker = reader.boolean();
  RebuildMarker marker;
  marker.session.epoch = reader.id<Epoch>();
  marker.session.counter = reader.u64();
  marker.cut = reader.id<Lsn>();
  marker.start = reader.optional<Lsn>();
  reader.require(has_marker || marker == RebuildMarker{});
  facts.marker = has_marker ? std::optional<RebuildMarker>(marker) : std::nullopt;
  facts.damage = reader.enumerator(Damage::none, Damage::base_untrusted);
  facts.size = reader.id<BlockCount>();
  parts::get_terms(reader, facts.terms);
}

void put_record(ByteWriter& writer, const RecordHeader& record) {
  writer.id(record.lsn);
  writer.id(record.term);
  writer.u8(static_cast<std::uint8_t>(record.kind));
  writer.u8(record.flags);
  writer.id(record.attachment);
  writer.id(record.request);
  writer.id(record.low_mark);
  writer.id(record.lba);
  writer.id(record.blocks);
  writer.u64(record.argument);
  writer.u64(record.payload_digest);
  writer.u64(record.chain);
}

bool record_is_sound(const RecordHeader& record) {
  if (record.lsn == Lsn{} || record.term == Term{}) return false;
  if ((record.flags & ~(record_flag_lost | record_flag_fua)) != 0) return false;
  const std::uint64_t blocks = record.blocks.value();
  if (record.lba.value() > limits::volume_blocks_max ||
      blocks > limits::volume_blocks_max - record.lba.value()) {
    return false;
  }
  switch (record.kind) {
    case RecordKind::write: return blocks > 0 && blocks <= limits::record_blocks_max;
    case RecordKind::discard:
    case RecordKind::write_zeroes:
      return blocks > 0 && blocks <= limits::discard_bytes_max / limits::block_bytes;
    case RecordKind::term_start:
    case RecordKind::snapshot:
    case RecordKind::snapshot_delete: return blocks == 0;
    case RecordKind::resize: return blocks > 0;
  }
  return false;
}

RecordHeader get_record(ByteReader& reader) {
  RecordHeader record;
  record.lsn = reader.id<Lsn>();
  record.term = reader.id<Term>();
  record.kind = reader.enumerator(RecordKind::write, RecordKind::resize);
  record.flags = reader.u8();
  record.attachment = reader.id<AttachmentId>();
  record.request = reader.id<RequestNumber>();
  record.low_mark = reader.id<RequestNumber>();
  record.lba = reader.id<Lba>();
  record.blocks = reader.id<BlockCount>();
  record.argument = reader.u64();
  record.payload_digest = reader.u64();
  record.chain = reader.u64();
  reader.require(record_is_sound(record));
  return record;
}

// --- encode, one a type ---

FrameType put(ByteWriter& writer, const Hello& m) {
  writer.id(m.incarnation);
  writer.id(m.process_start);
  writer.id(m.sent_at);
  return FrameType::hello;
}
FrameType put(ByteWriter& writer, const HelloReply& m) {
  CHECK(m.facts != nullptr);
  writer.id(m.echo);
  put_facts(writer, *m.facts);
  return FrameType::hello_reply;
}
FrameType put(ByteWriter& writer, const StartStream& m) {
  writer.id(m.from);
  writer.u64(m.chain_before);
  writer.id(m.head);
  return FrameType::start_stream;
}
FrameType put(ByteWriter& writer, const Rewind& m) {
  writer.id(m.to);
  return FrameType::rewind;
}
FrameType put(ByteWriter& writer, const RewindDone& m) {
  writer.id(m.written);
  return FrameType::rewind_done;
}
FrameType put(ByteWriter& writer, const Append& m) {
  put_record(writer, m.header);
  writer.optional(m.committed);
  writer.optional(m.stable);
  writer.id(m.sent_at);
  return FrameType::append;
}
FrameType put(ByteWriter& writer, const Ack& m) {
  writer.id(m.written);
  writer.id(m.durable);
  writer.id(m.applied);
  writer.id(m.echo);
  return FrameType::ack;
}
FrameType put(ByteWriter& writer, const Nack& m) {
  writer.u8(static_cast<std::uint8_t>(m.reason));
  writer.id(m.expected);
  writer.id(m.promised);
  return FrameType::nack;
}
FrameType put(ByteWriter& writer, const Barrier& m) {
  writer.u64(m.id);
  writer.id(m.target);
  writer.id(m.sent_at);
  return FrameType::barrier;
}
FrameType put(ByteWriter& writer, const BarrierDone& m) {
  writer.u64(m.id);
  writer.boolean(m.ok);
  writer.id(m.durable);
  writer.id(m.echo);
  return FrameType::barrier_done;
}
FrameType put(ByteWriter& writer, const Heartbeat& m) {
  writer.optional(m.committed);
  writer.optional(m.stable);
  writer.id(m.fold_limit);
  writer.id(m.sent_at);
  return FrameType::heartbeat;
}
FrameType put(ByteWriter& writer, const HeartbeatReply& m) {
  writer.id(m.written);
  writer.id(m.durable);
  writer.id(m.applied);
  writer.id(m.echo);
  return FrameType::heartbeat_reply;
}
FrameType put(ByteWriter& writer, const StartRebuild& m) {
  CHECK(m.terms != nullptr);
  writer.id(m.cut);
  writer.id(m.cut_term);
  writer.u64(m.cut_chain);
  writer.u64(m.extents_total);
  writer.id(m.head);
  parts::put_terms(writer, *m.terms);
  return FrameType::start_rebuild;
}
FrameType put(ByteWriter& writer, const BaseRequests& m) {
  CHECK(m.tables != nullptr);
  parts::put_requests(writer, *m.tables);
  return FrameType::base_requests;
}
FrameType put(ByteWriter& writer, const RebuildReady& m) {
  writer.id(m.cut);
  writer.optional(m.start);
  return FrameType::rebuild_ready;
}
FrameType put(ByteWriter& writer, const AskBaseMap& m) {
  writer.id(m.from);
  writer.optional(m.since);
  return FrameType::ask_base_map;
}
FrameType put(ByteWriter& writer, const BaseMap& m) {
  writer.id(m.from);
  writer.id(m.upto);
  writer.u32(m.lines);
  return FrameType::base_map;
}
FrameType put(ByteWriter& writer, const BaseBlocks& m) {
  writer.u64(m.sequence);
  writer.id(m.lba);
  writer.id(m.last_lsn);
  writer.u64(m.present);
  return FrameType::base_blocks;
}
FrameType put(ByteWriter& writer, const BaseAck& m) {
  writer.u64(m.sequence);
  return FrameType::base_ack;
}
FrameType put(ByteWriter& writer, const BaseEnd& m) {
  writer.u64(m.count);
  writer.u64(m.digest);
  writer.u64(m.compared);
  writer.u64(m.map_digest);
  return FrameType::base_end;
}
FrameType put(ByteWriter& writer, const RebuildComplete& m) {
  writer.u64(m.count);
  writer.u64(m.digest);
  writer.id(m.durable);
  writer.u64(m.requests);
  return FrameType::rebuild_complete;
}
FrameType put(ByteWriter& writer, const RebuildAccepted& m) {
  writer.id(m.required);
  return FrameType::rebuild_accepted;
}
FrameType put(ByteWriter& writer, const FetchRecord& m) {
  put_record(writer, m.header);
  writer.boolean(m.to_primary);
  return FrameType::fetch_record;
}
FrameType put(ByteWriter& writer, const RecordPayload& m) {
  put_record(writer, m.header);
  writer.u8(static_cast<std::uint8_t>(m.result));
  writer.boolean(m.to_primary);
  return FrameType::record_payload;
}
FrameType put(ByteWriter& writer, const FetchBlocks& m) {
  writer.u64(m.id);
  writer.id(m.lba);
  writer.id(m.blocks);
  writer.boolean(m.to_primary);
  return FrameType::fetch_blocks;
}
FrameType put(ByteWriter& writer, const BlocksPayload& m) {
  writer.u64(m.id);
  writer.boolean(m.to_primary);
  return FrameType::blocks_payload;
}
FrameType put(ByteWriter&, const MarkerCleared&) { return FrameType::marker_cleared; }

// --- decode, one a type ---

Hello get_hello(ByteReader& reader) {
  Hello m;
  m.incarnation = reader.id<Incarnation>();
  m.process_start = reader.id<ProcessStart>();
  m.sent_at = reader.id<Instant>();
  return m;
}
HelloReply get_hello_reply(ByteReader& reader, DecodeScratch& scratch) {
  HelloReply m;
  m.echo = reader.id<Instant>();
  get_facts(reader, scratch.facts);
  m.facts = &scratch.facts;
  return m;
}
StartStream get_start_stream(ByteReader& reader) {
  StartStream m;
  m.from = reader.id<Lsn>();
  m.chain_before = reader.u64();
  m.head = reader.id<Lsn>();
  reader.require(m.from != Lsn{});
  return m;
}
Append get_append(ByteReader& reader, const Frame& frame, const BufferPool& pool) {
  Append m;
  m.header = get_record(reader);
  m.committed = reader.optional<Lsn>();
  m.stable = reader.optional<Lsn>();
  m.sent_at = reader.id<Instant>();
  m.slot = frame.payload;
  const bool lost = has_payload(m.header) && (m.header.flags & record_flag_lost) != 0;
  const std::uint64_t wanted = lost ? limits::block_bytes : payload_bytes(m.header).value();
  reader.require(frame.header.payload_length == wanted);
  if (reader.failed()) return m;
  if (wanted > 0) {
    const auto crcs = lost ? crcs_of_lost(m.header, pool, frame.payload) : pool.crcs(frame.payload);
    reader.require(digest_crcs(crcs) == m.header.payload_digest);
  } else {
    reader.require(m.header.payload_digest == 0);
  }
  return m;
}
Ack get_ack(ByteReader& reader) {
  Ack m;
  m.written = reader.id<Lsn>();
  m.durable = reader.id<Lsn>();
  m.applied = reader.id<Lsn>();
  m.echo = reader.id<Instant>();
  reader.require(m.applied <= m.durable);
  reader.require(m.durable <= m.written);
  return m;
}
Nack get_nack(ByteReader& reader) {
  Nack m;
  m.reason = reader.enumerator(NackReason::gap, NackReason::broken_contract);
  m.expected = reader.id<Lsn>();
  m.promised = reader.id<Epoch>();
  return m;
}
Barrier get_barrier(ByteReader& reader) {
  Barrier m;
  m.id = reader.u64();
  m.target = reader.id<Lsn>();
  m.sent_at = reader.id<Instant>();
  return m;
}
BarrierDone get_barrier_done(ByteReader& reader) {
  BarrierDone m;
  m.id = reader.u64();
  m.ok = reader.boolean();
  m.durable = reader.id<Lsn>();
  m.echo = reader.id<Instant>();
  return m;
}
Heartbeat get_heartbeat(ByteReader& reader) {
  Heartbeat m;
  m.committed = reader.optional<Lsn>();
  m.stable = reader.optional<Lsn>();
  m.fold_limit = reader.id<Lsn>();
  m.sent_at = reader.id<Instant>();
  return m;
}
HeartbeatReply get_heartbeat_reply(ByteReader& reader) {
  HeartbeatReply m;
  m.written = reader.id<Lsn>();
  m.durable = reader.id<Lsn>();
  m.applied = reader.id<Lsn>();
  m.echo = reader.id<Instant>();
  reader.require(m.applied <= m.durable);
  reader.require(m.durable <= m.written);
  return m;
}
StartRebuild get_start_rebuild(ByteReader& reader, DecodeScratch& scratch) {
  StartRebuild m;
  m.cut = reader.id<Lsn>();
  m.cut_term = reader.id<Term>();
  m.cut_chain = reader.u64();
  m.extents_total = reader.u64();
  m.head = reader.id<Lsn>();
  parts::get_terms(reader, scratch.terms);
  m.terms = &scratch.terms;
  return m;
}
RebuildReady get_rebuild_ready(ByteReader& reader) {
  RebuildReady m;
  m.cut = reader.id<Lsn>();
  m.start = reader.optional<Lsn>();
  return m;
}
AskBaseMap get_ask_base_map(ByteReader& reader) {
  AskBaseMap m;
  m.from = reader.id<Lba>();
  m.since = reader.optional<Lsn>();
  return m;
}
BaseMap get_base_map(ByteReader& reader, const Frame& frame) {
  BaseMap m;
  m.from = reader.id<Lba>();
  m.upto = reader.id<Lba>();
  m.lines = reader.u32();
  m.slot = frame.payload;
  reader.require(m.from < m.upto);
  reader.require(m.upto.value() <= limits::volume_blocks_max);
  reader.require(m.lines <= map_lines_max);
  reader.require(frame.header.payload_length == map_payload_for(m.lines));
  return m;
}
BaseBlocks get_base_blocks(ByteReader& reader, const Frame& frame) {
  BaseBlocks m;
  m.sequence = reader.u64();
  m.lba = reader.id<Lba>();
  m.last_lsn = reader.id<Lsn>();
  m.present = reader.u64();
  m.slot = frame.payload;
  reader.require(frame.header.payload_length ==
                 static_cast<std::uint64_t>(std::popcount(m.present)) * limits::block_bytes);
  reader.require(m.lba.value() < limits::volume_blocks_max);
  return m;
}
BaseEnd get_base_end(ByteReader& reader) {
  BaseEnd m;
  m.count = reader.u64();
  m.digest = reader.u64();
  m.compared = reader.u64();
  m.map_digest = reader.u64();
  return m;
}
RebuildComplete get_rebuild_complete(ByteReader& reader) {
  RebuildComplete m;
  m.count = reader.u64();
  m.digest = reader.u64();
  m.durable = reader.id<Lsn>();
  m.requests = reader.u64();
  return m;
}

FetchRecord get_fetch_record(ByteReader& reader) {
  FetchRecord m;
  m.header = get_record(reader);
  m.to_primary = reader.boolean();
  reader.require(has_payload(m.header));
  return m;
}
// Bytes that do not fit the record's digest are no answer at all.
RecordPayload get_record_payload(ByteReader& reader, const Frame& frame, const BufferPool& pool) {
  RecordPayload m;
  m.header = get_record(reader);
  m.result = reader.enumerator(FetchResult::found, FetchResult::busy);
  m.to_primary = reader.boolean();
  m.slot = frame.payload;
  const bool found = m.result == FetchResult::found;
  reader.require(has_payload(m.header));
  reader.require(frame.header.payload_length == (found ? payload_bytes(m.header).value() : 0));
  if (found && !reader.failed()) {
    reader.require(digest_crcs(pool.crcs(frame.payload)) == m.header.payload_digest);
  }
  return m;
}
BlocksPayload get_blocks_payload(ByteReader& reader, const Frame& frame) {
  BlocksPayload m;
  m.id = reader.u64();
  m.slot = frame.payload;
  m.to_primary = reader.boolean();
  return m;
}
FetchBlocks get_fetch_blocks(ByteReader& reader) {
  FetchBlocks m;
  m.id = reader.u64();
  m.lba = reader.id<Lba>();
  m.blocks = reader.id<BlockCount>();
  m.to_primary = reader.boolean();
  reader.require(m.lba.value() < limits::volume_blocks_max);
  reader.require(m.blocks.value() > 0 && m.blocks.value() <= limits::record_blocks_max);
  return m;
}

// One line a type: the table from type to decode function.
bool get_message(ByteReader& reader, const Frame& frame, const BufferPool& pool,
                 DecodeScratch& scratch, PeerMessage& into) {
  switch (frame.header.type) {
    case FrameType::hello: into = get_hello(reader); return true;
    case FrameType::hello_reply: into = get_hello_reply(reader, scratch); return true;
    case FrameType::append: into = get_append(reader, frame, pool); return true;
    case FrameType::ack: into = get_ack(reader); return true;
    case FrameType::nack: into = get_nack(reader); return true;
    case FrameType::barrier: into = get_barrier(reader); return true;
    case FrameType::barrier_done: into = get_barrier_done(reader); return true;
    case FrameType::heartbeat: into = get_heartbeat(reader); return true;
    case FrameType::heartbeat_reply: into = get_heartbeat_reply(reader); return true;
    case FrameType::start_stream: into = get_start_stream(reader); return true;
    case FrameType::rewind: into = Rewind{reader.id<Lsn>()}; return true;
    case FrameType::rewind_done: into = RewindDone{reader.id<Lsn>()}; return true;
    case FrameType::start_rebuild: into = get_start_rebuild(reader, scratch); return true;
    case FrameType::rebuild_ready: into = get_rebuild_ready(reader); return true;
    case FrameType::ask_base_map: into = get_ask_base_map(reader); return true;
    case FrameType::base_map: into = get_base_map(reader, frame); return true;
    case FrameType::base_blocks: into = get_base_blocks(reader, frame); return true;
    case FrameType::base_ack: into = BaseAck{reader.u64()}; return true;
    case FrameType::base_end: into = get_base_end(reader); return true;
    case FrameType::rebuild_complete: into = get_rebuild_complete(reader); return true;
    case FrameType::rebuild_accepted: into = RebuildAccepted{reader.id<Lsn>()}; return true;
    case FrameType::marker_cleared: into = MarkerCleared{}; return true;
    case FrameType::base_requests:
      parts::get_requests(reader, scratch.requests);
      into = BaseRequests{&scratch.requests};
      return true;
    case FrameType::fetch_record: into = get_fetch_record(reader); return true;
    case FrameType::record_payload: into = get_record_payload(reader, frame, pool); return true;
    case FrameType::fetch_blocks: into = get_fetch_blocks(reader); return true;
    case FrameType::blocks_payload: into = get_blocks_payload(reader, frame); return true;
    default: return false;
  }
}

}  // namespace

Frame encode(const Envelope& envelope, const PeerMessage& message, const BufferPool& pool,
             MetaBuffer& meta) {
  ByteWriter writer(meta);
  const Slot payload = payload_slot(message);
  parts::put_payload_crcs(writer, pool, payload);
  writer.id(envelope.from);
  writer.id(envelope.to);
  writer.id(envelope.endpoint);
  FrameHeader header;
  header.type = std::visit([&](const auto& m) { return put(writer, m); }, message);
  header.volume = envelope.volume;
  header.epoch = envelope.epoch;
  header.session = envelope.session;
  header.payload_length = parts::payload_length(pool, payload);
  return parts::finish(header, writer, payload);
}

Result<PeerFrame> decode_peer(const Frame& frame, const BufferPool& pool,
                              DecodeScratch& scratch) {
  ByteReader reader = parts::reader_of(frame);
  PeerFrame decoded;
  decoded.envelope.volume = frame.header.volume;
  decoded.envelope.epoch = frame.header.epoch;
  decoded.envelope.session = frame.header.session;
  decoded.envelope.from = reader.id<ReplicaId>();
  decoded.envelope.to = reader.id<ReplicaId>();
  decoded.envelope.endpoint = reader.id<EndpointVersion>();
  if (!get_message(reader, frame, pool, scratch, decoded.message)) {
    return make_error(Errc::refused, "not a message between replicas",
                      static_cast<std::uint64_t>(frame.header.type));
  }
  if (!reader.finished()) {
    return make_error(Errc::corrupt, "malformed message",
                      static_cast<std::uint64_t>(frame.header.type));
  }
  return decoded;
}

}  // namespace seawall::runtime
