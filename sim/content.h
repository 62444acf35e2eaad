// What the workload writes: blocks that say which operation wrote them and where.
//
// A block is 512 words of 64 bits: stamp, lba, then words that only this (stamp, lba) has; so a
// torn, mixed or misplaced block never passes for a whole one. Stamp 0 is the block of zeroes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace seawall::sim {

using Stamp = std::uint64_t;
inline constexpr Stamp zeroes = 0;

void fill_block(std::span<std::byte> block, Stamp stamp, std::uint64_t lba);

// The stamp of a block read at `lba`; nullopt when no write ever made these bytes there.
std::optional<Stamp> read_stamp(std::span<const std::byte> block, std::uint64_t lba);

}  // namespace seawall::sim
