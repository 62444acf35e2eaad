// Space in the base: who takes and frees extents, and when a freed one may be used again.
//
// Bits change in the pages of an open checkpoint or of the base lane. What they free is free only
// once the super block says so (a commit), what the log named only once its start has moved (a
// trim), and both only once no read that began before is under way.
#include <utility>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "wal/store_impl.h"

namespace seawall::wal {

// False: a page is missing and `waiter` will be woken.
bool StoreImpl::pages_of_bits(std::uint32_t off, std::uint32_t on, MapWaiter& waiter, Bits& bits) {
  bits = Bits{};
  if (off != no_extent) {
    bits.off = map_.get(map_.bits_page(off));
    if (bits.off == nullptr) {
      map_.wait(waiter);
      return false;
    }
    ++bits.off->pins;
  }
  if (on != no_extent) bits.on = map_.get(map_.bits_page(on));
  if (bits.off != nullptr) --bits.off->pins;
  if (on == no_extent || bits.on != nullptr) return true;
  map_.wait(waiter);
  return false;
}

void StoreImpl::change_bits(const Bits& bits, std::uint32_t off, std::uint32_t on) {
  CHECK(off != on);
  if (on != no_extent) {
    CHECK(!MapCache::bit(*bits.on, on));
    MapCache::set_bit(*bits.on, on, true);
    map_.mark_dirty(*bits.on);
  }
  if (off != no_extent) {
    CHECK(MapCache::bit(*bits.off, off));
    MapCache::set_bit(*bits.off, off, false);
    map_.mark_dirty(*bits.off);
    allocator_.will_be_free(off);
    // Taken in this checkpoint and given back: free again at once.
    if (!MapCache::committed_bit(*bits.off, off)) allocator_.may_be_free(off);
  }
}

// Its home, or else any. `extent` is only found; whoever wants it sets its bit.
Allocator::Found StoreImpl::find_extent(std::uint64_t home, MapWaiter& waiter,
                                        std::uint32_t& extent) {
  Allocator::Found found = allocator_.look_at(home);
  if (found == Allocator::Found::yes) {
    extent = static_cast<std::uint32_t>(home);
    return found;
  }
  if (found == Allocator::Found::no) {
    Allocator::Run run;
    std::uint64_t cursor = allocator_.start();
    found = allocator_.next_run(cursor, 1, run);
    extent = run.first;
    if (found == Allocator::Found::yes) allocator_.taken_below(run.first);
  }
  if (found == Allocator::Found::wait) map_.wait(waiter);
  return found;
}

// --- tickets and release ---

std::uint8_t StoreImpl::take_base_ticket() {
  ++base_tickets_[epoch_];
  return epoch_;
}

void StoreImpl::return_base_ticket(std::uint8_t epoch) {
  CHECK(base_tickets_[epoch] > 0);
  --base_tickets_[epoch];
}

void StoreImpl::release_later(bool bits) {
  release_wanted_ = true;
  release_bits_ = release_bits_ || bits;
}

// Work that waits for the next pump and for nothing else.
bool StoreImpl::release_is_due() const {
  return draining_ ? base_tickets_[1 - epoch_] == 0 : release_wanted_;
}

// No checkpoint begins before what the last one freed has been let go.
void StoreImpl::pump_release() {
  if (!draining_ && release_wanted_) {
    draining_ = true;
    drain_bits_ = release_bits_;
    release_wanted_ = false;
    release_bits_ = false;
    released_ = Lsn(super_.log_start_lsn);
    epoch_ = static_cast<std::uint8_t>(1 - epoch_);
  }
  if (!draining_ || base_tickets_[1 - epoch_] > 0) return;
  draining_ = false;
  if (drain_bits_) {
    map_.commit_bits();
    allocator_.committed();
  }
  named_.drop_before(released_, [this](std::uint32_t extent) { allocator_.may_be_free(extent); });
  say_log_space();
}

}  // namespace seawall::wal
