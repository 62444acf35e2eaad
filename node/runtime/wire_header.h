// The 64 bytes before every frame, and what a frame layer checks before anybody sees the frame.
//
// Layout, little endian. Magic, version and header CRC keep their places in every version:
//    0 u32 magic     4 u16 version    6 u8 type       7 u8 flags
//    8 u128 volume (high word first)  24 u64 epoch    32 u64 session   40 u64 sequence
//   48 u16 meta length   50 u16 zero  52 u32 payload length
//   56 u32 CRC32C of the meta bytes   60 u32 CRC32C of bytes 0..59
// A payload is whole blocks of 4 KiB, and its proof is in the meta part, which then begins with the
// CRC32C of each payload block, in order. They are the CRCs that go on into the log and the map, so
// a payload is summed once a receiver and never again.
//
// A receiver calls, in this order: decode_header (CRC, magic, version, type, caps), the link's
// state x type table (admits), check_meta, only then it takes a pool slot of payload_length, and at
// last check_payload, which also fills the slot's CRCs. Any error ends the link, never the process.
// Thread: any. Ownership: nothing is kept. Errors: unknown_version (a: the number), too_large
// (a: the length), refused (a: the type), corrupt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/result.h"
#include "node/runtime/buffer_pool.h"
#include "node/runtime/frame.h"

namespace seawall::runtime {

struct WireHeader {
  FrameHeader frame;
  std::uint32_t meta_crc = 0;
};

// frame.meta_length must be meta.size().
void encode_header(const FrameHeader& frame, std::span<const std::byte> meta,
                   std::span<std::byte, frame_header_bytes> into);

Result<WireHeader> decode_header(std::span<const std::byte, frame_header_bytes> from);

Status check_meta(const WireHeader& header, std::span<const std::byte> meta);

// Compares each block with the CRC in the meta part and leaves the CRCs with the slot.
Status check_payload(std::span<const std::byte> meta, const BufferPool& pool, Slot payload);

// What a link is for, from the view of the side that receives.
enum class LinkState : std::uint8_t {
  fresh = 0,      // accepted, no frame yet
  from_primary,   // this side is the replica
  from_replica,   // this side is the primary
  from_client,    // this side is the primary, the other one a front end
  from_server,    // this side is the front end
};

// The state x type table.
bool admits(LinkState state, FrameType type);

// True for types that may carry a payload.
bool may_carry_payload(FrameType type);

}  // namespace seawall::runtime
