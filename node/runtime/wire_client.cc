#include "engine/base/chain.h"
#include "node/runtime/wire.h"
#include "node/runtime/wire_parts.h"

namespace seawall::runtime {
namespace {

constexpr std::uint8_t flag_fua = 1;

Error malformed(const Frame& frame) {
  return make_error(Errc::corrupt, "malformed message",
                    static_cast<std::uint64_t>(frame.header.type));
}

FrameType type_of(ClientOp op) {
  switch (op) {
    case ClientOp::read: return FrameType::client_read;
    case ClientOp::write: return FrameType::client_write;
    case ClientOp::flush: return FrameType::client_flush;
    case ClientOp::discard: return FrameType::client_discard;
    case ClientOp::write_zeroes: return FrameType::client_zero;
  }
  UNREACHABLE("no such operation");
}

std::optional<ClientOp> op_of(FrameType type) {
  switch (type) {
    case FrameType::client_read: return ClientOp::read;
    case FrameType::client_write: return ClientOp::write;
    case FrameType::client_flush: return ClientOp::flush;
    case FrameType::client_discard: return ClientOp::discard;
    case FrameType::client_zero: return ClientOp::write_zeroes;
    default: return std::nullopt;
  }
}

std::uint64_t blocks_max(ClientOp op) {
  switch (op) {
    case ClientOp::read:
    case ClientOp::write: return limits::record_blocks_max;
    case ClientOp::flush: return 0;
    case ClientOp::discard:
    case ClientOp::write_zeroes: return limits::discard_bytes_max / limits::block_bytes;
  }
  return 0;
}

void put_position(ByteWriter& writer, const std::optional<Position>& position) {
  const Position value = position.value_or(Position{});
  writer.boolean(position.has_value());
  writer.id(value.term);
  writer.id(value.lsn);
}

std::optional<Position> get_position(ByteReader& reader) {
  const bool present = reader.boolean();
  Position value;
  value.term = reader.id<Term>();
  value.lsn = reader.id<Lsn>();
  reader.require(present || value == Position{});
  if (!present) return std::nullopt;
  return value;
}

}  // namespace

Frame encode(const ClientAttach& attach, MetaBuffer& meta) {
  ByteWriter writer(meta);
  writer.id(attach.incarnation);
  writer.id(attach.attachment);
  put_position(writer, attach.seen);
  FrameHeader header;
  header.type = FrameType::client_attach;
  header.volume = attach.volume;
  header.epoch = attach.proved_by;
  header.session = attach.connection.value();
  return parts::finish(header, writer, no_slot);
}

Result<ClientAttach> decode_client_attach(const Frame& frame) {
  CHECK(frame.header.type == FrameType::client_attach);
  ByteReader reader = parts::reader_of(frame);
  ClientAttach attach;
  attach.volume = frame.header.volume;
  attach.proved_by = frame.header.epoch;
  attach.connection = ConnectionNumber{frame.header.session};
  attach.incarnation = reader.id<Incarnation>();
  attach.attachment = reader.id<AttachmentId>();
  attach.seen = get_position(reader);
  if (!reader.finished()) return malformed(frame);
  return attach;
}

Frame encode(VolumeId volume, const ClientAttachReply& reply, ConnectionNumber connection,
             MetaBuffer& meta) {
  ByteWriter writer(meta);
  writer.u8(static_cast<std::uint8_t>(reply.status));
  writer.id(reply.known_epoch);
  writer.id(reply.known_primary);
  writer.id(reply.size);
  FrameHeader header;
  header.type = FrameType::client_attach_reply;
  header.volume = volume;
  header.epoch = reply.epoch;
  header.session = connection.value();
  return parts::finish(header, writer, no_slot);
}

Result<ClientAttachReply> decode_client_attach_reply(const Frame& frame) {
  CHECK(frame.header.type == FrameType::client_attach_reply);
  ByteReader reader = parts::reader_of(frame);
  ClientAttachReply reply;
  reply.epoch = frame.header.epoch;
  reply.status = reader.enumerator(ClientStatus::ok, ClientStatus::busy);
  reply.known_epoch = reader.id<Epoch>();
  reply.known_primary = reader.id<ReplicaId>();
  reply.size = reader.id<BlockCount>();
  if (!reader.finished()) return malformed(frame);
  return reply;
}

Frame encode(VolumeId volume, const ClientRequest& request, const BufferPool& pool,
             MetaBuffer& meta) {
  const Slot payload = request.op == ClientOp::write ? request.slot : no_slot;
  ByteWriter writer(meta);
  parts::put_payload_crcs(writer, pool, payload);
  writer.id(request.attachment);
  writer.id(request.low_mark);
  writer.id(request.lba);
  writer.id(request.blocks);
  FrameHeader header;
  header.type = type_of(request.op);
  header.flags = request.fua ? flag_fua : std::uint8_t{0};
  header.volume = volume;
  header.session = request.connection.value();
  header.sequence = request.request.value();
  header.payload_length = parts::payload_length(pool, payload);
  return parts::finish(header, writer, payload);
}

Result<ClientRequest> decode_client_request(const Frame& frame, const BufferPool& pool) {
  const std::optional<ClientOp> op = op_of(frame.header.type);
  if (!op.has_value()) {
    return make_error(Errc::refused, "not a client request",
                      static_cast<std::uint64_t>(frame.header.type));
  }
  ByteReader reader = parts::reader_of(frame);
  ClientRequest request;
  request.op = *op;
  request.fua = (frame.header.flags & flag_fua) != 0;
  request.connection = ConnectionNumber{frame.header.session};
  request.request = RequestNumber{frame.header.sequence};
  request.attachment = reader.id<AttachmentId>();
  request.low_mark = reader.id<RequestNumber>();
  request.lba = reader.id<Lba>();
  request.blocks = reader.id<BlockCount>();
  if (!reader.finished() || (frame.header.flags & ~flag_fua) != 0) return malformed(frame);
  if (request.low_mark > request.request) return malformed(frame);
  const std::uint64_t blocks = request.blocks.value();
  if (blocks > blocks_max(*op)) {
    return make_error(Errc::too_large, "request too large", blocks, blocks_max(*op));
  }
  if ((blocks == 0) != (*op == ClientOp::flush)) return malformed(frame);
  if (request.lba.value() > limits::volume_blocks_max) {
    return malformed(frame);
  }
  const std::uint64_t payload = *op == ClientOp::write ? blocks * limits::block_bytes : 0;
  if (frame.header.payload_length != payload) return malformed(frame);
  if (payload > 0) {
    request.slot = frame.payload;
    request.payload_digest = digest_crcs(pool.crcs(frame.payload));
  }
  return request;
}

Frame encode(VolumeId volume, const ClientDone& done, const BufferPool& pool, MetaBuffer& meta) {
  ByteWriter writer(meta);
  parts::put_payload_crcs(writer, pool, done.slot);
  writer.id(done.attachment);
  writer.u8(static_cast<std::uint8_t>(done.status));
  writer.id(done.seen.term);
  writer.id(done.seen.lsn);
  FrameHeader header;
  header.type = FrameType::client_done;
  header.volume = volume;
  header.epoch = done.epoch;
  header.session = done.connection.value();
  header.sequence = done.request.value();
  header.payload_length = parts::payload_length(pool, done.slot);
  return parts::finish(header, writer, done.slot);
}

Result<ClientDone> decode_client_done(const Frame& frame) {
  CHECK(frame.header.type == FrameType::client_done);
  ByteReader reader = parts::reader_of(frame);
  ClientDone done;
  done.epoch = frame.header.epoch;
  done.connection = ConnectionNumber{frame.header.session};
  done.request = RequestNumber{frame.header.sequence};
  done.attachment = reader.id<AttachmentId>();
  done.status = reader.enumerator(ClientStatus::ok, ClientStatus::busy);
  done.seen.term = reader.id<Term>();
  done.seen.lsn = reader.id<Lsn>();
  done.slot = frame.payload;
  if (!reader.finished()) return malformed(frame);
  return done;
}

Frame encode(const WhoIsPrimary& question, MetaBuffer& meta) {
  ByteWriter writer(meta);
  writer.id(question.incarnation);
  FrameHeader header;
  header.type = FrameType::who_is_primary;
  header.volume = question.volume;
  return parts::finish(header, writer, no_slot);
}

Result<WhoIsPrimary> decode_who_is_primary(const Frame& frame) {
  CHECK(frame.header.type == FrameType::who_is_primary);
  ByteReader reader = parts::reader_of(frame);
  WhoIsPrimary question;
  question.volume = frame.header.volume;
  question.incarnation = reader.id<Incarnation>();
  if (!reader.finished()) return malformed(frame);
  return question;
}

Frame encode(const PrimaryIs& answer, MetaBuffer& meta) {
  ByteWriter writer(meta);
  writer.optional(answer.primary);
  writer.boolean(answer.serving_here);
  FrameHeader header;
  header.type = FrameType::primary_is;
  header.volume = answer.volume;
  header.epoch = answer.epoch;
  return parts::finish(header, writer, no_slot);
}

Result<PrimaryIs> decode_primary_is(const Frame& frame) {
  CHECK(frame.header.type == FrameType::primary_is);
  ByteReader reader = parts::reader_of(frame);
  PrimaryIs answer;
  answer.volume = frame.header.volume;
  answer.epoch = frame.header.epoch;
  answer.primary = reader.optional<ReplicaId>();
  answer.serving_here = reader.boolean();
  if (!reader.finished()) return malformed(frame);
  return answer;
}

}  // namespace seawall::runtime
