// A frame of the data protocol in memory: fixed header, small meta part, optional payload in a
// slot.
//
// On the wire: 64-byte header, then `meta_length` bytes, then `payload_length` bytes.
// node/runtime/wire_header.h says what a receiver checks; node/runtime/wire encodes messages into
// meta; node/io and the simulator's network move frames.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/ids.h"

namespace seawall::runtime {

inline constexpr std::uint32_t frame_magic = 0x4c574153;  // "SAWL"
inline constexpr std::uint16_t frame_version = 1;
inline constexpr std::size_t frame_header_bytes = 64;
inline constexpr std::size_t frame_meta_max = 8 * 1024;
inline constexpr std::size_t frame_payload_max = 1024 * 1024;

// Values are on the wire: never renumber.
enum class FrameType : std::uint8_t {
  hello = 1, hello_reply = 2, append = 3, ack = 4, nack = 5, barrier = 7, barrier_done = 8,
  heartbeat = 9, heartbeat_reply = 10, start_stream = 13, rewind = 14, rewind_done = 15,
  start_rebuild = 16, rebuild_ready = 17, base_blocks = 18, base_ack = 19, base_end = 20,
  rebuild_complete = 21, rebuild_accepted = 22, marker_cleared = 23,
  base_requests = 24, ask_base_map = 25, base_map = 26,
  client_attach = 32, client_attach_reply = 33, client_read = 34, client_write = 35,
  client_flush = 36, client_discard = 37, client_zero = 38, client_done = 39,
  who_is_primary = 40, primary_is = 41,
  fetch_record = 42, record_payload = 43, fetch_blocks = 44, blocks_payload = 45,
};

struct FrameHeader {
  FrameType type = FrameType::hello;
  std::uint8_t flags = 0;
  VolumeId volume;                 // whole on the first frame of a link; the receiver binds it
  Epoch epoch;
  std::uint64_t session = 0;       // session counter, or connection number of a client
  std::uint64_t sequence = 0;      // rises by one a frame on a link, or request number
  std::uint16_t meta_length = 0;
  std::uint32_t payload_length = 0;
};

struct Frame {
  FrameHeader header;
  std::span<const std::byte> meta;  // valid during the call
  Slot payload = no_slot;           // payload_length bytes in the pool
};

}  // namespace seawall::runtime
