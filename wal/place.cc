// Placing: what a record within the cut does to the entries of the map and the blocks of the base.
#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "wal/crc32c.h"
#include "wal/store_impl.h"

namespace seawall::wal {

void StoreImpl::on_map_ready(void* owner) {
  StoreImpl& store = *static_cast<StoreImpl*>(owner);
  if (store.fold_.stage == FoldStage::place && !store.failed_) store.fold_place();
}

// Goes on with the chunk until it is placed, or a page is missing.
void StoreImpl::fold_place() {
  const ExtentCopy::Stage copy = copy_.stage;
  if (copy == ExtentCopy::Stage::reading || copy == ExtentCopy::Stage::writing) return;
  while (!failed_) {
    if (!fold_.batch_open) {
      if (fold_.batch_block >= fold_.chunk_blocks) break;
      const std::uint32_t place = fold_.chunk_place + fold_.batch_block;
      const SegmentId id = log_.slot(fold_.slot).header.id;
      const auto bytes = fold_chunk_.span().subspan(
          std::size_t{fold_.batch_block} * block_bytes,
          std::size_t{fold_.chunk_blocks - fold_.batch_block} * block_bytes);
      if (!BatchView::open(bytes, options_.incarnation, &id, place % layout_.segment_blocks(),
                           fold_.batch)) {
        return fail(make_error(Errc::corrupt, "a batch header has rotted", fold_.done.value()));
      }
      fold_.cursor = fold_.batch.begin();
      fold_.batch_open = true;
      fold_.record_open = false;
    }
    if (!fold_.record_open) {
      if (!fold_.batch.next(fold_.cursor, fold_.record)) {
        fold_.batch_block += fold_.batch.blocks();
        fold_.batch_open = false;
        continue;
      }
      if (fold_.record.header.lsn <= fold_.done) continue;
      if (fold_.record.header.lsn > fold_.cut) break;
      fold_.record_open = true;
      fold_.lba = fold_.record.header.lba.value();
      if (!fold_payload_verifies()) {
        return fail(make_error(Errc::corrupt, "a payload in the log has rotted",
                               fold_.record.header.lsn.value()));
      }
    }
    if (!fold_place_record()) return;
    fold_.record_open = false;
    fold_.done = fold_.record.header.lsn;
    fold_.term = fold_.record.header.term;
    fold_.chain = fold_.record.header.chain;
    fold_.requests.fold(fold_.record.header);
  }
  if (!failed_) fold_write_base();
}

const std::byte* StoreImpl::fold_payload(std::uint32_t block) const {
  return fold_chunk_.data() +
         std::size_t{fold_.batch_block + fold_.record.payload_block + block} * block_bytes;
}

bool StoreImpl::fold_payload_verifies() const {
  if (!fold_.record.extents.empty()) return true;  // in the base since it was written
  // Lost: its blocks get the CRC that their bytes do not fit, and are unreadable until rewritten.
  if ((fold_.record.header.flags & record_flag_lost) != 0) return true;
  for (std::uint32_t i = 0; i < fold_.record.crcs.size(); ++i) {
    if (crc32c_block(fold_payload(i)) != fold_.record.crcs[i]) return false;
  }
  return true;
}

// Whether records within the cut that are newer cover [lba, lba + blocks), as far as one range of
// the index tells; `blocks` shrinks to that.
bool StoreImpl::fold_superseded(std::uint64_t lba, std::uint32_t& blocks) const {
  Index::Range range;
  const bool found = index_.find(lba, range);
  CHECK_MSG(found && range.lba == lba, "the index holds every record beyond applied");
  CHECK(range.lsn >= fold_.record.header.lsn);
  blocks = std::min(blocks, range.blocks);
  return range.lsn > fold_.record.header.lsn && range.lsn <= fold_.cut;
}

// Each part of the record goes to the base, unless a newer record within the cut covers it. What
// only a record beyond the cut covers is placed as well: a rewind to the cut would need it.
bool StoreImpl::fold_place_record() {
  const RecordHeader& header = fold_.record.header;
  if (!changes_blocks(header.kind)) return true;
  if (!fold_.record.extents.empty()) return fold_place_large();
  const std::uint64_t end = header.lba.value() + header.blocks.value();
  while (fold_.lba < end) {
    auto blocks = static_cast<std::uint32_t>(end - fold_.lba);
    if (fold_superseded(fold_.lba, blocks)) {
      fold_.lba += blocks;
    } else if (!fold_place_range(blocks)) {
      return false;
    }
  }
  return true;
}

// A large write is placed extent by extent: whole, where anything of it counts. What covers a part
// of it comes later in the log, and so later here.
bool StoreImpl::fold_place_large() {
  const RecordHeader& header = fold_.record.header;
  const std::uint32_t per_extent = layout_.extent_blocks();
  for (const std::uint64_t end = header.lba.value() + header.blocks.value(); fold_.lba < end;) {
    bool counts = false;
    for (std::uint32_t at = 0; at < per_extent && !counts;) {
      std::uint32_t blocks = per_extent - at;
      counts = !fold_superseded(fold_.lba + at, blocks);
      at += blocks;
    }
    if (counts && !fold_entry(fold_.lba / per_extent, 0, per_extent)) return false;
    fold_.lba += per_extent;
  }
  return true;
}

// Places `blocks` from fold_.lba on, extent by extent.
bool StoreImpl::fold_place_range(std::uint32_t blocks) {
  const std::uint32_t per_extent = layout_.extent_blocks();
  while (blocks > 0) {
    const auto inside = static_cast<std::uint32_t>(fold_.lba % per_extent);
    const std::uint32_t count = std::min(blocks, per_extent - inside);
    if (!fold_entry(fold_.lba / per_extent, inside, count)) return false;
    fold_.lba += count;
    blocks -= count;
  }
  return true;
}

// Some page is on its way, or waits for room among pages that are all changed.
void StoreImpl::fold_page_missing() {
  map_.wait(fold_waiter_);
  if (!map_.full_of_changes()) return;
  fold_.pages_then_place = true;
  fold_.stage = FoldStage::write_pages;
  fold_write_pages();
}

bool StoreImpl::fold_page_bad(const MapPage& page, std::uint64_t extent) {
  if (page.failed) {
    fail(make_error(Errc::io_error, "the checkpoint cannot read the map", extent));
    return true;
  }
  if (page.bad_sectors == 0) return false;
  note_rotten(map_.is_bits(page.number));
  return true;
}

void StoreImpl::distrust_base() { note_rotten(false); }

// Said in the super block first. Bits are made anew from the entries when the replica comes back;
// with an entry it comes back with a base that nobody trusts.
void StoreImpl::note_rotten(bool bits) {
  if (untrusted_round_ != 0 || failed_) return;
  set_flag(super_next_, bits ? super_flag_bits_rotten : super_flag_base_untrusted, true);
  untrusted_round_ = super_change();
}

bool StoreImpl::fold_entry(std::uint64_t extent, std::uint32_t first, std::uint32_t blocks) {
  MapPage* page = map_.get(map_.entry_page(extent));
  if (page == nullptr) {
    fold_page_missing();
    return false;
  }
  if (fold_page_bad(*page, extent)) return false;
  ++page->pins;  // stays while pages of bits come in
  const bool changed = fold_change(*page, extent, first, blocks);
  --page->pins;
  return changed;
}

// The physical extent that the entry will name: false: not known yet.
bool StoreImpl::fold_target(const EntryRef& entry, const DiskEntry& head, std::uint64_t extent,
                            std::uint64_t mask, std::uint32_t& target) {
  const bool mapped = head.physical != no_extent;
  const std::uint64_t present = mapped ? entry.present() : 0;
  target = head.physical;
  if (!fold_.record.extents.empty()) {
    const std::uint64_t skipped = fold_.lba - fold_.record.header.lba.value();
    target = fold_.record.extents[skipped / layout_.extent_blocks()];
    return true;
  }
  if (!has_payload(fold_.record.header)) {
    if ((present & ~mask) == 0) target = no_extent;
    return true;
  }
  // A copy that was begun is used, even where the log has let go of the extent meanwhile.
  const bool copied = copy_.stage == ExtentCopy::Stage::done;
  if (mapped && (copied || named_.contains(head.physical))) {
    return fold_copy(entry, extent, present & ~mask, target);
  }
  return mapped || fold_find(extent, target);
}

// A fresh extent. There is one: layout.h says why.
bool StoreImpl::fold_find(std::uint64_t extent, std::uint32_t& target) {
  switch (find_extent(extent, fold_waiter_, target)) {
    case Allocator::Found::yes: return true;
    case Allocator::Found::wait: fold_page_missing(); return false;
    case Allocator::Found::no: break;
  }
  if (allocator_.met_rot()) {
    note_rotten(true);
    return false;
  }
  fail(make_error(Errc::no_space, "the checkpoint finds no free extent", extent));
  return false;
}

bool StoreImpl::fold_change(MapPage& page, std::uint64_t extent, std::uint32_t first,
                            std::uint32_t blocks) {
  const RecordHeader& header = fold_.record.header;
  EntryRef entry = map_.entry(page, extent);
  DiskEntry head = entry.head();
  const bool fresh = (head.flags & entry_flag_valid) == 0;
  if (fresh) head = DiskEntry{0, no_extent, entry_flag_valid, 0};
  const std::uint64_t mask = (blocks == 64 ? ~0ull : (1ull << blocks) - 1) << first;
  const std::uint64_t present = head.physical == no_extent ? 0 : entry.present();
  const std::uint32_t old = head.physical;
  std::uint32_t target = no_extent;
  if (!fold_target(entry, head, extent, mask, target)) return false;
  if (target != old) {
    const bool taken = copy_.stage == ExtentCopy::Stage::done;  // its bit is set already
    Bits bits;
    if (!pages_of_bits(old, taken ? no_extent : target, fold_waiter_, bits)) {
      fold_page_missing();
      return false;
    }
    for (const MapPage* used : {bits.off, bits.on}) {
      if (used != nullptr && fold_page_bad(*used, extent)) return false;
    }
    change_bits(bits, old, taken ? no_extent : target);
    copy_.stage = ExtentCopy::Stage::none;
    if (old != no_extent) drop_moves(old);
    fold_.mapped_delta += (target != no_extent ? 1 : 0) - (old != no_extent ? 1 : 0);
    head.physical = target;
  }
  CHECK(head.last_lsn <= header.lsn.value() || head.last_lsn <= fold_.cut.value());
  if (has_payload(header) || !MUTANT(M52)) {
    head.last_lsn = std::max(head.last_lsn, header.lsn.value());
  }
  if (fresh) std::memset(entry.bytes, 0, entry_bytes(layout_.extent_blocks()));
  entry.set_head(head);
  entry.set_present(has_payload(header) ? present | mask : present & ~mask);
  map_.mark_dirty(page);
  if (has_payload(header)) fold_move_blocks(entry, head.physical, first, blocks);
  return true;
}

// CRCs into the map, blocks on their way to the base; those of a large write are there.
void StoreImpl::fold_move_blocks(EntryRef& entry, std::uint64_t physical, std::uint32_t first,
                                 std::uint32_t blocks) {
  const auto skipped = static_cast<std::uint32_t>(fold_.lba - fold_.record.header.lba.value());
  for (std::uint32_t i = 0; i < blocks; ++i) {
    entry.set_crc(first + i, mixed_crc(fold_.record.crcs[skipped + i], fold_.lba + i));
    if (!fold_.record.extents.empty()) continue;
    fold_moves_.push_back(FoldMove{
        physical * layout_.extent_bytes + std::uint64_t{first + i} * block_bytes,
        fold_payload(skipped + i), fold_.moves_made++});
  }
}

// Nothing of this chunk may reach an extent that was given back: it may have a new owner already.
void StoreImpl::drop_moves(std::uint32_t physical) {
  std::erase_if(fold_moves_, [&](const FoldMove& move) {
    return move.offset / layout_.extent_bytes == physical;
  });
}

// Overwrites the slots of generations that were begun and never committed, then forgets their
// numbers. Blocking, at opening, when the list is full.
Status StoreImpl::sweep_aborted() {
  AlignedBuffer both(2 * page_bytes);
  AlignedBuffer zeroes(page_bytes);
  for (std::uint64_t number = 0; number < layout_.pages(); ++number) {
    const std::uint64_t offset = number * 2 * page_bytes;
    TRY(disk_.read(map_file_, offset, both.span()));
    const std::uint32_t magic = map_.is_bits(number) ? bits_magic : entry_magic;
    for (std::size_t slot = 0; slot < 2; ++slot) {
      const auto bytes = both.span().subspan(slot * page_bytes, page_bytes);
      const std::uint64_t generation = greatest_generation(bytes, number, magic);
      const auto* end = super_next_.aborted + super_next_.aborted_count;
      if (std::find(std::as_const(super_next_).aborted, end, generation) == end) continue;
      TRY(disk_.write(map_file_, offset + slot * page_bytes, zeroes.span()));
    }
  }
  TRY(disk_.sync(map_file_));
  // The greatest stays: the next generation is counted from it.
  const auto* end = super_next_.aborted + super_next_.aborted_count;
  super_next_.aborted[0] = *std::max_element(std::as_const(super_next_).aborted, end);
  super_next_.aborted_count = 1;
  return ok();
}

}  // namespace seawall::wal
