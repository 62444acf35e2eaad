// Repair: bytes from elsewhere go where bad ones are, if they fit the CRCs that are here.
//
// Payload is written in place: a torn write leaves what was there before, a payload that does not
// fit. What changes a header (the flag of a lost record, a segment header) has the one form of
// rewind.cc or, where the first batch says the same again, is written in place as well. Blocking.
#include <algorithm>

#include "engine/base/check.h"
#include "wal/crc32c.h"
#include "wal/store_impl.h"

namespace seawall::wal {

void StoreImpl::note_first_unknown() {
  first_unknown_.reset();
  for (const RecordHeader& header : unknown_) {
    if (header.lsn <= Lsn(super_.applied_lsn)) continue;
    first_unknown_ = header.lsn;
    return;
  }
}

void StoreImpl::note_unknown(const RecordHeader& header) {
  const auto at = std::lower_bound(
      unknown_.begin(), unknown_.end(), header.lsn,
      [](const RecordHeader& known, Lsn lsn) { return known.lsn < lsn; });
  const bool known = at != unknown_.end() && at->lsn == header.lsn;
  if (known || unknown_.size() >= unknown_max) return;
  unknown_.insert(at, header);
  note_first_unknown();
}

// Segment headers that were read from the first batch behind them.
Status StoreImpl::restore_headers() {
  AlignedBuffer block(block_bytes);
  for (const auto& [slot, header] : recovered_.rebuilt) {
    encode_segment(header, options_.incarnation, block.span());
    TRY(disk_.write(log_.slot(slot).file, 0, block.span()));
  }
  return ok();  // the flush of the log follows
}

// --- records ---

Result<StoreImpl::RecordPlace> StoreImpl::place_of(Lsn lsn) {
  const std::uint32_t index = log_.find_batch(lsn);
  if (index == log_.batch_count()) return make_error(Errc::not_found, "no such record");
  const BatchPlace& batch = log_.batch(index);
  const std::uint32_t slot = log_.slot_of(batch.place);
  AlignedBuffer header(std::size_t{batch.header_blocks} * block_bytes);
  TRY(disk_.read(log_.slot(slot).file, log_.offset_of(batch.place), header.span()));
  BatchView view;
  const SegmentId id = log_.slot(slot).header.id;
  const std::uint32_t block = batch.place % layout_.segment_blocks();
  if (!BatchView::open(header.span(), options_.incarnation, &id, block, view)) {
    return make_error(Errc::corrupt, "a batch header has rotted", lsn.value());
  }
  BatchView::Record record;
  for (auto cursor = view.begin(); view.next(cursor, record);) {
    if (record.header.lsn != lsn) continue;
    RecordPlace place;
    place.crcs.assign(record.crcs.begin(), record.crcs.end());
    for (const std::uint32_t extent : record.extents) {
      place.pieces.push_back(
          {base_file_, std::uint64_t{extent} * layout_.extent_bytes, layout_.extent_bytes});
    }
    if (record.extents.empty()) {
      place.pieces.push_back({log_.slot(slot).file,
                              log_.offset_of(batch.place + record.payload_block),
                              record.crcs.size() * block_bytes});
    }
    return place;
  }
  return make_error(Errc::not_found, "no such record");
}

namespace {

bool payload_fits(std::span<const std::byte> bytes, std::span<const std::uint32_t> crcs) {
  return bytes.size() == crcs.size() * block_bytes && blocks_fit(bytes, crcs);
}

}  // namespace

Status StoreImpl::repair_log_blocking(std::span<const RecordRepair> repairs) {
  CHECK(idle());
  quiescing_ = false;
  if (failed_) return *failed_;
  return end_exclusive(repair_records(repairs));
}

Status StoreImpl::repair_records(std::span<const RecordRepair> repairs) {
  lost_marks_.clear();
  AlignedBuffer bytes(batch_payload_blocks_max * block_bytes);
  const auto known_again = [&](Lsn lsn) {
    std::erase_if(unknown_, [&](const RecordHeader& header) { return header.lsn == lsn; });
  };
  for (const RecordRepair& repair : repairs) {
    const auto place = place_of(repair.lsn);
    if (!place && place.error().code == Errc::not_found) {
      known_again(repair.lsn);  // cut or trimmed meanwhile
      continue;
    }
    if (!place) return place.error();
    if (repair.payload.empty()) {
      lost_marks_.push_back(repair.lsn);
      continue;
    }
    if (!payload_fits(repair.payload, place->crcs)) continue;
    std::copy(repair.payload.begin(), repair.payload.end(), bytes.data());
    std::span<std::byte> rest = bytes.first(repair.payload.size());
    for (const RecordPlace::Piece& piece : place->pieces) {
      TRY(disk_.write(piece.file, piece.offset, rest.first(piece.bytes)));
      TRY(disk_.sync(piece.file));
      TRY(disk_.read(piece.file, piece.offset, rest.first(piece.bytes)));
      rest = rest.subspan(piece.bytes);
    }
    if (!payload_fits(bytes.first(repair.payload.size()), place->crcs)) {
      return make_error(Errc::io_error, "a repaired record does not read back", repair.lsn.value());
    }
    known_again(repair.lsn);
  }
  TRY(mark_lost());
  note_first_unknown();
  if (!first_unknown_ && facts_.damage == Damage::unknown_records) facts_.damage = Damage::none;
  return ok();
}

// Each segment with a record that nobody has is copied, with the flag, under its own number and
// version: both copies are the same history, so a crash between them does no harm.
Status StoreImpl::mark_lost() {
  if (lost_marks_.empty()) return ok();
  const std::vector<std::uint32_t> order = log_.order();
  for (const std::uint32_t slot : order) {
    const bool here = std::any_of(lost_marks_.begin(), lost_marks_.end(), [&](Lsn lsn) {
      const std::uint32_t index = log_.find_batch(lsn);
      return index < log_.batch_count() && log_.slot_of(log_.batch(index).place) == slot;
    });
    if (!here) continue;
    std::vector<std::uint32_t> nothing;
    TRY_ASSIGN(const std::uint32_t fresh, fresh_slot(nothing));
    TRY(copy_segment(slot, fresh, log_.slot(slot).header, facts_.marks.written));
    const std::uint32_t old[] = {slot};
    TRY(clear_headers(old));
    const Lsn durable = facts_.marks.durable;
    const Lsn flush_wanted = flush_wanted_;
    TRY(load_log(false));
    // What is durable is said by a flush only: the owner waits for its word.
    facts_.marks.durable = durable;
    flush_wanted_ = flush_wanted;
    for (const std::uint32_t kept : log_.order()) log_.slot(kept).dirty = true;
  }
  lost_marks_.clear();
  return ok();
}

// --- blocks ---

std::optional<StoreImpl::BlockPlace> StoreImpl::place_of(Lba lba) {
  Index::Range range;
  const bool newer = index_.find(lba.value(), range) && range.lba == lba.value() &&
                     range.lsn > Lsn(super_.applied_lsn);
  if (newer) {
    if (range.place == Index::no_place) return std::nullopt;
    const std::uint32_t place = range.place;  // find() has cut the range to begin here
    if (Named::is_place(place)) {
      return BlockPlace{base_file_, named_.base_block(place) * block_bytes, named_.crc(place)};
    }
    return BlockPlace{log_.slot(log_.slot_of(place)).file, log_.offset_of(place),
                      log_.crc(place)};
  }
  const std::uint64_t extent = lba.value() / layout_.extent_blocks();
  const auto inside = static_cast<std::uint32_t>(lba.value() % layout_.extent_blocks());
  MapPage* page = map_.loaded(map_.entry_page(extent));
  if (page == nullptr || ((page->bad_sectors >> map_.sector_of(extent)) & 1) != 0) {
    return std::nullopt;
  }
  const EntryRef entry = map_.entry(*page, extent);
  const DiskEntry head = entry.head();
  const bool mapped = (head.flags & entry_flag_valid) != 0 && head.physical != no_extent;
  if (!mapped || (entry.present() >> inside & 1) == 0) return std::nullopt;
  return BlockPlace{base_file_,
                    std::uint64_t{head.physical} * layout_.extent_bytes +
                        std::uint64_t{inside} * block_bytes,
                    mixed_crc(entry.crc(inside), lba.value())};
}

Result<std::size_t> StoreImpl::repair_blocks_blocking(Lba lba, std::span<const std::byte> blocks) {
  CHECK(idle());
  quiescing_ = false;
  if (failed_) return *failed_;
  AlignedBuffer buffer(block_bytes);
  std::size_t good = 0;
  for (std::size_t at = 0; at < blocks.size(); at += block_bytes) {
    const auto place = place_of(Lba(lba.value() + at / block_bytes));
    if (!place || crc32c_block(blocks.data() + at) != place->crc) continue;
    const bool readable = disk_.read(place->file, place->offset, buffer.span()).has_value();
    ++good;
    if (readable && crc32c_block(buffer.data()) == place->crc) continue;  // it was for once only
    std::copy_n(blocks.data() + at, block_bytes, buffer.data());
    Status stored = disk_.write(place->file, place->offset, buffer.span());
    if (stored) stored = disk_.sync(place->file);
    if (!stored) {
      static_cast<void>(end_exclusive(stored));
      return stored.error();
    }
  }
  return good;
}

}  // namespace seawall::wal
