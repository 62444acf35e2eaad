// Append, batches, flushes: the hot path of StoreImpl. A write or flush error is final.
#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "wal/store_impl.h"

namespace seawall::wal {
namespace {

bool is_control(const RecordHeader& header) { return header.kind == RecordKind::term_start; }

}  // namespace

bool StoreImpl::fits(const WriteBatch& batch, const RecordSize& size) {
  const std::size_t bytes = batch.header_bytes + size.header_bytes;
  if (batch.count == batch_records_max) return false;
  if (batch.payload_blocks + size.log_blocks > batch_payload_blocks_max) return false;
  if (batch.part_count + size.parts > large_parts_max) return false;
  if (size.parts > 0 ? batch.payload_blocks > 0 : size.log_blocks > 0 && batch.part_count > 0) {
    return false;
  }
  if (bytes > batch_header_blocks_max * block_bytes) return false;
  return header_blocks_for(bytes) + batch.payload_blocks + size.log_blocks <= batch.room;
}

bool StoreImpl::start_segment(WriteBatch& batch, const RecordHeader& header) {
  const std::size_t reserve =
      is_control(header) ? limits::segments_reserved - 1 : limits::segments_reserved;
  if (log_.free_count() <= reserve) return false;
  SegmentHeader segment{
      {last_number_ + 1, next_version_}, header.lsn, appended_chain_, appended_term_};
  ++last_number_;
  ++next_version_;
  CHECK(next_version_ < super_.log_version);
  tail_ = log_.take_free();
  log_.retain(*tail_, segment);
  tail_block_ = 1;
  batch.starts_segment = true;
  const auto index = static_cast<std::size_t>(&batch - batches_.data());
  const std::span<std::byte> bytes =
      segment_headers_.span().subspan(index * block_bytes, block_bytes);
  encode_segment(segment, options_.incarnation, bytes);
  batch.iov[0] = iovec{bytes.data(), bytes.size()};
  return true;
}

// Finds the place of a new batch, in the tail segment or at the start of the next one.
bool StoreImpl::place_batch(WriteBatch& batch, const RecordHeader& header, const RecordSize& size) {
  const std::uint32_t segment_blocks = layout_.segment_blocks();
  const std::uint32_t needed =
      header_blocks_for(sizeof(DiskBatch) + size.header_bytes) + size.log_blocks;
  const bool full = !tail_ || tail_block_ + needed > segment_blocks;
  const bool turns = !full && size.parts > 0 && tail_names_enough();
  if ((full || turns) && !start_segment(batch, header) && full) return false;
  batch.slot = *tail_;
  batch.block = tail_block_;
  batch.room = segment_blocks - tail_block_;
  return true;
}

WriteBatch* StoreImpl::open_batch(const RecordHeader& header, const RecordSize& size) {
  // The tail is the reserve of control records: nothing else may use it up.
  if (log_.free_count() < limits::segments_reserved && !is_control(header)) return nullptr;
  if (open_ != nullptr && fits(*open_, size)) return open_;
  if (open_ != nullptr) seal_open_batch();
  if (free_batches_.empty()) return nullptr;
  WriteBatch& batch = *free_batches_.front();
  batch.starts_segment = false;
  if (!place_batch(batch, header, size)) return nullptr;
  free_batches_.pop_front();
  batch.header_bytes = sizeof(DiskBatch);
  batch.iov_count = 2;
  batch.first_lsn = header.lsn;
  batch.chain_before = appended_chain_;
  batch.count = 0;
  batch.payload_blocks = 0;
  batch.part_count = 0;
  open_ = &batch;
  CHECK(fits(batch, size));
  return open_;
}

bool StoreImpl::append(const RecordHeader& header, std::span<const std::byte> payload,
                       std::span<const std::uint32_t> crcs) {
  if (stopped() || broken_) return false;
  CHECK(header.lsn == appended_.next());
  CHECK(payload.size() == payload_bytes(header).value());
  CHECK(crcs.size() * block_bytes == payload.size());
  CHECK_MSG(crcs.size() <= layout_.record_blocks_max(), "a record is at most a quarter segment");
  if (changes_blocks(header.kind)) {
    CHECK(header.blocks.value() > 0);
    CHECK(header.blocks.value() <= limits::discard_bytes_max / block_bytes);
    CHECK(header.lba.value() + header.blocks.value() <= layout_.size_blocks);
  }
  CHECK(header.payload_digest == (crcs.empty() ? 0 : digest_crcs(crcs)));
  CHECK_MSG(header.chain == chain_next(appended_chain_, header), "the chain is broken at the door");
  if (header.kind >= RecordKind::snapshot) {
    failed_ = make_error(Errc::not_supported, "snapshot and resize records are not taken yet",
                         static_cast<std::uint64_t>(header.kind));  // pump() tells
    return false;
  }
  const std::uint64_t unwritten = header.lsn.value() - facts_.marks.written.value();
  const auto blocks = static_cast<std::uint32_t>(crcs.size());
  LargePlan plan;
  const bool large = plan_large(header, plan);
  const RecordSize size{record_bytes(blocks, large ? plan.extents : 0), large ? 0 : blocks,
                        large ? plan.run_count : 0};
  WriteBatch* batch = nullptr;
  if (index_.room() >= 2 * unwritten + 2) batch = open_batch(header, size);
  if (batch == nullptr) {
    space_wanted_ = true;
    // Only what is durable can be folded and trimmed: a full log must not wait for somebody's
    // flush.
    if (must_make_room()) flush();
    return false;
  }
  if (large) {
    put_large(*batch, header, plan, payload, crcs);
  } else {
    batch->header_bytes = put_record(batch->header.span(), batch->header_bytes, header, crcs, {});
    if (!payload.empty()) {
      auto* bytes = const_cast<std::byte*>(payload.data());  // iovec serves reads, too
      batch->iov[batch->iov_count++] = iovec{bytes, payload.size()};
    }
  }
  ++batch->count;
  batch->payload_blocks += size.log_blocks;
  batch->last_lsn = header.lsn;
  appended_ = header.lsn;
  appended_chain_ = header.chain;
  appended_term_ = header.term;
  return true;
}

void StoreImpl::seal_open_batch() {
  WriteBatch& batch = *open_;
  open_ = nullptr;
  CHECK(batch.count > 0);
  const SegmentHeader& segment = log_.slot(batch.slot).header;
  const std::uint32_t header_blocks = header_blocks_for(batch.header_bytes);
  DiskBatch head{};
  head.magic = batch_magic;
  head.version = format_version;
  head.header_blocks = static_cast<std::uint16_t>(header_blocks);
  head.count = batch.count;
  head.number = segment.id.number;
  head.segment_version = segment.id.version;
  head.first_lsn = batch.first_lsn.value();
  head.chain_before = batch.chain_before;
  head.own_durable = facts_.marks.durable.value();
  head.own_written = facts_.marks.written.value();
  head.payload_blocks = batch.payload_blocks;
  const std::span<std::byte> header = batch.header.first(header_blocks * block_bytes);
  std::memcpy(header.data(), &head, sizeof head);
  std::memset(header.data() + batch.header_bytes, 0, header.size() - batch.header_bytes);
  seal_batch(header, batch_seed(options_.incarnation, segment.id, batch.block));
  batch.iov[1] = iovec{header.data(), header.size()};
  tail_block_ = batch.block + header_blocks + batch.payload_blocks;
  CHECK(tail_block_ <= layout_.segment_blocks());
  sealed_.push_back(&batch);
}

void StoreImpl::submit_batches() {
  while (in_flight_.size() < batches_in_flight_max) {
    if (sealed_.empty()) {
      if (open_ == nullptr) return;
      seal_open_batch();
    }
    submit_batch(*sealed_.pop_front());
  }
}

void StoreImpl::submit_batch(WriteBatch& batch) {
  const std::uint32_t skip = batch.starts_segment ? 0 : 1;
  Op& op = batch.op;
  op.kind = Op::Kind::write;
  op.file = log_.slot(batch.slot).file;
  op.offset = (batch.block - (batch.starts_segment ? 1 : 0)) * std::uint64_t{block_bytes};
  op.iov = batch.iov.data() + skip;
  op.iov_count = batch.iov_count - skip;
  // Alone, with all before it durable: one operation makes it so, instead of a write and a flush.
  const bool alone = in_flight_.empty() && syncs_running_ == 0 && sealed_.empty();
  op.dsync = alone && facts_.marks.durable == facts_.marks.written &&
             flush_wanted_ >= batch.last_lsn && batch.part_count == 0;
  in_flight_.push_back(&batch);
  batch.running = 1 + batch.part_count;
  for (std::uint32_t i = 0; i < batch.part_count; ++i) disk_.submit(batch.parts[i].op);
  disk_.submit(op);
}

void StoreImpl::on_batch_done(Op& op) {
  WriteBatch& batch = *static_cast<WriteBatch*>(op.owner);
  StoreImpl& store = *batch.store;
  --batch.running;
  if (op.result < 0) {
    store.fail(
        make_error(Errc::io_error, "a log write failed", static_cast<std::uint64_t>(-op.result)));
  } else if (!op.dsync) {
    store.log_.slot(batch.slot).dirty = true;
  }
  store.advance_written();
}

// `written` is the contiguous prefix of completed batches.
void StoreImpl::advance_written() {
  const Watermarks before = facts_.marks;
  while (!in_flight_.empty() && in_flight_.front()->done()) {
    WriteBatch& batch = *in_flight_.pop_front();
    free_batches_.push_back(&batch);
    if (failed_) continue;
    account_batch(batch);
    const bool durable_before = facts_.marks.durable == facts_.marks.written;
    facts_.marks.written = batch.last_lsn;
    if (batch.op.dsync && durable_before) facts_.marks.durable = batch.last_lsn;
  }
  if (failed_) return;
  if (facts_.marks.written > before.written) sink_.on_written(facts_.marks.written);
  if (!failed_ && facts_.marks.durable > before.durable) {
    sink_.on_durable(facts_.marks.durable);
  }
  if (!failed_) say_log_space();
}

void StoreImpl::note_term(const RecordHeader& header, std::uint64_t chain_before) {
  if (header.term == facts_.last_term) return;
  CHECK(header.term > facts_.last_term);
  facts_.last_term = header.term;
  if (facts_.terms.full()) facts_.terms.erase_at(0);
  facts_.terms.push_back(TermEntry{header.term, header.lsn, chain_before});
}

void StoreImpl::add_to_index(const RecordHeader& header, std::uint32_t place) {
  if (!changes_blocks(header.kind) || header.blocks.is_zero()) return;
  index_.insert(Index::Range{header.lba.value(), static_cast<std::uint32_t>(header.blocks.value()),
                             has_payload(header) ? place : Index::no_place, header.lsn});
}

// Notes where the CRCs of a payload are found; returns the place of its first block.
std::uint32_t StoreImpl::note_crcs(const BatchView::Record& record, std::uint32_t batch_place) {
  if (!record.extents.empty()) return named_.place_of(record.header.lsn);
  const std::uint32_t at = batch_place + record.payload_block;
  for (std::size_t i = 0; i < record.crcs.size(); ++i) {
    log_.crc(at + static_cast<std::uint32_t>(i)) = record.crcs[i];
  }
  return at;
}

// A completed batch enters the tables: from now on reads find it.
void StoreImpl::account_batch(const WriteBatch& batch) {
  BatchView view;
  const SegmentId id = log_.slot(batch.slot).header.id;
  const std::size_t header_bytes = header_blocks_for(batch.header_bytes) * block_bytes;
  CHECK(BatchView::open({batch.header.data(), header_bytes}, options_.incarnation, &id, batch.block,
                        view));
  BatchPlace place;
  place.first_lsn = batch.first_lsn;
  place.place = log_.place(batch.slot, batch.block);
  place.count = static_cast<std::uint16_t>(batch.count);
  place.payload_blocks = static_cast<std::uint16_t>(batch.payload_blocks);
  place.header_blocks = view.head().header_blocks;
  log_.push_batch(place);
  BatchView::Record record;
  for (auto cursor = view.begin(); view.next(cursor, record);) {
    note_term(record.header, facts_.chain);
    facts_.chain = record.header.chain;
    add_to_index(record.header, note_crcs(record, place.place));
  }
  ++stats_.batches;
  stats_.records += batch.count;
  stats_.log_bytes += std::uint64_t{place.blocks()} * block_bytes;
  if (!oldest_unfolded_) oldest_unfolded_ = now_;
}

// --- flush ---

void StoreImpl::flush() { flush_wanted_ = std::max(flush_wanted_, appended_); }

// One flush at a time; it covers every file written since its last one.
void StoreImpl::maybe_sync() {
  const Watermarks& marks = facts_.marks;
  if (syncs_running_ > 0 || flush_wanted_ <= marks.durable || marks.written <= marks.durable)
    return;
  sync_covers_ = marks.written;
  sync_error_ = 0;
  ++stats_.flushes;
  std::uint32_t count = 0;
  for (const LogSlot& slot : log_.slots()) count += slot.dirty ? 1 : 0;
  const bool base = std::exchange(base_dirty_, false);
  syncs_running_ = count + (base ? 1 : 0);
  CHECK(syncs_running_ > 0);
  if (base) {
    sync_ops_.back().file = base_file_;
    disk_.submit(sync_ops_.back());
  }
  for (std::size_t i = 0; i + 1 < sync_ops_.size(); ++i) {
    LogSlot& slot = log_.slot(static_cast<std::uint32_t>(i));
    if (!slot.dirty) continue;
    slot.dirty = false;
    sync_ops_[i].file = slot.file;
    disk_.submit(sync_ops_[i]);
  }
}

void StoreImpl::on_sync_done(Op& op) {
  StoreImpl& store = *static_cast<StoreImpl*>(op.owner);
  if (op.result < 0 && !MUTANT(M10)) store.sync_error_ = op.result;
  if (--store.syncs_running_ > 0) return;
  if (store.sync_error_ < 0) {
    store.fail(make_error(Errc::io_error, "a flush of log or base failed",
                          static_cast<std::uint64_t>(-store.sync_error_)));
    return;
  }
  if (store.failed_ || store.sync_covers_ <= store.facts_.marks.durable) return;
  store.facts_.marks.durable = store.sync_covers_;
  store.sink_.on_durable(store.sync_covers_);
}

// --- space ---

// Said when the fill has changed, and to whoever was refused whenever something has completed that
// may have been the reason. A hint: the next append may be refused again.
void StoreImpl::say_log_space() {
  if (MUTANT(M80)) return;
  const std::uint8_t fill = fill_percent();
  const bool room = space_wanted_ && !free_batches_.empty();
  if (!room && fill == fill_told_) return;
  if (room) space_wanted_ = false;
  fill_told_ = fill;
  sink_.on_log_space(fill);
}

}  // namespace seawall::wal
