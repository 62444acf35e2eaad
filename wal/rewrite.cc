// After an unclean stop: what was read from the log and is not proven durable is written once more.
//
// A flush may have failed in the process before, and a flush that follows a failed one proves
// nothing: what can be read may sit in a cache that no flush hardens any more. It may as well be
// durable without a proof, so nothing is written over it: each segment is copied to a free file,
// under its own number and version. Both copies are one history; a crash leaves one or both.
#include <algorithm>

#include "wal/crc32c.h"
#include "wal/store_impl.h"

namespace seawall::wal {
namespace {

Error reads_differently(Lsn lsn) {
  return make_error(Errc::corrupt, "a record reads differently than before", lsn.value());
}

}  // namespace

bool StoreImpl::is_unknown(Lsn lsn) const {
  return std::any_of(unknown_.begin(), unknown_.end(),
                     [lsn](const RecordHeader& header) { return header.lsn == lsn; });
}

// Every batch of the segment in `slot` reads in `file` as the opening found it.
bool StoreImpl::segment_reads(std::uint32_t slot, FileId file, AlignedBuffer& buffer) {
  for (std::uint32_t i = 0; i < log_.batch_count(); ++i) {
    const BatchPlace& batch = log_.batch(i);
    if (log_.slot_of(batch.place) != slot) continue;
    const std::span<std::byte> bytes = buffer.first(std::size_t{batch.blocks()} * block_bytes);
    if (!disk_.read(file, log_.offset_of(batch.place), bytes)) return false;
    if (!check_batch(batch, bytes)) return false;
  }
  return true;
}

bool StoreImpl::holds_unknown(std::uint32_t slot) const {
  return std::any_of(unknown_.begin(), unknown_.end(), [&](const RecordHeader& header) {
    const std::uint32_t index = log_.find_batch(header.lsn);
    return index < log_.batch_count() && log_.slot_of(log_.batch(index).place) == slot;
  });
}

// What does not read well now may do so later: a segment with any of that stays where it is, and a
// copy that does not read back is given up.
Status StoreImpl::rewrite_unproven(bool power_loss) {
  AlignedBuffer buffer((batch_header_blocks_max + batch_payload_blocks_max) * block_bytes);
  std::vector<std::uint32_t> unproven;
  for (std::uint32_t i = 0; i < log_.batch_count(); ++i) {
    const BatchPlace& batch = log_.batch(i);
    if (batch.last_lsn() <= recovered_.durable) continue;
    const std::uint32_t slot = log_.slot_of(batch.place);
    if (unproven.empty() || unproven.back() != slot) unproven.push_back(slot);
    if (!options_.after_failure) continue;
    const std::span<std::byte> bytes = buffer.first(std::size_t{batch.blocks()} * block_bytes);
    if (!disk_.read(log_.slot(slot).file, log_.offset_of(batch.place), bytes)) continue;
    TRY(rewrite_extents(batch, bytes));
  }
  std::vector<std::uint32_t> clear = recovered_.clear;
  for (const std::uint32_t slot : unproven) {
    if (holds_unknown(slot) || !segment_reads(slot, log_.slot(slot).file, buffer)) continue;
    const Result<std::uint32_t> fresh = fresh_slot(clear);
    // No free file: a log that opens with what a failed flush may have left is better than none.
    if (!fresh && fresh.error().code == Errc::no_space) return ok();
    if (!fresh) return fresh.error();
    TRY(copy_segment(slot, *fresh, log_.slot(slot).header, facts_.marks.written));
    const bool good = segment_reads(slot, log_.slot(*fresh).file, buffer);
    const std::uint32_t goes[] = {good ? slot : *fresh};
    TRY(clear_headers(goes));
    if (!good) continue;
    TRY(load_log(power_loss));
    clear = recovered_.clear;
  }
  return ok();
}

Status StoreImpl::open_batch(const BatchPlace& batch, std::span<const std::byte> bytes,
                             BatchView& view) const {
  const SegmentId id = log_.slot(log_.slot_of(batch.place)).header.id;
  const std::uint32_t block = batch.place % layout_.segment_blocks();
  const bool same = BatchView::open(bytes, options_.incarnation, &id, block, view) &&
                    view.first_lsn() == batch.first_lsn && view.blocks() == batch.blocks();
  return same ? ok() : Status(reads_differently(batch.first_lsn));
}

// Wrong bytes, brought once by a read, must not become what is there.
Status StoreImpl::check_batch(const BatchPlace& batch, std::span<const std::byte> bytes) const {
  BatchView view;
  TRY(open_batch(batch, bytes, view));
  BatchView::Record record;
  for (auto cursor = view.begin(); view.next(cursor, record);) {
    const bool lost = (record.header.flags & record_flag_lost) != 0;
    if (!record.extents.empty() || lost || is_unknown(record.header.lsn)) continue;
    const auto payload = bytes.subspan(std::size_t{record.payload_block} * block_bytes);
    const bool folded = record.header.lsn <= Lsn(super_.applied_lsn);
    if (!folded && !blocks_fit(payload, record.crcs)) return reads_differently(record.header.lsn);
  }
  return ok();
}

// The payload of the large writes of a batch.
Status StoreImpl::rewrite_extents(const BatchPlace& batch, std::span<const std::byte> bytes) {
  BatchView view;
  TRY(open_batch(batch, bytes, view));
  AlignedBuffer extent(layout_.extent_bytes);
  BatchView::Record record;
  for (auto cursor = view.begin(); view.next(cursor, record);) {
    if (is_unknown(record.header.lsn)) continue;
    std::span<const std::uint32_t> crcs = record.crcs;
    for (const std::uint32_t number : record.extents) {
      const std::uint64_t offset = std::uint64_t{number} * layout_.extent_bytes;
      const auto mine = crcs.first(std::min<std::size_t>(crcs.size(), layout_.extent_blocks()));
      crcs = crcs.subspan(mine.size());
      if (!disk_.read(base_file_, offset, extent.span())) continue;
      if (!blocks_fit(extent.span(), mine)) return reads_differently(record.header.lsn);
      TRY(disk_.write(base_file_, offset, extent.span()));
    }
  }
  return ok();
}

}  // namespace seawall::wal
