// Placing: what a record within the cut does to the entries of the map and the blocks of the base.
#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/base/check.h"
#include "wal/crc32c.h"
#include "wal/store_impl.h"

namespace seawall::wal {

void StoreImpl::on_map_ready(void* owner) {
  StoreImpl& store = *static_cast<StoreImpl*>(owner);
  if (store.fold_.stage == FoldStage::place && !store.failed_) store.fold_place();
}

// Goes on with the chunk until it is placed, or a page is missing.
void StoreImpl::fold_place() {
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
  for (std::uint32_t i = 0; i < fold_.record.crcs.size(); ++i) {
    if (crc32c_block(fold_payload(i)) != fold_.record.crcs[i]) return false;
  }
  return true;
}

// Each part of the record goes to the base, unless a newer record within the cut covers it. What
// only a record beyond the cut covers is placed as well: a rewind to the cut would need it.
bool StoreImpl::fold_place_record() {
  const RecordHeader& header = fold_.record.header;
  if (!changes_blocks(header.kind)) return true;
  const std::uint64_t end = header.lba.value() + header.blocks.value();
  while (fold_.lba < end) {
    Index::Range range;
    const bool found = index_.find(fold_.lba, range);
    CHECK_MSG(found && range.lba == fold_.lba, "the index holds every record beyond applied");
    CHECK(range.lsn >= header.lsn);
    const auto blocks =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(range.blocks, end - fold_.lba));
    const bool superseded = range.lsn > header.lsn && range.lsn <= fold_.cut;
    if (superseded) {
      fold_.lba += blocks;
    } else if (!fold_place_range(blocks)) {
      return false;
    }
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

// Both pages of an extent, or nullptr twice. A missing one is on its way; `waiter` will be woken.
StoreImpl::ExtentPages StoreImpl::pages_of(std::uint64_t extent, MapWaiter& waiter) {
  MapPage* entries = map_.get(map_.entry_page(extent));
  if (entries != nullptr) ++entries->pins;
  MapPage* bits = map_.get(map_.bits_page(extent));
  if (entries != nullptr) --entries->pins;
  if (entries != nullptr && bits != nullptr) return {entries, bits};
  map_.wait(waiter);
  return {};
}

bool StoreImpl::fold_entry(std::uint64_t extent, std::uint32_t first, std::uint32_t blocks) {
  const ExtentPages pages = pages_of(extent, fold_waiter_);
  if (pages.entries == nullptr) {
    if (map_.full_of_changes()) {
      fold_.pages_then_place = true;
      fold_.stage = FoldStage::write_pages;
      fold_.dirty_cursor = 0;
      fold_write_pages();
    }
    return false;
  }
  if (pages.entries->failed || pages.bits->failed) {
    fail(make_error(Errc::io_error, "the checkpoint cannot read the map", extent));
    return false;
  }
  if (pages.entries->bad_sectors != 0 || pages.bits->bad_sectors != 0) {
    // Said in the super block first: the replica comes back with a base that nobody trusts.
    set_flag(super_next_, super_flag_base_untrusted, true);
    untrusted_round_ = super_change();
    return false;
  }
  const RecordHeader& header = fold_.record.header;
  EntryRef entry = map_.entry(*pages.entries, extent);
  DiskEntry head = entry.head();
  if ((head.flags & entry_flag_valid) == 0) {
    std::memset(entry.bytes, 0, entry_bytes(layout_.extent_blocks()));
    head = DiskEntry{0, no_extent, entry_flag_valid, 0};
  }
  const std::uint64_t mask = (blocks == 64 ? ~0ull : (1ull << blocks) - 1) << first;
  std::uint64_t present = head.physical == no_extent ? 0 : entry.present();
  const bool mapped = head.physical != no_extent;
  present = has_payload(header) ? present | mask : present & ~mask;
  if (has_payload(header) && !mapped) {
    // Its home: nothing else can name it, for no record or snapshot names extents yet.
    head.physical = static_cast<std::uint32_t>(extent);
    map_extent(*pages.bits, extent, true);
    ++fold_.mapped_delta;
  } else if (present == 0 && mapped) {
    map_extent(*pages.bits, head.physical, false);
    head.physical = no_extent;
    --fold_.mapped_delta;
  }
  CHECK(head.last_lsn <= header.lsn.value() || head.last_lsn <= fold_.cut.value());
  head.last_lsn = std::max(head.last_lsn, header.lsn.value());
  entry.set_head(head);
  entry.set_present(present);
  map_.mark_dirty(*pages.entries);
  if (!has_payload(header)) return true;
  const auto skipped = static_cast<std::uint32_t>(fold_.lba - header.lba.value());
  for (std::uint32_t i = 0; i < blocks; ++i) {
    entry.set_crc(first + i, mixed_crc(fold_.record.crcs[skipped + i], fold_.lba + i));
    fold_moves_.push_back(FoldMove{std::uint64_t{head.physical} * layout_.extent_bytes +
                                       std::uint64_t{first + i} * block_bytes,
                                   fold_payload(skipped + i),
                                   static_cast<std::uint32_t>(fold_moves_.size())});
  }
  return true;
}

void StoreImpl::map_extent(MapPage& bits, std::uint64_t extent, bool on) {
  CHECK(MapCache::bit(bits, extent) != on);
  MapCache::set_bit(bits, extent, on);
  map_.mark_dirty(bits);
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
