// The header of a segment: what decodes as ours encodes to the same meaning.
#include <cstring>
#include <vector>

#include "engine/base/check.h"
#include "tests/fuzz/target.h"
#include "wal/crc32c.h"
#include "wal/segment.h"

namespace seawall::fuzz {
namespace {

using namespace wal;

constexpr Incarnation ours{0x1111, 0x2222};

}  // namespace

void run(Input input) {
  static std::vector<std::byte> block(block_bytes), again(block_bytes);
  std::memset(block.data(), 0, block.size());
  std::memcpy(block.data(), input.data(), std::min(input.size(), block.size()));
  SegmentHeader header, twice;
  std::uint16_t version = 0;
  const HeaderState state = decode_segment(block, ours, header, version);
  if (state == HeaderState::unknown_version) CHECK(version != format_version);
  if (state != HeaderState::valid) return;
  encode_segment(header, ours, again);
  CHECK(decode_segment(again, ours, twice, version) == HeaderState::valid);
  CHECK(twice.id == header.id && twice.first_lsn == header.first_lsn);
  CHECK(twice.chain_before == header.chain_before && twice.term == header.term);
}

void mend(std::span<std::byte> input) {
  if (input.size() < sizeof(DiskSegment)) return;
  static std::vector<std::byte> block(block_bytes);
  const std::uint32_t none = 0;
  std::memcpy(input.data() + offsetof(DiskSegment, crc), &none, sizeof none);
  std::memset(block.data(), 0, block.size());
  std::memcpy(block.data(), input.data(), std::min(input.size(), block.size()));
  const std::uint32_t crc = crc32c(block);
  std::memcpy(input.data() + offsetof(DiskSegment, crc), &crc, sizeof crc);
}

std::size_t seed(std::size_t n, std::span<std::byte> into) {
  if (n > 1) return 0;
  SegmentHeader header;
  header.id = n == 0 ? SegmentId{1, 1} : SegmentId{1ull << 32, ~0ull};
  header.first_lsn = Lsn(n == 0 ? 1 : 1ull << 63);
  header.term = Term(n);
  encode_segment(header, ours, into.first(block_bytes));
  return sizeof(DiskSegment);
}

}  // namespace seawall::fuzz
