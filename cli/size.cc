#include "cli/size.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

#include "cli/failure.h"
#include "engine/base/limits.h"

namespace seawall::cli {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array<Unit, 18> kUnits{{
    {"", 1},
    {"B", 1},
    {"KiB", limits::KiB},
    {"MiB", limits::MiB},
    {"GiB", limits::GiB},
    {"TiB", limits::TiB},
    {"k", limits::KiB},
    {"m", limits::MiB},
    {"g", limits::GiB},
    {"t", limits::TiB},
    {"KB", 1000},
    {"MB", 1000 * 1000},
    {"GB", 1000 * 1000 * 1000},
    {"TB", 1000ULL * 1000 * 1000 * 1000},
    {"K", limits::KiB},
    {"M", limits::MiB},
    {"G", limits::GiB},
    {"T", limits::TiB},
}};

[[noreturn]] void refuse(std::string_view option, std::string_view text, std::string_view right) {
  throw Failure(ExitCode::usage, fmt::format("{} is \"{}\": {}", option, text, right));
}

// Splits into digits and the rest; false when there are no digits or they do not fit.
bool split_number(std::string_view text, std::uint64_t& number, std::string_view& rest) {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || stop == begin) return false;
  rest = text.substr(static_cast<std::size_t>(stop - begin));
  return true;
}

}  // namespace

std::uint64_t parse_size(std::string_view option, std::string_view text) {
  constexpr std::string_view kRight =
      "a whole number with a unit is wanted, such as 4KiB, 512MiB, 10GiB or 1TiB";
  std::uint64_t number = 0;
  std::string_view unit;
  if (!split_number(text, number, unit)) refuse(option, text, kRight);
  for (const Unit& known : kUnits) {
    if (known.name != unit) continue;
    if (number > std::numeric_limits<std::uint64_t>::max() / known.factor) {
      refuse(option, text, "that is more than 64 bits can count");
    }
    return number * known.factor;
  }
  refuse(option, text, kRight);
}

std::uint64_t parse_volume_size(std::string_view option, std::string_view text) {
  const std::uint64_t bytes = parse_size(option, text);
  if (bytes == 0) refuse(option, text, "a volume has at least one block, 4KiB");
  if (bytes % limits::block_bytes != 0) {
    const std::uint64_t up = bytes / limits::block_bytes + 1;
    refuse(option, text,
           fmt::format("a volume is a multiple of 4KiB; the next one is {}",
                       exact_size(up * limits::block_bytes)));
  }
  if (bytes > limits::volume_bytes_max) {
    refuse(option, text,
           fmt::format("a volume is at most {}", exact_size(limits::volume_bytes_max)));
  }
  return bytes;
}

std::uint64_t parse_duration_ms(std::string_view option, std::string_view text) {
  constexpr std::string_view kRight = "seconds are wanted, such as 10, 10s, 500ms or 2m";
  constexpr std::uint64_t kMax = 7ULL * 24 * 3600 * 1000;
  std::uint64_t number = 0;
  std::string_view unit;
  if (!split_number(text, number, unit)) refuse(option, text, kRight);
  std::uint64_t factor = 0;
  if (unit.empty() || unit == "s") factor = 1000;
  if (unit == "ms") factor = 1;
  if (unit == "m") factor = 60 * 1000;
  if (factor == 0) refuse(option, text, kRight);
  if (number == 0) refuse(option, text, "it must be more than 0");
  if (number > kMax / factor) refuse(option, text, "it must be at most a week");
  return number * factor;
}

std::string human_size(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kNames{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (unit + 1 < kNames.size() && value >= 1023.5) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes);
  return value < 9.95 ? fmt::format("{:.1f} {}", value, kNames[unit])
                      : fmt::format("{:.0f} {}", value, kNames[unit]);
}

std::string exact_size(std::uint64_t bytes) {
  for (const std::string_view name : {"TiB", "GiB", "MiB", "KiB"}) {
    const std::uint64_t factor = parse_size("unit", fmt::format("1{}", name));
    if (bytes >= factor && bytes % factor == 0) return fmt::format("{}{}", bytes / factor, name);
  }
  return fmt::format("{}", bytes);
}

}  // namespace seawall::cli
