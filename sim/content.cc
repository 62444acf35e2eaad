#include "sim/content.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/base/chain.h"
#include "engine/base/check.h"
#include "engine/base/limits.h"

namespace seawall::sim {
namespace {

constexpr std::size_t words = limits::block_bytes / sizeof(std::uint64_t);
using Words = std::array<std::uint64_t, words>;

void make(Words& out, Stamp stamp, std::uint64_t lba) {
  out[0] = stamp;
  out[1] = lba;
  const std::uint64_t start = mix64(stamp, lba) | 1;
  for (std::size_t i = 2; i < words; ++i) {  // no word waits for the one before it
    out[i] = (start + i * 0x9e3779b97f4a7c15ull) * 6364136223846793005ull;
  }
}

}  // namespace

void fill_block(std::span<std::byte> block, Stamp stamp, std::uint64_t lba) {
  CHECK(block.size() == limits::block_bytes);
  if (stamp == zeroes) {
    std::memset(block.data(), 0, block.size());
    return;
  }
  Words content;
  make(content, stamp, lba);
  std::memcpy(block.data(), content.data(), block.size());
}

std::optional<Stamp> read_stamp(std::span<const std::byte> block, std::uint64_t lba) {
  CHECK(block.size() == limits::block_bytes);
  Words content;
  std::memcpy(content.data(), block.data(), block.size());
  if (content[0] == zeroes) {
    if (std::all_of(content.begin(), content.end(), [](std::uint64_t w) { return w == 0; }))
      return zeroes;
    return std::nullopt;
  }
  Words wanted;
  make(wanted, content[0], lba);
  if (content != wanted) return std::nullopt;
  return content[0];
}

}  // namespace seawall::sim
