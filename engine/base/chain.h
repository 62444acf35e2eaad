// The chain: a 64-bit running hash over every record of a log. Equal chain at an lsn = equal
// history. It depends on nothing local (not on batches, segments or nodes), so engine, wal and the
// tests compute it with this one function. Not cryptographic: it tells accidents and divergent
// histories apart, it does not stop a forger.
#pragma once

#include <cstdint>
#include <span>

#include "engine/base/record.h"

namespace seawall {

inline constexpr std::uint64_t chain_of_empty_log = 0x5ea3a11c0de00001ull;

constexpr std::uint64_t mix64(std::uint64_t hash, std::uint64_t word) {
  hash ^= word * 0x9e3779b97f4a7c15ull;
  hash ^= hash >> 32;
  hash *= 0xd6e8feb86659fd93ull;
  hash ^= hash >> 29;
  hash *= 0xa0761d6478bd642full;
  return hash ^ (hash >> 32);
}

// Digest of the CRC32Cs of a record's blocks, in order. Never 0, which means "no payload".
constexpr std::uint64_t digest_crcs(std::span<const std::uint32_t> crcs) {
  std::uint64_t hash = mix64(0x517cc1b727220a95ull, crcs.size());
  for (const std::uint32_t crc : crcs) hash = mix64(hash, crc);
  return hash == 0 ? 1 : hash;
}

// The chain after `record`, given the chain before it. Ignores record.flags and record.chain.
constexpr std::uint64_t chain_next(std::uint64_t before, const RecordHeader& record) {
  std::uint64_t hash = mix64(before, record.lsn.value());
  hash = mix64(hash, record.term.value());
  hash = mix64(hash, static_cast<std::uint64_t>(record.kind));
  hash = mix64(hash, record.attachment.value());
  hash = mix64(hash, record.request.value());
  hash = mix64(hash, record.low_mark.value());
  hash = mix64(hash, record.lba.value());
  hash = mix64(hash, record.blocks.value());
  hash = mix64(hash, record.argument);
  return mix64(hash, record.payload_digest);
}

}  // namespace seawall
