// The header of a batch with its descriptors: what opens can be walked within its bytes, adds up,
// and is written again byte by byte by the encoder.
#include <cstring>
#include <vector>

#include "engine/base/check.h"
#include "tests/fuzz/target.h"
#include "wal/segment.h"

namespace seawall::fuzz {
namespace {

using namespace wal;

constexpr Incarnation ours{0x1111, 0x2222};
constexpr std::uint32_t place = 3;

// Aligned as the readers' buffers are.
std::span<std::byte> aligned_copy(Input input) {
  alignas(4096) static std::byte bytes[batch_header_blocks_max * block_bytes];
  std::memset(bytes, 0, sizeof bytes);
  const std::size_t length = std::min(input.size(), sizeof bytes);
  std::memcpy(bytes, input.data(), length);
  return {bytes, (length + block_bytes - 1) / block_bytes * block_bytes};
}

RecordHeader sample(RecordKind kind, std::uint64_t lsn, std::uint64_t blocks) {
  RecordHeader header;
  header.lsn = Lsn(lsn);
  header.term = Term(1);
  header.kind = kind;
  header.attachment = AttachmentId(9);
  header.request = RequestNumber(lsn);
  header.lba = Lba(lsn * 7);
  header.blocks = BlockCount(blocks);
  return header;
}

}  // namespace

void run(Input input) {
  const std::span<std::byte> bytes = aligned_copy(input);
  BatchView view;
  if (!BatchView::open(bytes, ours, nullptr, place, view)) return;
  const std::size_t room = std::size_t{view.head().header_blocks} * block_bytes;
  CHECK(room <= bytes.size() && view.head().count <= batch_records_max);
  alignas(4096) static std::byte again[batch_header_blocks_max * block_bytes];
  std::memset(again, 0, sizeof again);
  std::size_t offset = sizeof(DiskBatch);
  std::uint32_t records = 0, payload = 0;
  BatchView::Cursor cursor = view.begin();
  for (BatchView::Record record; view.next(cursor, record); ++records) {
    CHECK(record.crcs.size() == payload_bytes(record.header).value() / block_bytes);
    const auto* end = reinterpret_cast<const std::byte*>(record.extents.data() +
                                                         record.extents.size());
    CHECK(end <= bytes.data() + room);
    if (record.extents.empty()) payload += static_cast<std::uint32_t>(record.crcs.size());
    offset = put_record(std::span(again).first(room), offset, record.header, record.crcs,
                        record.extents);
  }
  CHECK(records == view.head().count && payload == view.head().payload_blocks);
  CHECK(view.last_lsn() >= view.first_lsn());
  CHECK(std::memcmp(again + sizeof(DiskBatch), bytes.data() + sizeof(DiskBatch),
                    offset - sizeof(DiskBatch)) == 0);
}

void mend(std::span<std::byte> input) {
  const std::span<std::byte> bytes = aligned_copy(input);
  if (input.size() < sizeof(DiskBatch)) return;
  DiskBatch head;
  std::memcpy(&head, bytes.data(), sizeof head);
  const std::size_t room = std::size_t{head.header_blocks} * block_bytes;
  if (room == 0 || room > bytes.size()) return;
  const SegmentId named{head.number, head.segment_version};
  std::memset(bytes.data() + offsetof(DiskBatch, crc), 0, 4);
  seal_batch(bytes.first(room), batch_seed(ours, named, place));
  std::memcpy(input.data(), bytes.data(), sizeof(DiskBatch));
}

std::size_t seed(std::size_t n, std::span<std::byte> into) {
  if (n > 2) return 0;
  static const std::vector<std::uint32_t> crcs(256, 0xabcd);
  const std::vector<std::uint32_t> extents = {4, 5};
  std::memset(into.data(), 0, batch_header_blocks_max * block_bytes);
  DiskBatch head{};
  head.magic = batch_magic;
  head.version = format_version;
  head.number = head.segment_version = 1;
  head.first_lsn = 1;
  std::size_t offset = sizeof head;
  const auto put = [&](RecordKind kind, std::uint64_t blocks, std::span<const std::uint32_t> of) {
    const std::size_t sums = kind == RecordKind::write ? blocks : 0;
    offset = put_record(into, offset, sample(kind, ++head.count, blocks),
                        std::span(crcs).first(sums), of);
    if (of.empty()) head.payload_blocks += static_cast<std::uint32_t>(sums);
  };
  for (std::size_t i = 0; n == 1 && i < 200; ++i) put(RecordKind::write, 1, {});
  if (n == 0) put(RecordKind::term_start, 0, {});
  if (n == 2) {
    put(RecordKind::write, 256, {});
    put(RecordKind::write, 32, extents);
    put(RecordKind::discard, 1000, {});
    put(RecordKind::write_zeroes, 5, {});
    put(RecordKind::resize, 4096, {});
  }
  head.header_blocks = static_cast<std::uint16_t>(header_blocks_for(offset));
  std::memcpy(into.data(), &head, sizeof head);
  mend(into.first(head.header_blocks * block_bytes));
  return offset;
}

}  // namespace seawall::fuzz
