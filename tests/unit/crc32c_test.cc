#include <array>
#include <cstring>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/prng.h"
#include "wal/crc32c.h"

namespace seawall::wal {
namespace {

std::uint32_t of(const char* text) { return crc32c(std::as_bytes(std::span(text, strlen(text)))); }

// The vectors of RFC 3720, appendix B.4, and the usual check value.
TEST(Crc32c, MatchesThePublishedVectors) {
  std::vector<std::byte> bytes(32);
  EXPECT_EQ(crc32c(bytes), 0x8a9136aau);
  for (auto& byte : bytes) byte = std::byte{0xff};
  EXPECT_EQ(crc32c(bytes), 0x62a8ab43u);
  for (std::size_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::byte>(i);
  EXPECT_EQ(crc32c(bytes), 0x46dd794eu);
  EXPECT_EQ(of("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c({}), 0u);
}

TEST(Crc32c, InstructionAndTableAgreeAtEveryLengthAndSplit) {
  Prng prng(7);
  std::vector<std::byte> bytes(300);
  for (auto& byte : bytes) byte = static_cast<std::byte>(prng.next());
  const std::span<const std::byte> all(bytes);
  for (std::size_t length = 0; length <= bytes.size(); ++length) {
    const auto part = all.first(length);
    const std::uint32_t crc = crc32c(part);
    ASSERT_EQ(crc, crc32c_by_table(part));
    const std::size_t split = prng.below(length + 1);
    ASSERT_EQ(crc32c(part.subspan(split), crc32c(part.first(split))), crc);
    ASSERT_EQ(crc32c_by_table(part.subspan(split), crc32c_by_table(part.first(split))), crc);
  }
}

}  // namespace
}  // namespace seawall::wal
