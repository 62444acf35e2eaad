#include "node/runtime/buffer_pool.h"

#include <array>
#include <bit>
#include <new>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/limits.h"

namespace seawall::runtime {
namespace {

constexpr std::size_t unit_bytes = limits::block_bytes;
constexpr std::size_t order_max = 8;  // 4 KiB << 8 = 1 MiB
constexpr std::size_t chunk_bytes = unit_bytes << order_max;
static_assert(chunk_bytes == limits::record_bytes_max);

constexpr unsigned index_bits = 20;  // 4 GiB of units
constexpr std::uint32_t index_mask = (1u << index_bits) - 1;
constexpr std::uint16_t generation_end = (1u << (32 - index_bits)) - 1;  // leaves no_slot out
constexpr std::uint32_t none = 0xffffffffu;
constexpr std::align_val_t arena_alignment{chunk_bytes};

std::size_t order_for(std::size_t bytes) {
  const std::size_t units = (bytes + unit_bytes - 1) / unit_bytes;
  return static_cast<std::size_t>(std::bit_width(units - 1));
}

}  // namespace

// A piece is named by its first unit. Each unit has one row; only the row of a piece's first unit
// says something.
struct BufferPool::Impl {
  enum class State : std::uint8_t { inside, free, taken };
  struct Unit {
    State state = State::inside;
    std::uint8_t order = 0;
    std::uint16_t generation = 0;
    std::uint32_t references = 0;
    std::uint32_t length = 0;  // bytes asked for
    std::uint32_t next = none, previous = none;  // free list of its order
  };

  explicit Impl(std::size_t bytes)
      : size(bytes),
        memory(static_cast<std::byte*>(::operator new(bytes, arena_alignment))),
        units(bytes / unit_bytes),
        crcs(bytes / unit_bytes) {
    heads.fill(none);
    const std::uint32_t chunk_units = 1u << order_max;
    for (std::size_t i = units.size(); i > 0; i -= chunk_units) {
      push(static_cast<std::uint32_t>(i - chunk_units), order_max);
    }
    free_bytes = bytes;
  }
  ~Impl() { ::operator delete(memory, arena_alignment); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void push(std::uint32_t index, std::size_t order) {
    Unit& unit = units[index];
    unit.state = State::free;
    unit.order = static_cast<std::uint8_t>(order);
    unit.previous = none;
    unit.next = heads[order];
    if (unit.next != none) units[unit.next].previous = index;
    heads[order] = index;
  }
  void unlink(std::uint32_t index) {
    Unit& unit = units[index];
    if (unit.previous != none) units[unit.previous].next = unit.next;
    if (unit.next != none) units[unit.next].previous = unit.previous;
    if (heads[unit.order] == index) heads[unit.order] = unit.next;
    unit.state = State::inside;
  }

  std::uint32_t take_piece(std::size_t order) {
    std::size_t from = order;
    while (from <= order_max && heads[from] == none) ++from;
    if (from > order_max) return none;
    const std::uint32_t index = heads[from];
    unlink(index);
    while (from > order) {  // the upper half of each cut stays free
      --from;
      push(index + (1u << from), from);
    }
    units[index].order = static_cast<std::uint8_t>(order);
    return index;
  }
  void give_back(std::uint32_t index) {
    std::size_t order = units[index].order;
    units[index].state = State::inside;
    while (order < order_max) {
      const std::uint32_t buddy = index ^ (1u << order);
      if (units[buddy].state != State::free || units[buddy].order != order) break;
      unlink(buddy);
      if (buddy < index) index = buddy;
      ++order;
    }
    push(index, order);
  }

  std::uint32_t index_of(Slot slot) const {
    const std::uint32_t index = slot.value() & index_mask;
    CHECK(slot != no_slot);
    CHECK(index < units.size());
    CHECK(units[index].state == State::taken);
    CHECK_MSG(units[index].generation == slot.value() >> index_bits, "a slot used after its end");
    return index;
  }

  std::size_t size;
  std::byte* memory;
  std::vector<Unit> units;
  std::vector<std::uint32_t> crcs;
  std::array<std::uint32_t, order_max + 1> heads{};
  std::size_t free_bytes = 0;
  std::size_t in_use = 0;
};

BufferPool::BufferPool(std::size_t arena_bytes) {
  CHECK(arena_bytes > 0);
  CHECK(arena_bytes % chunk_bytes == 0);
  CHECK(arena_bytes / unit_bytes <= std::size_t{1} << index_bits);
  impl_ = std::make_unique<Impl>(arena_bytes);
}

BufferPool::~BufferPool() = default;

Slot BufferPool::take(std::size_t bytes) {
  CHECK(bytes > 0);
  CHECK(bytes <= chunk_bytes);
  Impl& pool = *impl_;
  const std::size_t order = order_for(bytes);
  const std::uint32_t index = pool.take_piece(order);
  if (index == none) return no_slot;
  Impl::Unit& unit = pool.units[index];
  unit.state = Impl::State::taken;
  unit.generation = static_cast<std::uint16_t>((unit.generation + 1) % generation_end);
  unit.references = 1;
  unit.length = static_cast<std::uint32_t>(bytes);
  pool.free_bytes -= unit_bytes << order;
  ++pool.in_use;
  return Slot{static_cast<std::uint32_t>(unit.generation) << index_bits | index};
}

void BufferPool::ref(Slot slot) {
  Impl::Unit& unit = impl_->units[impl_->index_of(slot)];
  CHECK(unit.references < none);
  ++unit.references;
}

void BufferPool::unref(Slot slot) {
  Impl& pool = *impl_;
  const std::uint32_t index = pool.index_of(slot);
  Impl::Unit& unit = pool.units[index];
  CHECK(unit.references > 0);
  if (--unit.references > 0) return;
  pool.free_bytes += unit_bytes << unit.order;
  --pool.in_use;
  pool.give_back(index);
}

std::span<std::byte> BufferPool::bytes(Slot slot) const {
  const std::uint32_t index = impl_->index_of(slot);
  return {impl_->memory + std::size_t{index} * unit_bytes, impl_->units[index].length};
}

std::span<std::uint32_t> BufferPool::crcs(Slot slot) const {
  const std::uint32_t index = impl_->index_of(slot);
  const std::size_t blocks = (impl_->units[index].length + unit_bytes - 1) / unit_bytes;
  return {impl_->crcs.data() + index, blocks};
}

std::size_t BufferPool::free_bytes() const { return impl_->free_bytes; }
std::size_t BufferPool::in_use() const { return impl_->in_use; }
std::span<std::byte> BufferPool::arena() const { return {impl_->memory, impl_->size}; }

}  // namespace seawall::runtime
