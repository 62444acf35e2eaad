// A frame as it comes from a socket: header, meta part, payload of zeroes as long as announced.
#pragma once

#include <cstring>

#include "node/runtime/wire.h"
#include "node/runtime/wire_header.h"
#include "tests/fuzz/target.h"
#include "wal/crc32c.h"

namespace seawall::fuzz {

inline constexpr std::size_t meta_crc_offset = runtime::frame_header_bytes - 8;
inline constexpr std::size_t meta_length_offset = 48;

// Runs the receiver's checks, then `decode` with the frame. True: the frame was admitted.
template <class Decode>
bool receive(Input input, runtime::BufferPool& pool, Decode decode) {
  constexpr std::size_t head = runtime::frame_header_bytes;
  if (input.size() < head) return false;
  const auto header = runtime::decode_header(input.first<head>());
  if (!header) return false;
  CHECK(header->frame.meta_length <= runtime::frame_meta_max);
  CHECK(header->frame.payload_length <= runtime::frame_payload_max);
  if (input.size() - head < header->frame.meta_length) return false;
  const Input meta = input.subspan(head, header->frame.meta_length);
  if (!runtime::check_meta(*header, meta)) return false;
  runtime::Frame frame{header->frame, meta, no_slot};
  runtime::SlotRef payload;
  if (header->frame.payload_length > 0) {
    payload = runtime::SlotRef(pool, pool.take(header->frame.payload_length));
    frame.payload = payload.slot();
    const auto bytes = pool.bytes(frame.payload);
    std::memset(bytes.data(), 0, bytes.size());
    if (!runtime::check_payload(meta, pool, frame.payload)) return false;
  }
  decode(frame);
  CHECK(pool.in_use() <= 1);
  return true;
}

// Length of the meta part, CRCs of the (zero) payload's blocks, both CRCs of the header.
inline void mend_frame(std::span<std::byte> input) {
  constexpr std::size_t head = runtime::frame_header_bytes;
  if (input.size() < head) return;
  const auto meta = input.subspan(head, std::min(input.size() - head, runtime::frame_meta_max));
  static const std::vector<std::byte> zeroes(limits::block_bytes);
  static const std::uint32_t zero_crc = wal::crc32c(zeroes);
  std::uint32_t payload = 0;
  std::memcpy(&payload, input.data() + 52, sizeof payload);
  payload = payload / limits::block_bytes * limits::block_bytes % (16 * limits::block_bytes);
  std::memcpy(input.data() + 52, &payload, sizeof payload);
  const std::size_t blocks = std::min<std::size_t>(payload / limits::block_bytes, meta.size() / 4);
  for (std::size_t i = 0; i < blocks; ++i) std::memcpy(meta.data() + 4 * i, &zero_crc, 4);
  const auto length = static_cast<std::uint16_t>(meta.size());
  std::memcpy(input.data() + meta_length_offset, &length, sizeof length);
  const std::uint32_t meta_crc = wal::crc32c(meta);
  std::memcpy(input.data() + meta_crc_offset, &meta_crc, sizeof meta_crc);
  const std::uint32_t crc = wal::crc32c(input.first(head - 4));
  std::memcpy(input.data() + head - 4, &crc, sizeof crc);
}

// The frame as bytes; the length.
inline std::size_t put_frame(const runtime::Frame& frame, std::span<std::byte> into) {
  constexpr std::size_t head = runtime::frame_header_bytes;
  runtime::encode_header(frame.header, frame.meta, into.first<head>());
  if (!frame.meta.empty()) std::memcpy(into.data() + head, frame.meta.data(), frame.meta.size());
  mend_frame(into.first(head + frame.meta.size()));
  return head + frame.meta.size();
}

}  // namespace seawall::fuzz
