// The record: the unit of the log, the stream and the proof.
//
// (term, lsn) names one record for ever. The header is what the engine decides and what the chain
// covers; the payload travels beside it, by slot in memory and by batch on disk.
#pragma once

#include <cstdint>

#include "engine/base/ids.h"

namespace seawall {

// Values are on disk and on the wire: never renumber.
enum class RecordKind : std::uint8_t {
  write = 1,
  discard = 2,
  write_zeroes = 3,
  term_start = 4,
  snapshot = 5,
  snapshot_delete = 6,
  resize = 7,
};

// Flags are outside the chain.
inline constexpr std::uint8_t record_flag_lost = 1;  // nobody can produce the payload any more
inline constexpr std::uint8_t record_flag_fua = 2;   // completes when stable

struct RecordHeader {
  Lsn lsn;
  Term term;
  RecordKind kind = RecordKind::write;
  std::uint8_t flags = 0;
  AttachmentId attachment;   // 0 for control records
  RequestNumber request;
  RequestNumber low_mark;    // every request below it is finished
  Lba lba;                   // resize: 0
  BlockCount blocks;         // resize: the new size; snapshot kinds: 0
  std::uint64_t argument = 0;        // snapshot id for snapshot kinds, else 0
  std::uint64_t payload_digest = 0;  // digest_crcs() of the blocks' CRC32Cs; 0 without payload
  std::uint64_t chain = 0;           // hash over this record and all before it (chain.h)
  friend constexpr bool operator==(const RecordHeader&, const RecordHeader&) = default;
};

constexpr bool has_payload(const RecordHeader& header) {
  return header.kind == RecordKind::write;
}

constexpr ByteCount payload_bytes(const RecordHeader& header) {
  return ByteCount{has_payload(header) ? header.blocks.value() * 4096 : 0};
}

// True for kinds that change blocks of the volume.
constexpr bool changes_blocks(RecordKind kind) {
  return kind == RecordKind::write || kind == RecordKind::discard ||
         kind == RecordKind::write_zeroes;
}

}  // namespace seawall
