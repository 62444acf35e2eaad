// The disk format: constants and packed layouts. README.md says it in words.
//
// Little endian, 4 KiB blocks. Every structure has magic, version and CRC32C. Nothing here is ever
// renumbered or reordered: a new meaning takes a reserved field or a new version, and a version
// that the code does not know is refused with its number.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "engine/base/limits.h"

namespace seawall::wal {

static_assert(std::endian::native == std::endian::little, "the format is little endian");

inline constexpr std::size_t block_bytes = limits::block_bytes;

inline constexpr std::uint32_t super_magic = 0x50555353;     // "SSUP"
inline constexpr std::uint32_t segment_magic = 0x47455353;   // "SSEG"
inline constexpr std::uint32_t batch_magic = 0x54414253;     // "SBAT"
inline constexpr std::uint32_t entry_magic = 0x50414d53;     // "SMAP": sector of extent entries
inline constexpr std::uint32_t bits_magic = 0x544c4153;      // "SALT": sector of allocation bits
inline constexpr std::uint32_t snapshot_magic = 0x504e5353;  // "SSNP": reserved for snapshot maps
inline constexpr std::uint16_t format_version = 1;

inline constexpr const char* super_name = "super";
inline constexpr const char* log_directory = "log";
inline constexpr const char* base_name = "base";
inline constexpr const char* map_name = "map";

// --- super block ---

inline constexpr std::size_t super_slot_bytes = limits::super_slot_bytes;
inline constexpr std::size_t super_aborted_max = 64;

struct DiskTerm {
  std::uint64_t term, first_lsn, chain_before;
};
static_assert(sizeof(DiskTerm) == 24);

struct DiskSnapshot {  // written by a later issue; frozen bases have id 0
  std::uint64_t id, lsn, state;
};
static_assert(sizeof(DiskSnapshot) == 24);

struct DiskRequest {
  std::uint64_t request, lsn;
};
static_assert(sizeof(DiskRequest) == 16);

struct DiskAttachment {
  std::uint64_t attachment, low_mark;
  DiskRequest requests[limits::request_table_max];
};
static_assert(sizeof(DiskAttachment) == 16 + 16 * 128);

inline constexpr std::uint32_t super_flag_formatted = 1u << 0;
inline constexpr std::uint32_t super_flag_clean = 1u << 1;
inline constexpr std::uint32_t super_flag_intact = 1u << 2;
inline constexpr std::uint32_t super_flag_marker = 1u << 3;
inline constexpr std::uint32_t super_flag_marker_start = 1u << 4;
inline constexpr std::uint32_t super_flag_floor = 1u << 5;
inline constexpr std::uint32_t super_flag_intent = 1u << 6;
inline constexpr std::uint32_t super_flag_base_untrusted = 1u << 7;
inline constexpr std::uint32_t super_flag_regressed = 1u << 8;
inline constexpr std::uint32_t super_flag_bits_rotten = 1u << 9;  // the next opening sweeps them

struct DiskSuper {
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t reserved0;
  std::uint32_t crc;  // of the whole slot, this field as 0
  std::uint32_t flags;
  std::uint64_t generation;
  std::uint64_t incarnation_hi, incarnation_lo;
  std::uint64_t replica;
  std::uint64_t boot_hi, boot_lo;
  std::uint64_t promised, seen_epoch, seen_revision;
  std::uint64_t marker_epoch, marker_counter, marker_cut, marker_start;
  std::uint64_t floor_term, floor_lsn;
  std::uint64_t log_start_lsn, log_start_chain, log_start_number, log_start_version;
  std::uint64_t log_version;  // every version in use is below it
  std::uint64_t applied_lsn, applied_term, applied_chain;
  std::uint64_t map_generation, map_floor;  // pages below map_floor are absent
  std::uint64_t intent_cut, intent_generation;
  std::uint64_t durable_lsn, durable_term;  // own greatest durable
  std::uint64_t written_lsn;                // as of a clean stop, else 0
  std::uint64_t size_blocks, log_bytes, segment_bytes;
  std::uint64_t extents_mapped;
  std::uint32_t extent_bytes;
  std::uint32_t segment_count;
  std::uint32_t aborted_count, term_count, snapshot_count, attachment_count;
  std::uint64_t aborted[super_aborted_max];
  DiskTerm terms[limits::folded_terms_max];
  DiskSnapshot snapshots[limits::snapshots_max];
  DiskAttachment attachments[limits::attachments_max];
  std::uint64_t spare_extents;  // physical extents beyond those of the volume
  std::uint64_t opened_by;      // process start of the newest opening; 0: of a release without it
};
static_assert(sizeof(DiskSuper) <= super_slot_bytes, "a slot holds everything");
static_assert(sizeof(DiskSuper) == 312 + 512 + 64 * 24 + 250 * 24 + 2 * 2064 + 16);

// --- log ---

struct DiskSegment {  // first block of a segment file
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t reserved0;
  std::uint32_t crc;  // of the block, this field as 0
  std::uint32_t reserved1;
  std::uint64_t incarnation_hi, incarnation_lo;
  std::uint64_t number;
  std::uint64_t segment_version;  // replica-wide counter, never reused
  std::uint64_t first_lsn;
  std::uint64_t chain_before;
  std::uint64_t term;  // of the record before first_lsn
};
static_assert(sizeof(DiskSegment) == 72);

struct DiskBatch {  // first bytes of a batch; descriptors follow
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t header_blocks;
  std::uint32_t crc;  // of all header blocks, this field as 0; seeded by batch_seed()
  std::uint32_t count;
  std::uint64_t number;  // of the segment
  std::uint64_t segment_version;
  std::uint64_t first_lsn;
  std::uint64_t chain_before;
  std::uint64_t own_durable;
  std::uint64_t own_written;
  std::uint32_t payload_blocks;
  std::uint32_t reserved0;
  std::uint64_t reserved1;
};
static_assert(sizeof(DiskBatch) == 80);

// Descriptor; followed by crc_count CRC32Cs, one for each payload block, and by the numbers of the
// physical extents that hold the payload, in order, where it lies in the base.
struct DiskRecord {
  std::uint8_t kind;
  std::uint8_t flags;
  std::uint16_t crc_count;
  std::uint16_t placement;     // 0: payload in this batch; 1: in the base (a large write)
  std::uint16_t extent_count;  // placement 1; else 0
  std::uint64_t attachment, request, low_mark;
  std::uint64_t lba, blocks;
  std::uint64_t term;
  std::uint64_t argument;
};
static_assert(sizeof(DiskRecord) == 64);

inline constexpr std::uint16_t placement_log = 0;
inline constexpr std::uint16_t placement_base = 1;

inline constexpr std::size_t batch_records_max = 256;
inline constexpr std::size_t batch_payload_blocks_max = limits::batch_bytes_max / block_bytes;
inline constexpr std::size_t batch_header_blocks_max = 5;
static_assert(sizeof(DiskBatch) + batch_records_max * sizeof(DiskRecord) +
                  batch_payload_blocks_max * 4 <=
              batch_header_blocks_max * block_bytes);

// --- map ---

struct DiskSector {  // first bytes of each 512-byte sector of a page
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t sector;  // 0 .. 7
  std::uint32_t crc;     // of the sector, this field as 0
  std::uint32_t reserved0;
  std::uint64_t page;
  std::uint64_t generation;
};
static_assert(sizeof(DiskSector) == 32);

struct DiskEntry {  // followed by: present bits beyond 16 (8 bytes, large extents only), block CRCs
  std::uint64_t last_lsn;
  std::uint32_t physical;  // no_extent: none
  std::uint16_t flags;
  std::uint16_t present;
};
static_assert(sizeof(DiskEntry) == 16);

inline constexpr std::uint32_t no_extent = 0xffffffffu;
inline constexpr std::uint16_t entry_flag_valid = 1;

inline constexpr std::size_t page_bytes = limits::map_page_bytes;
inline constexpr std::size_t sector_bytes = limits::map_sector_bytes;
inline constexpr std::size_t sectors_per_page = page_bytes / sector_bytes;
inline constexpr std::size_t sector_room = sector_bytes - sizeof(DiskSector);

constexpr std::size_t entry_bytes(std::size_t extent_blocks) {
  return sizeof(DiskEntry) + (extent_blocks > 16 ? 8 : 0) + 4 * extent_blocks;
}
constexpr std::size_t entries_per_sector(std::size_t extent_blocks) {
  return sector_room / entry_bytes(extent_blocks);
}
static_assert(entries_per_sector(16) == 6, "64 KiB extents");
static_assert(entries_per_sector(4) == 15, "16 KiB extents");
static_assert(entries_per_sector(64) == 1, "256 KiB extents");

inline constexpr std::size_t bits_per_page = sectors_per_page * sector_room * 8;

}  // namespace seawall::wal
