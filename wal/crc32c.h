// CRC32C (Castagnoli), the checksum of every block, header and frame.
//
// Purpose: computed once where a block enters the system; compared everywhere else. Thread: any.
// crc32c(b, crc32c(a)) is the CRC of a followed by b; that of nothing is 0. The processor's
// instruction is used where there is one, else a table; both give the same numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace seawall::wal {

[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0);

// The twin without special instructions, for tests and other processors.
[[nodiscard]] std::uint32_t crc32c_by_table(std::span<const std::byte> bytes,
                                            std::uint32_t before = 0);

// Of one 4 KiB block.
[[nodiscard]] inline std::uint32_t crc32c_block(const std::byte* block) {
  return crc32c({block, 4096});
}

// Each block has its CRC; there are at least as many blocks.
[[nodiscard]] inline bool blocks_fit(std::span<const std::byte> blocks,
                                     std::span<const std::uint32_t> crcs) {
  for (std::size_t i = 0; i < crcs.size(); ++i) {
    if (crc32c_block(blocks.data() + i * 4096) != crcs[i]) return false;
  }
  return true;
}

inline constexpr std::uint32_t crc32c_zero_block = 0x98f94189u;  // of a block of zeroes

}  // namespace seawall::wal
