#include "wal/crc32c.h"

#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace seawall::wal {
namespace {

constexpr std::uint32_t polynomial = 0x82f63b78u;  // reflected

constexpr std::array<std::array<std::uint32_t, 256>, 8> make_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
    tables[0][i] = crc;
  }
  for (std::uint32_t i = 0; i < 256; ++i) {
    for (std::size_t t = 1; t < 8; ++t) {
      const std::uint32_t before = tables[t - 1][i];
      tables[t][i] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}
constexpr auto tables = make_tables();

// What a CRC register becomes after `bytes` zero bytes: a linear map, kept as four byte tables.
using Shift = std::array<std::array<std::uint32_t, 256>, 4>;
constexpr Shift make_shift(std::size_t bytes) {
  std::array<std::uint32_t, 32> column{};
  for (unsigned bit = 0; bit < 32; ++bit) {
    std::uint32_t crc = 1u << bit;
    for (std::size_t i = 0; i < bytes; ++i) crc = (crc >> 8) ^ tables[0][crc & 0xff];
    column[bit] = crc;
  }
  Shift shift{};
  for (std::size_t byte = 0; byte < 4; ++byte) {
    for (unsigned value = 0; value < 256; ++value) {
      std::uint32_t sum = 0;
      for (unsigned bit = 0; bit < 8; ++bit) {
        if ((value >> bit & 1) != 0) sum ^= column[byte * 8 + bit];
      }
      shift[byte][value] = sum;
    }
  }
  return shift;
}

std::uint32_t by_table(std::uint32_t crc, const std::byte* data, std::size_t size) {
  for (; size >= 8; size -= 8, data += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, 8);
    word ^= crc;
    crc = 0;
    for (std::size_t i = 0; i < 8; ++i) crc ^= tables[7 - i][word >> (8 * i) & 0xff];
  }
  for (; size > 0; --size, ++data) {
    crc = (crc >> 8) ^ tables[0][(crc ^ std::to_integer<std::uint32_t>(*data)) & 0xff];
  }
  return crc;
}

#if defined(__x86_64__)

constexpr std::size_t lane_bytes = 1360;  // three lanes and a tail of 16 make 4 KiB
static const Shift lane_shift = make_shift(lane_bytes);

std::uint32_t shifted(const Shift& shift, std::uint32_t crc) {
  return shift[0][crc & 0xff] ^ shift[1][crc >> 8 & 0xff] ^ shift[2][crc >> 16 & 0xff] ^
         shift[3][crc >> 24];
}

std::uint64_t load(const std::byte* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, 8);
  return word;
}

// The instruction takes 3 cycles and one may start each cycle: three streams hide its latency.
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::uint32_t crc,
                                                               const std::byte* data,
                                                               std::size_t size) {
  while (size >= 3 * lane_bytes) {
    std::uint64_t a = crc;
    std::uint64_t b = 0;
    std::uint64_t c = 0;
    for (std::size_t i = 0; i < lane_bytes; i += 8) {
      a = _mm_crc32_u64(a, load(data + i));
      b = _mm_crc32_u64(b, load(data + lane_bytes + i));
      c = _mm_crc32_u64(c, load(data + 2 * lane_bytes + i));
    }
    crc = shifted(lane_shift, static_cast<std::uint32_t>(a)) ^ static_cast<std::uint32_t>(b);
    crc = shifted(lane_shift, crc) ^ static_cast<std::uint32_t>(c);
    data += 3 * lane_bytes;
    size -= 3 * lane_bytes;
  }
  std::uint64_t wide = crc;
  for (; size >= 8; size -= 8, data += 8) wide = _mm_crc32_u64(wide, load(data));
  crc = static_cast<std::uint32_t>(wide);
  for (; size > 0; --size, ++data) crc = _mm_crc32_u8(crc, std::to_integer<std::uint8_t>(*data));
  return crc;
}

const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;

#endif

}  // namespace

std::uint32_t crc32c_by_table(std::span<const std::byte> data, std::uint32_t crc) {
  return ~by_table(~crc, data.data(), data.size());
}

std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t crc) {
#if defined(__x86_64__)
  if (has_instruction) return ~by_instruction(~crc, data.data(), data.size());
#endif
  return crc32c_by_table(data, crc);
}

}  // namespace seawall::wal
