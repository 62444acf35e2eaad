// What a StoreImpl has under way with the base besides reads: extents of a rebuild, a copy made by
// the checkpoint, the flush that ends a base lane. Plain state; base_io.cc and copy.cc act on it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/base/result.h"
#include "wal/aligned.h"
#include "wal/disk.h"
#include "wal/map_cache.h"

namespace seawall::wal {

class StoreImpl;

inline constexpr std::size_t base_queue_max = 64;
inline constexpr std::size_t lane_runs_max = 32;  // runs of present blocks in an extent of 64

// One extent on its way from or to the base.
struct BaseLane {
  StoreImpl* store = nullptr;
  std::array<Op, lane_runs_max> ops;
  std::array<iovec, lane_runs_max> iov{};
  std::uint32_t running = 0;
  std::int64_t error = 0;
  bool busy = false;
  MapWaiter waiter;
};

// An extent that the checkpoint may not overwrite, on its way to a fresh one.
struct ExtentCopy {
  enum class Stage : std::uint8_t { none, reading, writing, done };
  Stage stage = Stage::none;
  std::uint64_t extent = 0;  // of the volume
  std::uint32_t target = 0;
  std::uint64_t rest = 0;  // blocks that are copied
  std::uint32_t from = 0;  // physical, as `target`
  int attempts = 0;
  std::array<std::uint32_t, 64> crcs{};  // of `rest`, packed
  BaseLane lane;
  AlignedBuffer buffer;
};

struct BaseFlush {
  enum class Stage : std::uint8_t { idle, waiting, data, pages, flush, super };
  Stage stage = Stage::idle;
  bool make_room = false;  // only pages, to let the lane go on
  void (*done)(void*, Errc) = nullptr;
  void* owner = nullptr;
  bool asked = false;  // flush_base() waits behind queued writes
  std::uint32_t running = 0;
  std::uint64_t round = 0;
  Op data_sync;
};

}  // namespace seawall::wal
