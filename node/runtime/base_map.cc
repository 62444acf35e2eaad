#include "node/runtime/base_map.h"

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/limits.h"

namespace seawall::runtime {
namespace {

void put_u64(std::byte* at, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) at[i] = static_cast<std::byte>(value >> (8 * i) & 0xff);
}

std::uint64_t get_u64(const std::byte* at) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value |= std::to_integer<std::uint64_t>(at[i]) << (8 * i);
  return value;
}

}  // namespace

std::size_t map_payload_for(std::size_t lines) {
  const std::size_t bytes = lines * map_line_bytes;
  return (bytes + limits::block_bytes - 1) / limits::block_bytes * limits::block_bytes;
}

void put_map_lines(std::span<const MapLine> lines, std::span<std::byte> into) {
  CHECK(into.size() >= map_payload_for(lines.size()));
  std::fill(into.begin(), into.end(), std::byte{0});
  std::byte* at = into.data();
  for (const MapLine& line : lines) {
    put_u64(at, line.lba.value());
    put_u64(at + 8, line.last_lsn.value());
    put_u64(at + 16, line.digest);
    at += map_line_bytes;
  }
}

std::optional<std::vector<MapLine>> get_map_lines(std::span<const std::byte> from,
                                                  std::size_t lines, Lba first, Lba upto) {
  if (lines > map_lines_max || lines * map_line_bytes > from.size()) return std::nullopt;
  std::vector<MapLine> out;
  out.reserve(lines);
  Lba least = first;
  for (std::size_t i = 0; i < lines; ++i) {
    const std::byte* at = from.data() + i * map_line_bytes;
    const MapLine line{Lba{get_u64(at)}, Lsn{get_u64(at + 8)}, get_u64(at + 16)};
    if (line.lba < least || line.lba >= upto) return std::nullopt;
    least = line.lba + BlockCount{1};
    out.push_back(line);
  }
  return out;
}

}  // namespace seawall::runtime
