#include "wal/layout.h"

namespace seawall::wal {
namespace {

constexpr std::uint64_t large_bytes_max = 256 * limits::MiB;
constexpr std::uint64_t large_share_of_volume = 4;

// Payload of large writes that a log may hold in the base: a quarter of the volume, at least what
// the log itself holds, at most 256 MiB or the log's size.
std::uint64_t large_bytes_for(std::uint64_t volume_bytes, std::uint64_t log_bytes) {
  return std::clamp(volume_bytes / large_share_of_volume, log_bytes,
                    std::max(log_bytes, large_bytes_max));
}

}  // namespace

Result<Layout> make_layout(const Geometry& geometry) {
  const std::uint64_t blocks = geometry.size.value();
  if (blocks == 0 || blocks > limits::volume_blocks_max) {
    return make_error(Errc::invalid_argument, "a volume has 1 block to 64 TiB", blocks);
  }
  const std::uint32_t extent = geometry.extent_bytes;
  if (!std::has_single_bit(extent) || extent < limits::extent_bytes_min ||
      extent > limits::extent_bytes_max) {
    return make_error(Errc::invalid_argument, "an extent is 16, 32, 64, 128 or 256 KiB", extent);
  }
  std::uint64_t log_bytes = geometry.log_bytes;
  if (log_bytes == 0) {
    log_bytes = std::clamp(blocks * block_bytes / limits::log_share_of_volume,
                           limits::log_bytes_min, limits::log_bytes_max);
  }
  std::uint64_t segment = std::min(limits::segment_bytes_max, log_bytes / limits::segments_per_log);
  segment -= segment % block_bytes;
  if (segment < limits::segment_bytes_min || log_bytes > limits::log_bytes_max) {
    return make_error(Errc::invalid_argument, "a log has 1 MiB to 1 GiB", log_bytes);
  }
  Layout layout;
  layout.size_blocks = blocks;
  layout.segment_bytes = segment;
  layout.segment_count = static_cast<std::uint32_t>(log_bytes / segment);
  layout.log_bytes = segment * layout.segment_count;
  layout.extent_bytes = extent;
  layout.spare_extents = 2 * (large_bytes_for(blocks * block_bytes, layout.log_bytes) / extent);
  if (layout.physical_extents() >= no_extent) {
    return make_error(Errc::invalid_argument, "too many extents: choose larger ones", extent);
  }
  return layout;
}

Layout layout_of(const DiskSuper& super) {
  Layout layout;
  layout.size_blocks = super.size_blocks;
  layout.log_bytes = super.log_bytes;
  layout.segment_bytes = super.segment_bytes;
  layout.segment_count = super.segment_count;
  layout.extent_bytes = super.extent_bytes;
  layout.spare_extents = super.spare_extents;
  return layout;
}

}  // namespace seawall::wal
