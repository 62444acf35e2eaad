#include "node/runtime/wire_header.h"

#include "engine/base/check.h"
#include "engine/base/limits.h"
#include "engine/base/mutant.h"
#include "node/runtime/byte_codec.h"
#include "wal/crc32c.h"

namespace seawall::runtime {
namespace {

constexpr std::size_t crc_offset = frame_header_bytes - 4;
constexpr std::uint16_t small_meta_max = 2048;  // the CRCs of 1 MiB are half of it
static_assert(frame_payload_max / limits::block_bytes * 4 <= small_meta_max / 2);
static_assert(frame_header_bytes == limits::frame_header_bytes);
static_assert(frame_payload_max == limits::frame_payload_bytes_max);

struct TypeRule {
  bool known = false;
  bool payload = false;
  std::uint16_t meta_max = 0;
};

constexpr TypeRule rule_of(FrameType type) {
  switch (type) {
    case FrameType::hello_reply:
    case FrameType::base_requests:
    case FrameType::start_rebuild: return {true, false, frame_meta_max};  // a table
    case FrameType::append:
    case FrameType::base_blocks:
    case FrameType::base_map:
    case FrameType::record_payload:
    case FrameType::blocks_payload:
    case FrameType::client_write:
    case FrameType::client_done: return {true, true, small_meta_max};
    case FrameType::hello:
    case FrameType::ack:
    case FrameType::nack:
    case FrameType::barrier:
    case FrameType::barrier_done:
    case FrameType::heartbeat:
    case FrameType::heartbeat_reply:
    case FrameType::start_stream:
    case FrameType::rewind:
    case FrameType::rewind_done:
    case FrameType::rebuild_ready:
    case FrameType::ask_base_map:
    case FrameType::base_ack:
    case FrameType::base_end:
    case FrameType::rebuild_complete:
    case FrameType::rebuild_accepted:
    case FrameType::marker_cleared:
    case FrameType::fetch_record:
    case FrameType::fetch_blocks:
    case FrameType::client_attach:
    case FrameType::client_attach_reply:
    case FrameType::client_read:
    case FrameType::client_flush:
    case FrameType::client_discard:
    case FrameType::client_zero:
    case FrameType::who_is_primary:
    case FrameType::primary_is: return {true, false, small_meta_max};
  }
  return {};
}

Status check_caps(const FrameHeader& frame) {
  const TypeRule rule = rule_of(frame.type);
  if (!rule.known) {
    return make_error(Errc::refused, "unknown frame type",
                      static_cast<std::uint64_t>(frame.type));
  }
  if (frame.meta_length > rule.meta_max) {
    return make_error(Errc::too_large, "meta part too long", frame.meta_length, rule.meta_max);
  }
  if (frame.payload_length > (rule.payload ? frame_payload_max : 0)) {
    return make_error(Errc::too_large, "payload too long", frame.payload_length);
  }
  if (frame.payload_length % limits::block_bytes != 0) {
    return make_error(Errc::corrupt, "payload is not whole blocks", frame.payload_length);
  }
  if (frame.payload_length / limits::block_bytes * 4 > frame.meta_length) {
    return make_error(Errc::corrupt, "payload without the CRCs of its blocks",
                      frame.payload_length);
  }
  return ok();
}

}  // namespace

void encode_header(const FrameHeader& frame, std::span<const std::byte> meta,
                   std::span<std::byte, frame_header_bytes> into) {
  CHECK(frame.meta_length == meta.size());
  CHECK(check_caps(frame).has_value());
  ByteWriter writer(into);
  writer.u32(frame_magic);
  writer.u16(frame_version);
  writer.u8(static_cast<std::uint8_t>(frame.type));
  writer.u8(frame.flags);
  writer.id(frame.volume);
  writer.id(frame.epoch);
  writer.u64(frame.session);
  writer.u64(frame.sequence);
  writer.u16(frame.meta_length);
  writer.u16(0);
  writer.u32(frame.payload_length);
  writer.u32(wal::crc32c(meta));
  CHECK(writer.size() == crc_offset);
  writer.u32(wal::crc32c(writer.written()));
}

Result<WireHeader> decode_header(std::span<const std::byte, frame_header_bytes> from) {
  ByteReader reader(from);
  WireHeader header;
  const std::uint32_t magic = reader.u32();
  const std::uint16_t version = reader.u16();
  header.frame.type = static_cast<FrameType>(reader.u8());
  header.frame.flags = reader.u8();
  header.frame.volume = reader.id<VolumeId>();
  header.frame.epoch = reader.id<Epoch>();
  header.frame.session = reader.u64();
  header.frame.sequence = reader.u64();
  header.frame.meta_length = reader.u16();
  const std::uint16_t zero = reader.u16();
  header.frame.payload_length = reader.u32();
  header.meta_crc = reader.u32();
  const std::uint32_t crc = reader.u32();
  CHECK(reader.finished());

  if (crc != wal::crc32c(from.first(crc_offset))) {
    return make_error(Errc::corrupt, "header CRC does not fit", crc);
  }
  if (magic != frame_magic) return make_error(Errc::corrupt, "not a Seawall frame", magic);
  if (version != frame_version && !MUTANT(M78)) {
    return make_error(Errc::unknown_version, "unknown version of the data protocol", version,
                      frame_version);
  }
  if (zero != 0) return make_error(Errc::corrupt, "reserved field is not zero", zero);
  TRY(check_caps(header.frame));
  return header;
}

Status check_meta(const WireHeader& header, std::span<const std::byte> meta) {
  CHECK(meta.size() == header.frame.meta_length);
  const std::uint32_t crc = wal::crc32c(meta);
  if (crc != header.meta_crc) return make_error(Errc::corrupt, "meta CRC does not fit", crc);
  return ok();
}

Status check_payload(std::span<const std::byte> meta, const BufferPool& pool, Slot payload) {
  const std::span<const std::byte> bytes = pool.bytes(payload);
  const std::span<std::uint32_t> crcs = pool.crcs(payload);
  CHECK(bytes.size() % limits::block_bytes == 0);
  CHECK(crcs.size() * 4 <= meta.size());
  ByteReader reader(meta);
  for (std::size_t i = 0; i < crcs.size(); ++i) {
    const std::uint32_t wanted = reader.u32();
    const auto block = bytes.subspan(i * limits::block_bytes, limits::block_bytes);
    if (wal::crc32c(block) != wanted) {
      return make_error(Errc::corrupt, "payload CRC does not fit", i, wanted);
    }
    crcs[i] = wanted;
  }
  return ok();
}

bool may_carry_payload(FrameType type) { return rule_of(type).payload; }

bool admits(LinkState state, FrameType type) {
  switch (type) {
    case FrameType::hello:
    case FrameType::who_is_primary:
    case FrameType::client_attach: {
      if (state == LinkState::fresh) return true;
      // A new handshake on the same link, and a front end that asks again.
      return type == FrameType::hello ? state == LinkState::from_primary
                                      : state == LinkState::from_client;
    }
    case FrameType::append:
    case FrameType::barrier:
    case FrameType::heartbeat:
    case FrameType::start_stream:
    case FrameType::rewind:
    case FrameType::base_requests:
    case FrameType::start_rebuild:
    case FrameType::ask_base_map:
    case FrameType::base_blocks:
    case FrameType::base_end:
    case FrameType::rebuild_accepted: return state == LinkState::from_primary;
    case FrameType::hello_reply:
    case FrameType::ack:
    case FrameType::barrier_done:
    case FrameType::heartbeat_reply:
    case FrameType::rewind_done:
    case FrameType::rebuild_ready:
    case FrameType::base_map:
    case FrameType::base_ack:
    case FrameType::rebuild_complete:
    case FrameType::marker_cleared: return state == LinkState::from_replica;
    case FrameType::nack: return state == LinkState::from_replica;
    case FrameType::fetch_record:
    case FrameType::fetch_blocks:
    case FrameType::blocks_payload:
    case FrameType::record_payload:  // either way of a session
      return state == LinkState::from_primary || state == LinkState::from_replica;
    case FrameType::client_read:
    case FrameType::client_write:
    case FrameType::client_flush:
    case FrameType::client_discard:
    case FrameType::client_zero: return state == LinkState::from_client;
    case FrameType::client_attach_reply:
    case FrameType::client_done:
    case FrameType::primary_is: return state == LinkState::from_server;
  }
  return false;
}

}  // namespace seawall::runtime
