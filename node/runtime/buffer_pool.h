// Payload memory of one shard: one arena, sized at start, cut by a buddy allocator into pieces of
// 4 KiB to 1 MiB.
//
// Life cycle: built before anything that takes slots, destroyed after it. Thread: the shard's.
// Ownership: take() gives one reference; ref/unref count; the last unref returns the memory.
// Nothing is allocated after construction. Units: bytes. Errors: a full pool is back-pressure, not
// an error (no_slot); use of a slot that was given back, or that never was one, fails a CHECK: a
// slot carries a generation, so that a stale one is noticed although its memory lives on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "engine/base/ids.h"

namespace seawall::runtime {

class BufferPool {
 public:
  explicit BufferPool(std::size_t arena_bytes);  // a multiple of 1 MiB, at most 4 GiB
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // no_slot when the pool cannot serve `bytes` (1 .. 1 MiB) now. 4096-aligned. The content is
  // whatever was there before.
  [[nodiscard]] Slot take(std::size_t bytes);
  void ref(Slot slot);
  void unref(Slot slot);
  std::span<std::byte> bytes(Slot slot) const;       // exactly the bytes asked for
  // CRC32C of each block of the payload, filled by whoever received or created it.
  std::span<std::uint32_t> crcs(Slot slot) const;
  std::size_t free_bytes() const;
  std::size_t in_use() const;                         // slots with references: 0 at rest
  std::span<std::byte> arena() const;                 // all of it, for registration with a kernel

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// One reference that somebody holds: gives it back when it goes. Moves only.
class SlotRef {
 public:
  SlotRef() = default;
  // Takes over a reference that the caller has.
  SlotRef(BufferPool& pool, Slot slot) : pool_(slot == no_slot ? nullptr : &pool), slot_(slot) {}
  SlotRef(SlotRef&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), slot_(std::exchange(other.slot_, no_slot)) {}
  SlotRef& operator=(SlotRef&& other) noexcept {
    if (this != &other) {
      reset();
      pool_ = std::exchange(other.pool_, nullptr);
      slot_ = std::exchange(other.slot_, no_slot);
    }
    return *this;
  }
  ~SlotRef() { reset(); }

  void reset() {
    if (pool_ != nullptr) pool_->unref(slot_);
    pool_ = nullptr;
    slot_ = no_slot;
  }
  // Hands the reference to the caller.
  [[nodiscard]] Slot release() {
    pool_ = nullptr;
    return std::exchange(slot_, no_slot);
  }
  [[nodiscard]] Slot slot() const { return slot_; }
  explicit operator bool() const { return pool_ != nullptr; }

 private:
  BufferPool* pool_ = nullptr;
  Slot slot_ = no_slot;
};

}  // namespace seawall::runtime
