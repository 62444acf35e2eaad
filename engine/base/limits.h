// Limits of Seawall, in one place, with the relations between them asserted.
//
// Everything is bounded: pools, rings and tables are sized at start from here, and a full one means
// back pressure. Units are in the names; a limit without a unit is a number of things. Limits that
// travel (record, frame, members) are part of the formats: change them with a version only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace seawall::limits {

inline constexpr std::uint64_t KiB = 1024;
inline constexpr std::uint64_t MiB = 1024 * KiB;
inline constexpr std::uint64_t GiB = 1024 * MiB;
inline constexpr std::uint64_t TiB = 1024 * GiB;

// Volumes.
inline constexpr std::uint64_t block_bytes = 4 * KiB;
inline constexpr std::uint64_t volume_bytes_min = block_bytes;
inline constexpr std::uint64_t volume_bytes_max = 64 * TiB;
inline constexpr std::uint64_t volume_blocks_max = volume_bytes_max / block_bytes;
inline constexpr std::size_t volume_name_bytes_max = 63;
inline constexpr std::size_t snapshots_max = 250;

// Configurations.
inline constexpr std::size_t members_max = 7;
inline constexpr std::size_t peers_max = members_max - 1;
inline constexpr std::size_t folded_terms_max = 64;  // kept by the super block

// Records and frames.
inline constexpr std::uint64_t record_bytes_max = 1 * MiB;
inline constexpr std::uint64_t record_blocks_max = record_bytes_max / block_bytes;
inline constexpr std::uint64_t discard_bytes_max = 1 * GiB;
inline constexpr std::uint64_t frame_header_bytes = 64;
inline constexpr std::uint64_t frame_payload_bytes_max = 1 * MiB;

// Attachments and clients.
inline constexpr std::size_t attachments_max = 2;  // the old and the new one of a move
inline constexpr std::size_t queue_depth_max = 128;
inline constexpr std::size_t request_table_max = queue_depth_max;

// The log and the base.
inline constexpr std::uint64_t super_slot_bytes = 16 * KiB;
inline constexpr std::uint64_t log_bytes_min = 64 * MiB;
inline constexpr std::uint64_t log_bytes_max = 1 * GiB;
inline constexpr std::uint64_t log_share_of_volume = 16;
inline constexpr std::uint64_t segments_per_log = 16;
inline constexpr std::uint64_t segments_reserved = 2;         // control records; rewind and repair
inline constexpr std::uint64_t segment_bytes_min = 64 * KiB;  // in tests
inline constexpr std::uint64_t segment_bytes_max = 64 * MiB;
inline constexpr std::uint64_t records_per_segment_min = 4;  // a record is at most a quarter
inline constexpr std::uint64_t batch_bytes_max = 1 * MiB;    // and its header
inline constexpr std::uint64_t extent_bytes = 64 * KiB;
inline constexpr std::uint64_t extent_bytes_min = 16 * KiB;
inline constexpr std::uint64_t extent_bytes_max = 256 * KiB;
inline constexpr std::uint64_t large_write_bytes_min = extent_bytes;
inline constexpr std::uint64_t map_page_bytes = 4 * KiB;
inline constexpr std::uint64_t map_sector_bytes = 512;
inline constexpr std::uint64_t checkpoint_fill_percent = 25;
inline constexpr std::uint64_t checkpoint_urgent_percent = 75;
inline constexpr std::uint64_t writers_slow_percent = 90;
inline constexpr std::uint64_t checkpoint_age_ms = 30'000;
inline constexpr std::uint64_t log_kept_percent = 50;  // of the log, for who was away for a while

// Nodes.
inline constexpr std::size_t shards_max = 8;
inline constexpr std::size_t handshake_deadline_ms = 5'000;
inline constexpr std::uint64_t lease_ms = 1'000;
inline constexpr std::uint64_t settle_time_ms = 30'000;
inline constexpr std::uint64_t choice_wait_ms_max = 200;
inline constexpr std::uint64_t drain_ms_max = 2'000;  // of a planned move

static_assert(volume_bytes_max % block_bytes == 0);
static_assert(record_bytes_max % block_bytes == 0);
static_assert(record_bytes_max <= frame_payload_bytes_max, "a record travels in one frame");
static_assert(record_bytes_max <= batch_bytes_max, "a record fits a batch");
static_assert(discard_bytes_max % block_bytes == 0);
static_assert(discard_bytes_max / block_bytes <= UINT32_MAX, "a discard's length fits its field");
static_assert(segment_bytes_max * segments_per_log <= log_bytes_max);
static_assert(log_bytes_min / segments_per_log >= segment_bytes_min);
static_assert(segments_reserved < segments_per_log);
static_assert(segment_bytes_min / records_per_segment_min >= block_bytes);
static_assert(segment_bytes_max / records_per_segment_min >= record_bytes_max);
static_assert(extent_bytes >= extent_bytes_min && extent_bytes <= extent_bytes_max);
static_assert(extent_bytes % block_bytes == 0);
static_assert(record_bytes_max % extent_bytes == 0, "the largest write is whole extents");
static_assert(map_page_bytes == 8 * map_sector_bytes);
static_assert(checkpoint_fill_percent < checkpoint_urgent_percent);
static_assert(checkpoint_urgent_percent < writers_slow_percent);
static_assert(log_kept_percent + checkpoint_fill_percent <= checkpoint_urgent_percent);
static_assert(members_max % 2 == 1);
static_assert(request_table_max >= queue_depth_max, "every open request has its row");
static_assert(lease_ms < settle_time_ms);

}  // namespace seawall::limits
