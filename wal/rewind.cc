// What makes a log shorter: cut, rewind, and forgetting it for a rebuild. One form for all: body of
// a fresh segment, flush, its header, flush, then the old header and those of all later numbers. A
// higher version of a number wins over it and over every later number, so each crash leaves the old
// or the new log.
#include <algorithm>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "wal/store_impl.h"

namespace seawall::wal {

// Overwrites the first block of each, one after the other, each flushed.
Status StoreImpl::clear_headers(std::span<const std::uint32_t> slots) {
  AlignedBuffer zeroes(block_bytes);
  for (const std::uint32_t slot : slots) {
    const FileId file = log_.slot(slot).file;
    TRY(disk_.write(file, 0, zeroes.span()));
    TRY(disk_.sync(file));
  }
  return ok();
}

// A slot that nothing needs; where all are taken, the newest of those that go anyway.
Result<std::uint32_t> StoreImpl::fresh_slot(std::vector<std::uint32_t>& clear) {
  for (std::uint32_t slot = 0; slot < layout_.segment_count; ++slot) {
    const bool goes = std::find(clear.begin(), clear.end(), slot) != clear.end();
    if (!log_.slot(slot).retained && !goes) return slot;
  }
  if (clear.empty()) return make_error(Errc::no_space, "no free segment for a cut");
  const std::uint32_t slot = clear.front();
  TRY(clear_headers(std::span(clear).first(1)));
  clear.erase(clear.begin());
  return slot;
}

Status StoreImpl::copy_batch(const BatchPlace& place, std::uint32_t to, const SegmentId& id,
                             Lsn end, AlignedBuffer& buffer) {
  const std::uint32_t slot = log_.slot_of(place.place);
  const std::uint32_t block = place.place % layout_.segment_blocks();
  const std::span<std::byte> bytes = buffer.first(std::size_t{place.blocks()} * block_bytes);
  const Status got = disk_.read(log_.slot(slot).file, log_.offset_of(place.place), bytes);
  if (!got) {
    // Payload that cannot be read stays unknown: its CRCs travel, its bytes do not fit them.
    std::fill(bytes.begin(), bytes.end(), std::byte{0});
    for (std::size_t at = 0; at < bytes.size(); at += block_bytes) {
      MAYBE(disk_
                .read(log_.slot(slot).file, log_.offset_of(place.place) + at,
                      bytes.subspan(at, block_bytes))
                .has_value());
    }
  }
  BatchView view;
  const SegmentId old = log_.slot(slot).header.id;
  if (!BatchView::open(bytes, options_.incarnation, &old, block, view)) {
    return make_error(Errc::corrupt, "a batch header has rotted since it was verified");
  }
  AlignedBuffer header(batch_header_blocks_max * block_bytes);
  std::size_t used = sizeof(DiskBatch);
  DiskBatch head = view.head();
  head.count = 0;
  head.payload_blocks = 0;
  BatchView::Record record;
  for (auto cursor = view.begin(); view.next(cursor, record) && record.header.lsn <= end;) {
    if (std::find(lost_marks_.begin(), lost_marks_.end(), record.header.lsn) != lost_marks_.end()) {
      record.header.flags |= record_flag_lost;
    }
    used = put_record(header.span(), used, record.header, record.crcs, record.extents);
    ++head.count;
    if (record.extents.empty()) {
      head.payload_blocks += static_cast<std::uint32_t>(record.crcs.size());
    }
  }
  head.header_blocks = static_cast<std::uint16_t>(header_blocks_for(used));
  head.number = id.number;
  head.segment_version = id.version;
  head.crc = 0;
  std::memcpy(header.data(), &head, sizeof head);
  const auto sealed = header.first(std::size_t{head.header_blocks} * block_bytes);
  seal_batch(sealed, batch_seed(options_.incarnation, id, block));
  const std::uint64_t offset = std::uint64_t{block} * block_bytes;
  TRY(disk_.write(log_.slot(to).file, offset, sealed));
  if (head.payload_blocks == 0) return ok();
  const auto payload = bytes.subspan(std::size_t{view.head().header_blocks} * block_bytes,
                                     std::size_t{head.payload_blocks} * block_bytes);
  return disk_.write(log_.slot(to).file, offset + sealed.size(), payload);
}

Status StoreImpl::copy_segment(std::uint32_t from, std::uint32_t to, const SegmentHeader& header,
                               Lsn end) {
  AlignedBuffer buffer((batch_header_blocks_max + batch_payload_blocks_max) * block_bytes);
  // The header that is there must not stand before a body that is not its own.
  const std::uint32_t target[] = {to};
  TRY(clear_headers(target));
  for (std::uint32_t i = 0; i < log_.batch_count(); ++i) {
    const BatchPlace& place = log_.batch(i);
    if (log_.slot_of(place.place) != from || place.first_lsn > end) continue;
    TRY(copy_batch(place, to, header.id, end, buffer));
  }
  const FileId file = log_.slot(to).file;
  TRY(disk_.sync(file));
  AlignedBuffer block(block_bytes);
  encode_segment(header, options_.incarnation, block.span());
  TRY(disk_.write(file, 0, block.span()));
  return disk_.sync(file);
}

// Makes `end` the last record of the log on disk.
Status StoreImpl::cut_log(Lsn end) {
  std::vector<std::uint32_t> clear = recovered_.clear;
  const std::vector<std::uint32_t>& order = log_.order();
  std::size_t kept = order.size();
  while (kept > 0 && log_.slot(order[kept - 1]).header.first_lsn > end) --kept;
  for (std::size_t i = order.size(); i > kept; --i) clear.push_back(order[i - 1]);
  if (kept > 0) {
    const std::uint32_t tail = order[kept - 1];
    const bool last = kept == order.size();
    const Lsn tail_end =
        last ? facts_.marks.written : Lsn(log_.slot(order[kept]).header.first_lsn.value() - 1);
    if (end < tail_end || (last && recovered_.copy_tail)) {
      SegmentHeader header = log_.slot(tail).header;
      header.id.version = next_version_++;
      TRY_ASSIGN(const std::uint32_t fresh, fresh_slot(clear));
      TRY(copy_segment(tail, fresh, header, end));
      clear.push_back(tail);
    }
  }
  return clear_headers(clear);
}

// A refusal changes nothing and the store goes on; an error on the way is final, for memory and
// disk may differ.
Status StoreImpl::end_exclusive(Status status) {
  quiescing_ = false;
  if (!status && !failed_) failed_ = status.error();  // pump() tells
  return status;
}

Status StoreImpl::rewind_blocking(Lsn to) {
  CHECK(idle());
  quiescing_ = false;
  if (failed_) return *failed_;
  if (to > facts_.marks.written) {
    return make_error(Errc::invalid_argument, "a rewind goes back", to.value());
  }
  if (to < facts_.marks.applied) {
    return make_error(Errc::refused, "the base is ahead of that record", to.value(),
                      facts_.marks.applied.value());
  }
  return end_exclusive(rewind_log(to));
}

Status StoreImpl::rewind_log(Lsn to) {
  // First what the super block proves is lowered: else the shorter log would look regressed.
  // It is flushed before, so that a record with an unknown payload stays below what is durable.
  TRY(sync_log());
  super_next_.durable_lsn = to.value();
  super_next_.written_lsn = 0;
  TRY(store_super_now());
  TRY(cut_log(to));
  TRY(load_log(false));
  if (recovered_.restart) {  // nothing but the base is left of a broken log
    forget_log(to, facts_.last_term, facts_.chain, terms_of(super_));
    TRY(store_super_now());
    TRY(load_log(false));
  }
  // A disk that lost a write of the cut: the next opening finds what there is.
  if (facts_.marks.written != to) {
    facts_.marks.durable = std::min(facts_.marks.durable, facts_.marks.written);
    return make_error(Errc::corrupt, "the log does not end where it was cut", to.value(),
                      facts_.marks.written.value());
  }
  fold_limit_ = std::min(fold_limit_, to);
  TRY(sync_log());
  facts_.marks.durable = to;
  super_next_.durable_lsn = to.value();
  super_next_.durable_term = facts_.last_term.value();
  return store_super_now();
}

// In super_next_: nothing of the log counts any more; it begins anew behind `cut`.
void StoreImpl::forget_log(Lsn cut, Term term, std::uint64_t chain, const TermTable& terms) {
  std::uint64_t number = std::max(super_.log_start_number, recovered_.last_number);
  for (const LogSlot& slot : log_.slots()) number = std::max(number, slot.header.id.number);
  super_next_.log_start_lsn = cut.value() + 1;
  super_next_.log_start_chain = chain;
  super_next_.log_start_number = number + 1;
  super_next_.log_start_version = next_version_;
  super_next_.applied_lsn = cut.value();
  super_next_.applied_term = term.value();
  super_next_.applied_chain = chain;
  super_next_.durable_lsn = cut.value();
  super_next_.durable_term = term.value();
  super_next_.written_lsn = 0;
  set_terms(super_next_, terms, cut);
}

Status StoreImpl::prepare_rebuild_blocking(const RebuildMarker& marker,
                                           const std::optional<Floor>& floor, Term cut_term,
                                           std::uint64_t cut_chain, const TermTable& terms,
                                           const RequestTables& requests, bool keep_base) {
  CHECK(idle());
  if (failed_) return *failed_;
  // One write says all of it: marker and floor are durable before anything is given up, and the log
  // is forgotten in the same moment.
  if (!has_flag(super_next_, super_flag_marker)) {
    set_flag(super_next_, super_flag_marker_start, marker.start.has_value());
    // Of a checkpoint that never committed the base may hold anything or nothing.
    super_next_.marker_start =
        marker.start ? std::min(marker.start->value(), super_next_.applied_lsn) : 0;
  }
  if (!keep_base) {  // nothing of what it held is there any more
    set_flag(super_next_, super_flag_marker_start, false);
    super_next_.marker_start = 0;
  }
  set_flag(super_next_, super_flag_marker, !MUTANT(M46));
  super_next_.marker_epoch = marker.session.epoch.value();
  super_next_.marker_counter = marker.session.counter;
  super_next_.marker_cut = marker.cut.value();
  if (floor) {
    const Floor old{Term(super_next_.floor_term), Lsn(super_next_.floor_lsn)};
    if (!has_flag(super_next_, super_flag_floor) || old < *floor) {
      set_flag(super_next_, super_flag_floor, true);
      super_next_.floor_term = floor->term.value();
      super_next_.floor_lsn = floor->lsn.value();
    }
  }
  forget_log(marker.cut, cut_term, cut_chain, terms);
  set_requests(super_next_, requests);
  // A generation of its own: what the lane writes goes to the other slots. A base that is not kept
  // starts empty: no page below the floor counts.
  base_doubtful_ = keep_base && (base_doubtful_ || has_flag(super_next_, super_flag_intent));
  std::uint64_t greatest = std::max(super_next_.map_generation, super_next_.intent_generation);
  greatest = std::max(greatest, super_next_.map_floor);
  for (std::uint32_t i = 0; i < super_next_.aborted_count; ++i) {
    greatest = std::max(greatest, super_next_.aborted[i]);
  }
  super_next_.map_generation = greatest + 1;
  set_flag(super_next_, super_flag_intent, false);
  set_flag(super_next_, super_flag_base_untrusted, false);
  if (!keep_base) {
    super_next_.map_floor = greatest + 1;
    super_next_.aborted_count = 0;
    extents_mapped_ = 0;
    super_next_.extents_mapped = 0;
  }
  TRY(end_exclusive(store_super_now()));
  if (!keep_base) map_.forget_all();
  set_generations();
  TRY(end_exclusive(load_log(false)));
  facts_.marks.durable = facts_.marks.written;
  CHECK(facts_.marks.written == marker.cut);
  fold_limit_ = marker.cut;  // what was stable in the history that is gone says nothing here
  base_lane_open_ = true;
  lane_folded_ = false;
  return ok();
}

}  // namespace seawall::wal
