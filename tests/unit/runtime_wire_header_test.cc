#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/prng.h"
#include "node/runtime/byte_codec.h"
#include "node/runtime/wire_header.h"
#include "wal/crc32c.h"

namespace seawall::runtime {
namespace {

using HeaderBytes = std::array<std::byte, frame_header_bytes>;

FrameHeader append_header() {
  FrameHeader header;
  header.type = FrameType::append;
  header.flags = 3;
  header.volume = {0x0123456789abcdefull, 0xfedcba9876543210ull};
  header.epoch = Epoch{7};
  header.session = 9;
  header.sequence = 11;
  header.payload_length = 8192;
  return header;
}

HeaderBytes encode(FrameHeader header, std::span<const std::byte> meta) {
  HeaderBytes bytes{};
  header.meta_length = static_cast<std::uint16_t>(meta.size());
  encode_header(header, meta, bytes);
  return bytes;
}

// Puts a fresh CRC under changed bytes, as somebody would who speaks another dialect.
void sign(HeaderBytes& bytes) {
  const auto all = std::span<std::byte>(bytes);
  ByteWriter writer(all.subspan(60));
  writer.u32(wal::crc32c(all.first(60)));
}

TEST(WireHeader, ComesBackAsItWasSent) {
  const std::vector<std::byte> meta(100, std::byte{5});
  const HeaderBytes bytes = encode(append_header(), meta);
  const auto decoded = decode_header(bytes);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->frame.type, FrameType::append);
  EXPECT_EQ(decoded->frame.flags, 3);
  EXPECT_EQ(decoded->frame.volume, append_header().volume);
  EXPECT_EQ(decoded->frame.epoch, Epoch{7});
  EXPECT_EQ(decoded->frame.session, 9u);
  EXPECT_EQ(decoded->frame.sequence, 11u);
  EXPECT_EQ(decoded->frame.meta_length, 100u);
  EXPECT_EQ(decoded->frame.payload_length, 8192u);
  EXPECT_TRUE(check_meta(*decoded, meta).has_value());
}

// Pins the layout: a change needs a new version.
TEST(WireHeader, HasTheBytesOfVersionOne) {
  const std::vector<std::byte> meta(8, std::byte{1});
  const HeaderBytes bytes = encode(append_header(), meta);
  const auto at = [&](std::size_t i) { return std::to_integer<unsigned>(bytes[i]); };
  EXPECT_EQ(at(0), 'S');
  EXPECT_EQ(at(1), 'A');
  EXPECT_EQ(at(2), 'W');
  EXPECT_EQ(at(3), 'L');
  EXPECT_EQ(at(4), 1u);
  EXPECT_EQ(at(6), 3u);
  EXPECT_EQ(at(8), 0xefu);
  EXPECT_EQ(at(16), 0x10u);
  EXPECT_EQ(at(24), 7u);
  EXPECT_EQ(at(32), 9u);
  EXPECT_EQ(at(40), 11u);
  EXPECT_EQ(at(48), 8u);
  EXPECT_EQ(at(53), 0x20u);
}

TEST(WireHeader, EveryFlippedBitIsNoticed) {
  const HeaderBytes good = encode(append_header(), std::vector<std::byte>(64));
  for (std::size_t byte = 0; byte < good.size(); ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      HeaderBytes bad = good;
      bad[byte] ^= static_cast<std::byte>(1 << bit);
      const auto decoded = decode_header(bad);
      ASSERT_FALSE(decoded.has_value()) << "byte " << byte << " bit " << bit;
      ASSERT_EQ(decoded.error().code, Errc::corrupt);
    }
  }
}

TEST(WireHeader, AnUnknownVersionIsRefusedByItsNumber) {
  HeaderBytes bytes = encode(append_header(), std::vector<std::byte>(64));
  bytes[4] = std::byte{0x2a};
  sign(bytes);
  const auto decoded = decode_header(bytes);
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code, Errc::unknown_version);
  EXPECT_EQ(decoded.error().a, 0x2au);
}

struct Violation {
  const char* what;
  std::size_t offset;
  std::vector<int> bytes;
  Errc expected;
};

TEST(WireHeader, WhatIsOutsideTheCapsIsRefusedBeforeAnythingIsTaken) {
  const std::vector<Violation> violations{
      {"type zero", 6, {0}, Errc::refused},
      {"type in a gap", 6, {6}, Errc::refused},
      {"type beyond the last", 6, {200}, Errc::refused},
      {"meta beyond the cap", 48, {1, 8}, Errc::too_large},
      {"payload of 1 MiB and a block", 52, {0, 16, 16, 0}, Errc::too_large},
      {"payload of 4 GiB", 52, {0, 240, 255, 255}, Errc::too_large},
      {"payload of part of a block", 52, {1, 16, 0, 0}, Errc::corrupt},
      {"payload with too few CRCs", 52, {0, 0, 2, 0}, Errc::corrupt},
      {"a reserved field", 50, {1}, Errc::corrupt},
      {"a payload on a type without one", 6, {4}, Errc::too_large},
  };
  for (const Violation& violation : violations) {
    HeaderBytes bytes = encode(append_header(), std::vector<std::byte>(64));
    for (std::size_t i = 0; i < violation.bytes.size(); ++i) {
      bytes[violation.offset + i] = static_cast<std::byte>(violation.bytes[i]);
    }
    sign(bytes);
    const auto decoded = decode_header(bytes);
    ASSERT_FALSE(decoded.has_value()) << violation.what;
    EXPECT_EQ(decoded.error().code, violation.expected) << violation.what;
  }
}

TEST(WireHeader, RandomBytesNeverPass) {
  Prng prng(3);
  for (int round = 0; round < 20000; ++round) {
    HeaderBytes bytes;
    for (auto& byte : bytes) byte = static_cast<std::byte>(prng.next());
    if (prng.coin()) sign(bytes);
    ASSERT_FALSE(decode_header(bytes).has_value());
  }
}

TEST(WireHeader, ChangedMetaBytesAreNoticed) {
  std::vector<std::byte> meta(64, std::byte{1});
  const auto decoded = decode_header(encode(append_header(), meta));
  ASSERT_TRUE(decoded.has_value());
  for (auto& byte : meta) {
    byte ^= std::byte{0x80};
    EXPECT_FALSE(check_meta(*decoded, meta).has_value());
    byte ^= std::byte{0x80};
  }
  EXPECT_TRUE(check_meta(*decoded, meta).has_value());
}

TEST(WireHeader, APayloadIsComparedBlockByBlockAndItsCrcsStayWithTheSlot) {
  BufferPool pool(1024 * 1024);
  const SlotRef slot(pool, pool.take(3 * 4096));
  Prng prng(5);
  for (auto& byte : pool.bytes(slot.slot())) byte = static_cast<std::byte>(prng.next());
  std::array<std::byte, 20> meta{};
  ByteWriter writer(meta);
  for (std::size_t i = 0; i < 3; ++i) {
    writer.u32(wal::crc32c(pool.bytes(slot.slot()).subspan(i * 4096, 4096)));
  }
  ASSERT_TRUE(check_payload(meta, pool, slot.slot()).has_value());
  EXPECT_EQ(pool.crcs(slot.slot())[2],
            wal::crc32c(pool.bytes(slot.slot()).subspan(2 * 4096, 4096)));
  for (const std::size_t at : {std::size_t{0}, std::size_t{4095}, std::size_t{8192 + 17}}) {
    pool.bytes(slot.slot())[at] ^= std::byte{1};
    const Status status = check_payload(meta, pool, slot.slot());
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().a, at / 4096);
    pool.bytes(slot.slot())[at] ^= std::byte{1};
  }
}

TEST(WireHeader, AFreshLinkAdmitsOnlyWhatMayOpenOne) {
  int admitted = 0;
  for (int type = 0; type < 256; ++type) {
    if (admits(LinkState::fresh, static_cast<FrameType>(type))) ++admitted;
  }
  EXPECT_EQ(admitted, 3);
  EXPECT_TRUE(admits(LinkState::fresh, FrameType::hello));
  EXPECT_TRUE(admits(LinkState::fresh, FrameType::client_attach));
  EXPECT_TRUE(admits(LinkState::fresh, FrameType::who_is_primary));
  EXPECT_FALSE(admits(LinkState::from_client, FrameType::append));
  EXPECT_FALSE(admits(LinkState::from_replica, FrameType::append));
  EXPECT_FALSE(admits(LinkState::from_primary, FrameType::ack));
}

}  // namespace
}  // namespace seawall::runtime
