// Sizes, durations and counts as people write them, read strictly.
//
//   1GiB 512MiB 64KiB 2TiB   powers of 1024      4k 1m 2g   the same, for --bs as fio spells it
//   1GB 10MB 4KB             powers of 1000      4096       bytes
//
// No sign, fraction, space or unknown unit; no overflow. Errors: Failure(usage) that names the
// option, the text and what would be right. Thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace seawall::cli {

std::uint64_t parse_size(std::string_view option, std::string_view text);

// A size of a volume: whole blocks, between one block and the greatest volume.
std::uint64_t parse_volume_size(std::string_view option, std::string_view text);

// "10" and "10s" are seconds; also ms and m. The result is in milliseconds, never 0.
std::uint64_t parse_duration_ms(std::string_view option, std::string_view text);

// 1.0 GiB, 512 MiB, 4.0 KiB, 17 B: at most four characters before the unit.
std::string human_size(std::uint64_t bytes);

// An exact spelling that parse_size reads back: 1GiB, 1536MiB, 4097.
std::string exact_size(std::uint64_t bytes);

}  // namespace seawall::cli
