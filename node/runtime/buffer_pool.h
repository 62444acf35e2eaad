// Payload memory of one shard: one arena, sized at start, cut by a buddy allocator into 4 KiB to 1 MiB.
//
// Thread: the shard's. Ownership: take() gives one reference; ref/unref count; the last unref returns
// the memory. Nothing is allocated after construction. A full pool is back-pressure, not an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/ids.h"

namespace seawall::runtime {

class BufferPool {
 public:
  explicit BufferPool(std::size_t arena_bytes);  // a multiple of 1 MiB
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // no_slot when the pool cannot serve `bytes` (1 .. 1 MiB) now. 4096-aligned.
  [[nodiscard]] Slot take(std::size_t bytes);
  void ref(Slot slot);
  void unref(Slot slot);
  std::span<std::byte> bytes(Slot slot) const;       // exactly the bytes asked for
  // CRC32C of each block of the payload, filled by whoever received or created it.
  std::span<std::uint32_t> crcs(Slot slot) const;
  std::size_t free_bytes() const;
  std::size_t in_use() const;                         // slots with references: 0 at rest

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace seawall::runtime
