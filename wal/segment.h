// Segment and batch headers: encoding, verification, and a walk over the records of a batch.
//
// The CRC of a batch header is seeded with incarnation, segment number, segment version and offset:
// nothing that a client wrote and nothing old can pass for a header at that place.
// Thread: any; values and views over the caller's bytes. Units: blocks of 4 KiB inside a segment.
#pragma once

#include <cstdint>
#include <span>

#include "engine/base/ids.h"
#include "engine/base/record.h"
#include "wal/format.h"

namespace seawall::wal {

enum class HeaderState : std::uint8_t { valid, empty, bad, unreadable, foreign, unknown_version };

struct SegmentId {
  std::uint64_t number = 0;
  std::uint64_t version = 0;
  friend bool operator==(const SegmentId&, const SegmentId&) = default;
};

struct SegmentHeader {
  SegmentId id;
  Lsn first_lsn;
  std::uint64_t chain_before = 0;
  Term term;  // of the record before first_lsn
};

void encode_segment(const SegmentHeader& header, const Incarnation& incarnation,
                    std::span<std::byte> block);
HeaderState decode_segment(std::span<const std::byte> block, const Incarnation& incarnation,
                           SegmentHeader& header, std::uint16_t& version);

// What a batch at that place must be sealed with.
std::uint32_t batch_seed(const Incarnation& incarnation, const SegmentId& id, std::uint32_t block);

// Fills the CRC of a complete header (all its blocks).
void seal_batch(std::span<std::byte> header, std::uint32_t seed);

// A verified batch header. The bytes stay with the caller.
class BatchView {
 public:
  // Verifies the batch that begins at the start of `bytes` (which may hold more) as one of segment
  // `id`, or of whatever segment it names when `id` is null, at `block`.
  static bool open(std::span<const std::byte> bytes, const Incarnation& incarnation,
                   const SegmentId* id, std::uint32_t block, BatchView& out);

  [[nodiscard]] const DiskBatch& head() const { return head_; }
  [[nodiscard]] Lsn first_lsn() const { return Lsn(head_.first_lsn); }
  [[nodiscard]] Lsn last_lsn() const { return Lsn(head_.first_lsn + head_.count - 1); }
  [[nodiscard]] std::uint32_t blocks() const { return head_.header_blocks + head_.payload_blocks; }

  // Walks the records in order; false at the end. `payload_block` counts from the batch's start.
  struct Cursor {
    std::uint32_t index = 0;
    std::size_t offset = sizeof(DiskBatch);
    std::uint32_t payload_block = 0;
    std::uint64_t chain = 0;
  };
  [[nodiscard]] Cursor begin() const;
  struct Record {
    RecordHeader header;
    std::span<const std::uint32_t> crcs;
    std::span<const std::uint32_t> extents;  // of a large write: its payload is there, not here
    std::uint32_t payload_block = 0;
  };
  bool next(Cursor& cursor, Record& record) const;

 private:
  [[nodiscard]] bool well_formed() const;

  DiskBatch head_{};
  std::span<const std::byte> bytes_;  // the header blocks
};

// Appends a descriptor at `offset` of a header under construction; returns the offset after it.
std::size_t put_record(std::span<std::byte> header, std::size_t offset, const RecordHeader& record,
                       std::span<const std::uint32_t> crcs,
                       std::span<const std::uint32_t> extents);
constexpr std::size_t record_bytes(std::size_t crc_count, std::size_t extent_count) {
  return sizeof(DiskRecord) + 4 * (crc_count + extent_count);
}
constexpr std::uint32_t header_blocks_for(std::size_t bytes) {
  return static_cast<std::uint32_t>((bytes + block_bytes - 1) / block_bytes);
}

}  // namespace seawall::wal
