// Parts of meta that several messages share. Only node/runtime/wire_*.cc include this.
#pragma once

#include <cstddef>

#include "engine/base/check.h"
#include "engine/base/facts.h"
#include "engine/base/limits.h"
#include "engine/base/request_table.h"
#include "engine/base/result.h"
#include "node/runtime/buffer_pool.h"
#include "node/runtime/byte_codec.h"
#include "node/runtime/frame.h"

namespace seawall::runtime::parts {

inline std::uint32_t payload_length(const BufferPool& pool, Slot slot) {
  return slot == no_slot ? 0 : static_cast<std::uint32_t>(pool.bytes(slot).size());
}

inline void put_payload_crcs(ByteWriter& writer, const BufferPool& pool, Slot slot) {
  if (slot == no_slot) return;
  for (const std::uint32_t crc : pool.crcs(slot)) writer.u32(crc);
}

// The reader of what follows the payload's CRCs.
inline ByteReader reader_of(const Frame& frame) {
  ByteReader reader(frame.meta);
  reader.skip(frame.header.payload_length / limits::block_bytes * 4);
  reader.require((frame.header.payload_length == 0) == (frame.payload == no_slot));
  return reader;
}

inline Frame finish(FrameHeader header, const ByteWriter& writer, Slot payload) {
  CHECK(writer.size() <= frame_meta_max);
  header.meta_length = static_cast<std::uint16_t>(writer.size());
  return Frame{header, writer.written(), payload};
}

void put_terms(ByteWriter& writer, const TermTable& terms);
void get_terms(ByteReader& reader, TermTable& terms);
void put_requests(ByteWriter& writer, const RequestTables& tables);
void get_requests(ByteReader& reader, RequestTables& tables);

}  // namespace seawall::runtime::parts
