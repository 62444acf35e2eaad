// A record that is lost travels without its payload and with the CRCs of it: the chain covers
// them, so whoever takes it must store them. One block carries them, four bytes each from its
// beginning, zeroes behind them.
//
// Thread: the shard's. Ownership: the slot's holder keeps it. Errors: a slot that is too small
// fails a CHECK; the decoder has looked at its size.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>

#include "engine/base/check.h"
#include "engine/base/limits.h"
#include "engine/base/record.h"
#include "node/runtime/buffer_pool.h"
#include "wal/crc32c.h"

namespace seawall::runtime {

static_assert(limits::record_blocks_max * sizeof(std::uint32_t) <= limits::block_bytes);

inline void put_crcs_of_lost(std::span<const std::uint32_t> crcs, BufferPool& pool, Slot slot) {
  const std::span<std::byte> bytes = pool.bytes(slot);
  CHECK(bytes.size() == limits::block_bytes);
  std::ranges::fill(bytes, std::byte{0});
  std::memcpy(bytes.data(), crcs.data(), crcs.size_bytes());
  pool.crcs(slot)[0] = wal::crc32c_block(bytes.data());  // those of the frame
}

inline std::span<const std::uint32_t> crcs_of_lost(const RecordHeader& header,
                                                   const BufferPool& pool, Slot slot) {
  CHECK(header.blocks.value() <= limits::record_blocks_max);
  CHECK(pool.bytes(slot).size() >= limits::block_bytes);
  const auto* first = reinterpret_cast<const std::uint32_t*>(pool.bytes(slot).data());
  return std::span(first, header.blocks.value());
}

}  // namespace seawall::runtime
