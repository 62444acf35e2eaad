// W21: what the disk put elsewhere, brought back or never wrote is no content of a block.
#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "tests/log/rig.h"
#include "wal/format.h"

namespace seawall::wal {
namespace {

const std::string base = "base";

// Where the base holds these bytes; nullopt: nowhere, or at several places.
std::optional<std::uint64_t> place_of(const MemDisk& disk, Stamp stamp) {
  std::vector<std::byte> wanted(MemDisk::page_bytes);
  fill_block(wanted.data(), stamp);
  std::optional<std::uint64_t> found;
  for (const std::uint64_t page : disk.used_pages(base)) {
    const std::uint64_t at = page * MemDisk::page_bytes;
    if (disk.peek(base, at, MemDisk::page_bytes) != wanted) continue;
    if (found.has_value()) return std::nullopt;
    found = at;
  }
  return found;
}

class WalMisplaced : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(rig_.open().has_value()); }

  void fold() {
    rig_.flush();
    rig_.settle_stable();
    rig_.store->request_checkpoint();
    rig_.run();
    ASSERT_EQ(rig_.store->facts().marks.applied, rig_.last());
  }
  std::uint64_t place(std::uint64_t lba) {
    const auto at = place_of(*rig_.disk, rig_.expected(rig_.last(), lba));
    EXPECT_TRUE(at.has_value()) << "block " << lba << " is not in the base";
    return at.value_or(0);
  }
  void put_into_base(std::uint64_t at, const std::vector<std::byte>& bytes) {
    rig_.close();
    rig_.disk->poke(base, at, bytes);
    ASSERT_TRUE(rig_.open().has_value());
  }
  Errc read(std::uint64_t lba) { return rig_.read_block(lba, buffer_.data()); }

  Rig rig_;
  AlignedBuffer buffer_{4096};
};

// A CRC that came with its bytes from another place (a column, an entry) does not pass here.
TEST_F(WalMisplaced, W21_the_crc_of_equal_bytes_differs_from_block_to_block) {
  rig_.same_bytes = 77;
  ASSERT_TRUE(rig_.write(0));
  ASSERT_TRUE(rig_.write(16));
  fold();
  std::uint32_t crcs[2] = {0, 0};
  for (const std::uint64_t slot : {0u, 1u}) {
    const auto page = rig_.disk->peek("map", slot * page_bytes, page_bytes);
    std::uint32_t magic = 0;
    std::memcpy(&magic, page.data(), sizeof magic);
    if (magic != entry_magic) continue;
    for (const std::size_t extent : {0u, 1u}) {
      const std::size_t at = sizeof(DiskSector) + extent * entry_bytes(16) + sizeof(DiskEntry);
      std::memcpy(&crcs[extent], page.data() + at, sizeof crcs[extent]);
    }
  }
  EXPECT_NE(crcs[0], 0u);
  EXPECT_NE(crcs[0], crcs[1]);
}

TEST_F(WalMisplaced, W21_a_block_written_to_the_place_of_another_is_found_by_its_crc) {
  ASSERT_TRUE(rig_.write(0));
  ASSERT_TRUE(rig_.write(1));
  fold();
  ASSERT_EQ(read(0), Errc::ok);
  ASSERT_EQ(read(1), Errc::ok);
  put_into_base(place(1), rig_.disk->peek(base, place(0), MemDisk::page_bytes));
  EXPECT_EQ(read(0), Errc::ok);
  EXPECT_EQ(read(1), Errc::corrupt) << "good bytes, at the wrong place";
}

TEST_F(WalMisplaced, W21_two_blocks_that_changed_places_are_both_found) {
  ASSERT_TRUE(rig_.write(4, 2));
  fold();
  const std::uint64_t one = place(4), other = place(5);
  const std::vector<std::byte> first = rig_.disk->peek(base, one, MemDisk::page_bytes);
  const std::vector<std::byte> second = rig_.disk->peek(base, other, MemDisk::page_bytes);
  put_into_base(one, second);
  put_into_base(other, first);
  EXPECT_EQ(read(4), Errc::corrupt);
  EXPECT_EQ(read(5), Errc::corrupt);
}

TEST_F(WalMisplaced, W21_an_older_version_that_returns_or_a_write_that_was_lost_is_found) {
  ASSERT_TRUE(rig_.write(7));
  fold();
  const std::vector<std::byte> old = rig_.disk->peek(base, place(7), MemDisk::page_bytes);
  ASSERT_TRUE(rig_.write(7));
  fold();
  ASSERT_EQ(read(7), Errc::ok);
  put_into_base(place(7), old);
  EXPECT_EQ(read(7), Errc::corrupt) << "what the block once was";
}

}  // namespace
}  // namespace seawall::wal
