#include "wal/segment.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>

#include "engine/base/chain.h"
#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "wal/crc32c.h"

namespace seawall::wal {
namespace {

bool all_zero(std::span<const std::byte> bytes) {
  return bytes.front() == std::byte{0} &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

// CRC of `bytes` with the four bytes at `hole` taken as zero.
std::uint32_t crc_without(std::uint32_t seed, std::span<const std::byte> bytes, std::size_t hole) {
  constexpr std::byte zeroes[4] = {};
  std::uint32_t crc = crc32c(bytes.first(hole), seed);
  crc = crc32c(zeroes, crc);
  return crc32c(bytes.subspan(hole + 4), crc);
}

bool known_kind(std::uint8_t kind) {
  return kind >= static_cast<std::uint8_t>(RecordKind::write) &&
         kind <= static_cast<std::uint8_t>(RecordKind::resize);
}

}  // namespace

void encode_segment(const SegmentHeader& header, const Incarnation& incarnation,
                    std::span<std::byte> block) {
  CHECK(block.size() == block_bytes);
  std::memset(block.data(), 0, block.size());
  DiskSegment disk{};
  disk.magic = segment_magic;
  disk.version = format_version;
  disk.incarnation_hi = incarnation.hi;
  disk.incarnation_lo = incarnation.lo;
  disk.number = header.id.number;
  disk.segment_version = header.id.version;
  disk.first_lsn = header.first_lsn.value();
  disk.chain_before = header.chain_before;
  disk.term = header.term.value();
  std::memcpy(block.data(), &disk, sizeof disk);
  disk.crc = crc_without(0, block, offsetof(DiskSegment, crc));
  std::memcpy(block.data(), &disk, sizeof disk);
}

HeaderState decode_segment(std::span<const std::byte> block, const Incarnation& incarnation,
                           SegmentHeader& header, std::uint16_t& version) {
  CHECK(block.size() == block_bytes);
  DiskSegment disk;
  std::memcpy(&disk, block.data(), sizeof disk);
  if (all_zero(block)) return HeaderState::empty;
  if (disk.magic != segment_magic) return HeaderState::bad;
  if (crc_without(0, block, offsetof(DiskSegment, crc)) != disk.crc) return HeaderState::bad;
  version = disk.version;
  if (disk.version != format_version) return HeaderState::unknown_version;
  if (disk.incarnation_hi != incarnation.hi || disk.incarnation_lo != incarnation.lo) {
    return HeaderState::foreign;
  }
  header.id = SegmentId{disk.number, disk.segment_version};
  header.first_lsn = Lsn(disk.first_lsn);
  header.chain_before = disk.chain_before;
  header.term = Term(disk.term);
  return HeaderState::valid;
}

std::uint32_t batch_seed(const Incarnation& incarnation, const SegmentId& id, std::uint32_t block) {
  const std::uint64_t words[5] = {incarnation.hi, incarnation.lo, id.number, id.version, block};
  return crc32c(std::as_bytes(std::span(words)), 0x5ea3a11u);
}

void seal_batch(std::span<std::byte> header, std::uint32_t seed) {
  const std::uint32_t crc = crc_without(seed, header, offsetof(DiskBatch, crc));
  std::memcpy(header.data() + offsetof(DiskBatch, crc), &crc, sizeof crc);
}

bool BatchView::open(std::span<const std::byte> bytes, const Incarnation& incarnation,
                     const SegmentId* id, std::uint32_t block, BatchView& out) {
  if (bytes.size() < block_bytes) return false;
  std::memcpy(&out.head_, bytes.data(), sizeof out.head_);
  const DiskBatch& head = out.head_;
  if (MUTANT(M62) && all_zero(bytes.first(block_bytes))) return true;
  if (head.magic != batch_magic || head.version != format_version) return false;
  if (head.header_blocks == 0 || head.header_blocks > batch_header_blocks_max) return false;
  const std::size_t header_bytes = std::size_t{head.header_blocks} * block_bytes;
  if (bytes.size() < header_bytes) return false;
  const SegmentId named{head.number, head.segment_version};
  if (id != nullptr && !(*id == named)) return false;
  out.bytes_ = bytes.first(header_bytes);
  const std::uint32_t seed = batch_seed(incarnation, named, block);
  if (crc_without(seed, out.bytes_, offsetof(DiskBatch, crc)) != head.crc) return false;
  return out.well_formed();
}

// The CRC holds, so a fault here is a writer's bug or a forger: checked all the same, before any of
// these numbers is used.
bool BatchView::well_formed() const {
  if (head_.count == 0 || head_.count > batch_records_max) return false;
  if (head_.payload_blocks > batch_payload_blocks_max || head_.first_lsn == 0) return false;
  if (head_.first_lsn > std::numeric_limits<std::uint64_t>::max() - head_.count) return false;
  std::size_t offset = sizeof(DiskBatch);
  std::uint32_t payload = 0;
  for (std::uint32_t i = 0; i < head_.count; ++i) {
    if (offset + sizeof(DiskRecord) > bytes_.size()) return false;
    DiskRecord record;
    std::memcpy(&record, bytes_.data() + offset, sizeof record);
    if (!known_kind(record.kind) || record.placement > placement_base) return false;
    const bool large = record.placement == placement_base;
    const bool write = record.kind == static_cast<std::uint8_t>(RecordKind::write);
    if (record.crc_count != (write ? record.blocks : 0)) return false;
    if (write && (record.blocks == 0 || record.blocks > limits::record_blocks_max)) return false;
    // A large write is whole extents.
    if (large != (record.extent_count != 0) || (large && !write)) return false;
    if (large && record.blocks % record.extent_count != 0) return false;
    payload += large ? 0 : record.crc_count;
    offset += record_bytes(record.crc_count, record.extent_count);
    if (offset > bytes_.size()) return false;
  }
  return payload == head_.payload_blocks && header_blocks_for(offset) == head_.header_blocks;
}

BatchView::Cursor BatchView::begin() const {
  Cursor cursor;
  cursor.payload_block = head_.header_blocks;
  cursor.chain = head_.chain_before;
  return cursor;
}

bool BatchView::next(Cursor& cursor, Record& record) const {
  if (cursor.index == head_.count) return false;
  DiskRecord disk;
  std::memcpy(&disk, bytes_.data() + cursor.offset, sizeof disk);
  RecordHeader& header = record.header;
  header.lsn = Lsn(head_.first_lsn + cursor.index);
  header.term = Term(disk.term);
  header.kind = static_cast<RecordKind>(disk.kind);
  header.flags = disk.flags;
  header.attachment = AttachmentId(disk.attachment);
  header.request = RequestNumber(disk.request);
  header.low_mark = RequestNumber(disk.low_mark);
  header.lba = Lba(disk.lba);
  header.blocks = BlockCount(disk.blocks);
  header.argument = disk.argument;
  // Descriptors and CRC arrays are multiples of four bytes from an aligned start.
  const auto* crcs =
      reinterpret_cast<const std::uint32_t*>(bytes_.data() + cursor.offset + sizeof(DiskRecord));
  record.crcs = {crcs, disk.crc_count};
  record.extents = {crcs + disk.crc_count, disk.extent_count};
  header.payload_digest = disk.crc_count == 0 ? 0 : digest_crcs(record.crcs);
  header.chain = chain_next(cursor.chain, header);
  record.payload_block = cursor.payload_block;
  cursor.chain = header.chain;
  if (disk.extent_count == 0) cursor.payload_block += disk.crc_count;
  cursor.offset += record_bytes(disk.crc_count, disk.extent_count);
  ++cursor.index;
  return true;
}

std::size_t put_record(std::span<std::byte> header, std::size_t offset, const RecordHeader& record,
                       std::span<const std::uint32_t> crcs,
                       std::span<const std::uint32_t> extents) {
  CHECK(offset + record_bytes(crcs.size(), extents.size()) <= header.size());
  DiskRecord disk{};
  disk.kind = static_cast<std::uint8_t>(record.kind);
  disk.flags = record.flags;
  disk.crc_count = static_cast<std::uint16_t>(crcs.size());
  disk.placement = extents.empty() ? placement_log : placement_base;
  disk.extent_count = static_cast<std::uint16_t>(extents.size());
  disk.attachment = record.attachment.value();
  disk.request = record.request.value();
  disk.low_mark = record.low_mark.value();
  disk.lba = record.lba.value();
  disk.blocks = record.blocks.value();
  disk.term = record.term.value();
  disk.argument = record.argument;
  std::memcpy(header.data() + offset, &disk, sizeof disk);
  if (!crcs.empty()) {
    std::memcpy(header.data() + offset + sizeof disk, crcs.data(), 4 * crcs.size());
  }
  if (!extents.empty()) {
    std::memcpy(header.data() + offset + sizeof disk + 4 * crcs.size(), extents.data(),
                4 * extents.size());
  }
  return offset + record_bytes(crcs.size(), extents.size());
}

}  // namespace seawall::wal
