// The base lanes of a rebuild: extents out of a frozen base, and extents into the base of a target
// whose checkpointer rests. One extent at a time in each direction; requests queue.
#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/base/check.h"
#include "wal/crc32c.h"
#include "wal/store_impl.h"

namespace seawall::wal {

// One operation for each run of present blocks; `bytes` holds them packed.
void StoreImpl::submit_lane(BaseLane& lane, Op::Kind kind, std::uint32_t physical,
                            std::uint64_t present, std::byte* bytes, void (*done)(Op&)) {
  lane.busy = true;
  lane.error = 0;
  lane.store = this;
  std::uint32_t count = 0;
  const std::uint32_t total = layout_.extent_blocks();
  for (std::uint32_t block = 0; block < total;) {
    if ((present >> block & 1) == 0) {
      ++block;
      continue;
    }
    std::uint32_t run = 1;
    while (block + run < total && (present >> (block + run) & 1) != 0) ++run;
    Op& op = lane.ops[count];
    lane.iov[count] = iovec{bytes, std::size_t{run} * block_bytes};
    op.kind = kind;
    op.file = base_file_;
    op.offset = std::uint64_t{physical} * layout_.extent_bytes + std::uint64_t{block} * block_bytes;
    op.iov = &lane.iov[count];
    op.iov_count = 1;
    op.owner = &lane;
    op.done = done;
    bytes += std::size_t{run} * block_bytes;
    block += run;
    ++count;
  }
  lane.running = count;
  for (std::uint32_t i = 0; i < count; ++i) disk_.submit(lane.ops[i]);
}

// --- out ---

void StoreImpl::read_base(BaseReadOp& op) {
  CHECK(op.done != nullptr);
  CHECK(op.into.size() >= layout_.extent_bytes);
  CHECK(op.crcs.size() >= layout_.extent_blocks());
  op.end = false;
  op.result = Errc::ok;
  base_reads_.push_back(&op);
  if (base_reads_.size() == 1) base_read_extent_ = first_extent_from(op.from);
}

// An extent that began before `from` was read before.
std::uint64_t StoreImpl::first_extent_from(Lba from) const {
  return (from.value() + layout_.extent_blocks() - 1) / layout_.extent_blocks();
}

void StoreImpl::end_base_read(Errc result) {
  BaseReadOp& op = *base_reads_.pop_front();
  base_read_.busy = false;
  op.result = result;
  if (!base_reads_.empty()) {
    base_read_extent_ = first_extent_from(base_reads_.front()->from);
  }
  op.done(op);
}

void StoreImpl::run_base_read() {
  constexpr int budget = 4096;
  for (int i = 0; i < budget && !base_reads_.empty() && !base_read_.busy; ++i) {
    if (failed_) {
      end_base_read(failed_->code);
    } else if (!step_base_read()) {
      return;
    }
  }
}

// Looks at one extent, or skips an absent page; false: waits.
bool StoreImpl::step_base_read() {
  BaseReadOp& op = *base_reads_.front();
  const std::uint64_t extent = base_read_extent_;
  if (extent >= layout_.extents()) {
    op.end = true;
    end_base_read(Errc::ok);
    return true;
  }
  MapPage* page = map_.get(map_.entry_page(extent));
  if (page == nullptr) {
    map_.wait(base_read_.waiter);
    return false;
  }
  if (page->failed || page->bad_sectors != 0) {
    map_rotten_ = map_rotten_ || !page->failed;
    end_base_read(page->failed ? Errc::io_error : Errc::corrupt);
    return true;
  }
  if (page->slot < 0 && !page->dirty) {  // absent: nothing in any of its extents
    base_read_extent_ = (map_.entry_page(extent) + 1) * layout_.entries_per_page();
    return true;
  }
  const EntryRef entry = map_.entry(*page, extent);
  const DiskEntry head = entry.head();
  ++base_read_extent_;
  if ((head.flags & entry_flag_valid) == 0) return true;
  op.header.lba = Lba(extent * layout_.extent_blocks());
  op.header.last_lsn = Lsn(head.last_lsn);
  op.header.present = head.physical == no_extent ? 0 : entry.present();
  std::uint32_t packed = 0;
  for (std::uint32_t block = 0; block < layout_.extent_blocks(); ++block) {
    if ((op.header.present >> block & 1) == 0) continue;
    op.crcs[packed++] = mixed_crc(entry.crc(block), op.header.lba.value() + block);
  }
  if (packed == 0) {
    end_base_read(Errc::ok);
  } else {
    submit_lane(base_read_, Op::Kind::read, head.physical, op.header.present, op.into.data(),
                &StoreImpl::on_base_read);
  }
  return true;
}

void StoreImpl::on_base_read(Op& op) {
  BaseLane& lane = *static_cast<BaseLane*>(op.owner);
  StoreImpl& store = *lane.store;
  if (op.result < 0) lane.error = op.result;
  if (--lane.running > 0) return;
  BaseReadOp& request = *store.base_reads_.front();
  Errc result = lane.error < 0 ? Errc::io_error : Errc::ok;
  const int packed = std::popcount(request.header.present);
  for (int i = 0; i < packed && result == Errc::ok; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (crc32c_block(request.into.data() + at * block_bytes) != request.crcs[at]) {
      result = Errc::corrupt;
    }
  }
  store.end_base_read(result);
  store.run_base_read();
}

// --- in ---

void StoreImpl::write_base(BaseWriteOp& op) {
  CHECK(op.done != nullptr);
  const auto blocks = static_cast<std::size_t>(std::popcount(op.header.present));
  CHECK(op.from.size() == blocks * block_bytes);
  CHECK(op.crcs.size() == blocks);
  CHECK(op.header.lba.value() % layout_.extent_blocks() == 0);
  CHECK(op.header.lba.value() < layout_.size_blocks);
  op.result = Errc::ok;
  if (!lane_folded_) base_lane_open_ = true;
  base_writes_.push_back(&op);
}

void StoreImpl::end_base_write(Errc result) {
  BaseWriteOp& op = *base_writes_.pop_front();
  base_write_.busy = false;
  op.result = result;
  op.done(op);
}

void StoreImpl::run_base_write() {
  while (!base_writes_.empty() && !base_write_.busy) {
    if (failed_) {
      end_base_write(failed_->code);
    } else if (fold_.stage != FoldStage::idle || lane_folded_) {
      // A checkpoint has folded records of the log lane: an older base block must not cover them.
      end_base_write(Errc::refused);
    } else if (!step_base_write()) {
      return;
    }
  }
}

// Where all pages are changed, writes them, so that others may come.
void StoreImpl::make_room_for_lane() {
  if (!map_.full_of_changes() || base_flush_.stage != BaseFlush::Stage::idle) return;
  flush_base_data(true);
}

// One extent; false: waits for a page.
bool StoreImpl::step_base_write() {
  BaseWriteOp& op = *base_writes_.front();
  const std::uint64_t extent = op.header.lba.value() / layout_.extent_blocks();
  MapPage* page = map_.get(map_.entry_page(extent));
  if (page == nullptr) {
    map_.wait(base_write_.waiter);
    make_room_for_lane();
    return false;
  }
  if (base_flush_.stage != BaseFlush::Stage::idle &&
      base_flush_.stage != BaseFlush::Stage::waiting) {
    return false;  // pages are being written: they must not change meanwhile
  }
  if (page->failed || page->bad_sectors != 0) {
    end_base_write(Errc::corrupt);
    return true;
  }
  ++page->pins;
  const bool done = put_base_entry(*page, op, extent);
  --page->pins;
  return done;
}

bool StoreImpl::put_base_entry(MapPage& page, BaseWriteOp& op, std::uint64_t extent) {
  EntryRef entry = map_.entry(page, extent);
  const DiskEntry head = entry.head();
  const std::uint32_t old = (head.flags & entry_flag_valid) != 0 ? head.physical : no_extent;
  std::uint32_t target = op.header.present == 0 ? no_extent : old;
  if (op.header.present != 0 && (old == no_extent || named_.contains(old))) {
    const Allocator::Found found = find_extent(extent, base_write_.waiter, target);
    if (found != Allocator::Found::yes) {
      if (found == Allocator::Found::wait) make_room_for_lane();
      if (found == Allocator::Found::no) {
        if (allocator_.met_rot()) note_rotten(true);
        end_base_write(Errc::no_space);
      }
      return found == Allocator::Found::no;
    }
  }
  if (target != old) {
    Bits bits;
    if (!pages_of_bits(old, target, base_write_.waiter, bits)) {
      make_room_for_lane();
      return false;
    }
    for (const MapPage* used : {bits.off, bits.on}) {
      if (used != nullptr && (used->failed || used->bad_sectors != 0)) {
        if (!used->failed) note_rotten(true);
        end_base_write(Errc::corrupt);
        return true;
      }
    }
    change_bits(bits, old, target);
    extents_mapped_ += static_cast<std::uint64_t>(target != no_extent) -
                       static_cast<std::uint64_t>(old != no_extent);
  }
  std::memset(entry.bytes, 0, entry_bytes(layout_.extent_blocks()));
  const bool stays = target != no_extent || op.header.last_lsn > Lsn(0);
  entry.set_head(DiskEntry{op.header.last_lsn.value(), target,
                           stays ? entry_flag_valid : std::uint16_t{0}, 0});
  entry.set_present(op.header.present);
  std::uint32_t packed = 0;
  for (std::uint32_t block = 0; block < layout_.extent_blocks(); ++block) {
    if ((op.header.present >> block & 1) == 0) continue;
    entry.set_crc(block, mixed_crc(op.crcs[packed++], op.header.lba.value() + block));
  }
  map_.mark_dirty(page);
  if (target == no_extent) {
    end_base_write(Errc::ok);
  } else {
    stats_.base_bytes += op.from.size();
    submit_lane(base_write_, Op::Kind::write, target, op.header.present,
                const_cast<std::byte*>(op.from.data()), &StoreImpl::on_base_write);
  }
  return true;
}

void StoreImpl::on_base_write(Op& op) {
  BaseLane& lane = *static_cast<BaseLane*>(op.owner);
  StoreImpl& store = *lane.store;
  if (op.result < 0) lane.error = op.result;
  if (--lane.running > 0) return;
  if (lane.error < 0) {
    store.fail(make_error(Errc::io_error, "a write to the base failed",
                          static_cast<std::uint64_t>(-lane.error)));
  }
  store.end_base_write(lane.error < 0 ? Errc::io_error : Errc::ok);
  store.run_base_write();
}

// --- the end of the lane ---

void StoreImpl::flush_base(void (*done)(void*, Errc), void* owner) {
  CHECK(done != nullptr);
  CHECK_MSG(!base_flush_.asked, "one flush of the base at a time");
  base_flush_.done = done;
  base_flush_.owner = owner;
  base_flush_.asked = true;
}

void StoreImpl::end_flush_base() {
  base_flush_.stage = BaseFlush::Stage::idle;
  base_flush_.asked = false;
  if (!failed_) base_lane_open_ = false;
  release_later(true);
  base_flush_.done(base_flush_.owner, failed_ ? failed_->code : Errc::ok);
}

// data -> pages -> flush -> super, behind all queued writes of the lane. No page is on the disk
// before the data that it names: after a crash an entry is old, or true.
void StoreImpl::run_flush_base() {
  BaseFlush& flush = base_flush_;
  if (!flush.asked) return;
  const bool resting = flush.stage == BaseFlush::Stage::idle;
  if (failed_ && flush.running == 0 && page_writes_.running == 0) return end_flush_base();
  if (resting && base_writes_.empty() && fold_.stage == FoldStage::idle) {
    return flush_base_data(false);
  }
  if (flush.stage == BaseFlush::Stage::super && flush.round <= rounds_done_) end_flush_base();
}

void StoreImpl::flush_base_data(bool make_room) {
  base_flush_.stage = BaseFlush::Stage::data;
  base_flush_.make_room = make_room;
  base_flush_.running = 1;
  Op& op = base_flush_.data_sync;
  op.kind = Op::Kind::sync;
  op.file = base_file_;
  op.owner = this;
  op.done = &StoreImpl::on_base_data;
  disk_.submit(op);
}

void StoreImpl::on_base_data(Op& op) {
  StoreImpl& store = *static_cast<StoreImpl*>(op.owner);
  store.base_flush_.running = 0;
  if (op.result < 0) {
    return store.fail(make_error(Errc::io_error, "a flush of the base failed",
                                 static_cast<std::uint64_t>(-op.result)));
  }
  if (store.failed_) return;
  store.base_flush_.stage = BaseFlush::Stage::pages;
  store.flush_base_pages();
}

void StoreImpl::flush_base_pages() {
  write_pages(super_.map_generation, &StoreImpl::base_pages_written);
}

void StoreImpl::base_pages_written() {
  BaseFlush& flush = base_flush_;
  if (flush.make_room) {
    flush.stage = BaseFlush::Stage::idle;
    return run_base_write();
  }
  flush.stage = BaseFlush::Stage::flush;
  flush.running = 2;
  for (std::size_t i = 0; i < fold_syncs_.size(); ++i) {
    fold_syncs_[i].file = i == 0 ? base_file_ : map_file_;
    fold_syncs_[i].done = &StoreImpl::on_flush_base;
    disk_.submit(fold_syncs_[i]);
  }
}

void StoreImpl::on_flush_base(Op& op) {
  StoreImpl& store = *static_cast<StoreImpl*>(op.owner);
  BaseFlush& flush = store.base_flush_;
  --flush.running;
  if (op.result < 0) {
    return store.fail(make_error(Errc::io_error, "a flush of base or map failed",
                                 static_cast<std::uint64_t>(-op.result)));
  }
  if (flush.running > 0 || store.failed_) return;
  flush.stage = BaseFlush::Stage::super;
  flush.round = store.super_change();  // the count of mapped extents
}

}  // namespace seawall::wal
