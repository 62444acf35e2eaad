// Lines of a map as bytes: the payload of a BaseMap frame.
//
// Layout: for each line 24 bytes, little endian: lba, last lsn, digest; zero behind the last one,
// to whole blocks. Thread: any. Ownership: none. Errors: lines that do not rise, or lie outside
// their range, are refused.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/base_map.h"

namespace seawall::runtime {

inline constexpr std::size_t map_line_bytes = 24;
inline constexpr std::size_t map_payload_bytes = 16 * 1024;
inline constexpr std::size_t map_lines_max = map_payload_bytes / map_line_bytes;

// Bytes of a payload that holds so many lines: whole blocks.
std::size_t map_payload_for(std::size_t lines);
void put_map_lines(std::span<const MapLine> lines, std::span<std::byte> into);
// nullopt: malformed.
std::optional<std::vector<MapLine>> get_map_lines(std::span<const std::byte> from,
                                                  std::size_t lines, Lba first, Lba upto);

}  // namespace seawall::runtime
