// The checkpoint: folds stable records into the base.
//
//   idle -> intent -> (read_log -> place -> write_base)* -> write_pages -> flush -> commit -> idle
//
// intent and commit wait for the super block, place may wait for map pages or make room for them
// (write_pages and back). The log is read once, in order, chunk by chunk; of each record only what
// no newer record within the cut covers is placed. A crash at any point leaves the old super block,
// the old pages, and a log that redoes everything.
#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "wal/crc32c.h"
#include "wal/store_impl.h"

namespace seawall::wal {

void StoreImpl::prepare_fold() {
  fold_read_op_.kind = Op::Kind::read;
  fold_read_op_.done = &StoreImpl::on_fold_read;
  fold_read_op_.owner = this;
  fold_read_op_.iov = &fold_read_iov_;
  fold_read_op_.iov_count = 1;
  for (Op& op : fold_syncs_) {
    op.kind = Op::Kind::sync;
    op.owner = this;
  }
  for (FoldOp& fold : fold_ops_) {
    fold.store = this;
    fold.op.kind = Op::Kind::write;
    fold.op.owner = &fold;
    fold.op.iov = fold.iov.data();
  }
  copy_.lane.store = this;
  copy_.buffer = AlignedBuffer(layout_.extent_bytes);
  fold_moves_.reserve(fold_chunk_.size() / block_bytes);
  fold_waiter_.owner = this;
  fold_waiter_.wake = &StoreImpl::on_map_ready;
  map_waiter_.owner = this;
  map_waiter_.wake = [](void* owner) { static_cast<StoreImpl*>(owner)->run_map_read(); };
  base_read_.waiter.owner = this;
  base_read_.waiter.wake = [](void* owner) { static_cast<StoreImpl*>(owner)->run_base_read(); };
  base_write_.waiter.owner = this;
  base_write_.waiter.wake = [](void* owner) { static_cast<StoreImpl*>(owner)->run_base_write(); };
}

// --- when ---

// Nothing beyond it reaches the base: what is stable, durable here, and known.
Lsn StoreImpl::fold_ceiling() const {
  Lsn ceiling = std::min(fold_limit_, facts_.marks.durable);
  if (MUTANT(M66)) ceiling = facts_.marks.written;
  if (first_unknown_) ceiling = std::min(ceiling, Lsn(first_unknown_->value() - 1));
  return ceiling;
}

std::optional<Lsn> StoreImpl::next_cut() const {
  const Lsn ceiling = fold_ceiling();
  if (ceiling <= Lsn(super_.applied_lsn)) return std::nullopt;
  // The base may hold anything up to the cut of a checkpoint that a crash ended: redo all of it.
  const bool redo = has_flag(super_, super_flag_intent);
  if (redo && ceiling < Lsn(super_.intent_cut)) return std::nullopt;
  return ceiling;
}

bool StoreImpl::fold_is_due() const {
  const bool rests = base_lane_open_ && !MUTANT(M44);
  if (quiescing_ || failed_ || rests || broken_ || untrusted_round_ != 0) return false;
  if (releasing()) return false;
  if (facts_.damage == Damage::base_untrusted) return false;
  const bool redo = has_flag(super_, super_flag_intent);
  if (freezes_ > 0) return redo;  // a freeze waits for the redo
  if (checkpoint_wanted_ || redo) return true;
  if (oldest_unfolded_ && now_ >= *oldest_unfolded_ + Duration(limits::checkpoint_age_ms)) {
    return true;
  }
  const std::uint64_t unfolded = log_.bytes_beyond(Lsn(super_.applied_lsn));
  const std::uint64_t large = named_.beyond(Lsn(super_.applied_lsn));
  if (large * 100 >= named_.capacity() * limits::checkpoint_fill_percent) return true;
  return unfolded * 100 >= layout_.log_bytes * limits::checkpoint_fill_percent ||
         must_make_room();
}

// Segments and index nodes run out one without the other: many small records fill the index first.
bool StoreImpl::must_make_room() const {
  return fill_percent() >= limits::checkpoint_urgent_percent ||
         index_.room() < index_.capacity() / 100 * (100 - limits::checkpoint_urgent_percent);
}

void StoreImpl::pump_checkpoint() {
  if (untrusted_round_ != 0 && untrusted_round_ <= rounds_done_) {
    return fail(make_error(Errc::corrupt, "a page of the map has rotted"));
  }
  if (fold_.stage == FoldStage::idle && fold_is_due()) {
    const std::optional<Lsn> cut = next_cut();
    if (cut) {
      start_checkpoint(*cut);
    } else if (facts_.marks.written <= Lsn(super_.applied_lsn)) {
      checkpoint_wanted_ = false;  // nothing to fold
    }
  }
  if (fold_.stage == FoldStage::intent && rounds_done_ >= fold_.super_round) fold_read_chunk();
}

// Work that waits for the next pump and for nothing else.
bool StoreImpl::pump_is_due() const {
  const BaseFlush& flush = base_flush_;
  const bool lanes =
      (!base_reads_.empty() && !base_read_.busy && !base_read_.waiter.queued) ||
      (!map_reads_.empty() && !map_waiter_.queued) ||
      (!base_writes_.empty() && !base_write_.busy && !base_write_.waiter.queued) ||
      (flush.asked && flush.stage == BaseFlush::Stage::idle && base_writes_.empty()) ||
      (flush.stage == BaseFlush::Stage::super && flush.round <= rounds_done_);
  const bool super_waits = !super_writer_.busy() && rounds_wanted_ > rounds_started_;
  const bool intent_stored = fold_.stage == FoldStage::intent && rounds_done_ >= fold_.super_round;
  const bool reads = (waiting_reads_head_ != nullptr && !free_reads_.empty()) ||
                     (waiting_log_reads_head_ != nullptr && !free_log_reads_.empty());
  return lanes || release_is_due() || trim_is_due() || super_waits || intent_stored || reads ||
         sweeping_ || (failed_ && !failure_told_);
}

std::optional<Instant> StoreImpl::work_at() const {
  if (pump_is_due()) return now_;
  if (failed_ || fold_.stage != FoldStage::idle || !next_cut()) return std::nullopt;
  if (releasing()) return std::nullopt;  // until a read ends
  if (fold_is_due()) return now_;
  if (freezes_ > 0 || base_lane_open_ || !oldest_unfolded_) return std::nullopt;
  return *oldest_unfolded_ + Duration(limits::checkpoint_age_ms);
}

bool StoreImpl::frozen() const {
  return freezes_ > 0 && fold_.stage == FoldStage::idle && !has_flag(super_, super_flag_intent);
}

void StoreImpl::set_generations() {
  const bool open = fold_.stage != FoldStage::idle;
  map_.set_generations(Generations{super_.map_generation,
                                   super_.map_floor,
                                   open ? fold_.generation : 0,
                                   {super_.aborted, super_.aborted_count}});
}

// --- intent and log ---

void StoreImpl::start_checkpoint(Lsn cut) {
  checkpoint_wanted_ = false;
  if (has_flag(super_, super_flag_marker)) lane_folded_ = true;
  ++folds_;
  std::uint64_t greatest = std::max(super_next_.map_generation, super_next_.intent_generation);
  for (std::uint32_t i = 0; i < super_next_.aborted_count; ++i) {
    greatest = std::max(greatest, super_next_.aborted[i]);
  }
  fold_.stage = FoldStage::intent;
  fold_.cut = cut;
  fold_.generation = greatest + 1;
  fold_.done = Lsn(super_.applied_lsn);
  fold_.term = Term(super_.applied_term);
  fold_.chain = super_.applied_chain;
  fold_.requests = requests_of(super_);
  fold_.mapped_delta = 0;
  fold_.pages_then_place = false;
  set_flag(super_next_, super_flag_intent, true);
  super_next_.intent_cut = cut.value();
  super_next_.intent_generation = fold_.generation;
  fold_.super_round = super_change();
  set_generations();
}

// Reads the next batches, as many as lie together and fit.
void StoreImpl::fold_read_chunk() {
  if (failed_) return;
  if (fold_.done == fold_.cut) {
    fold_.pages_then_place = false;
    fold_.stage = FoldStage::write_pages;
    return fold_write_pages();
  }
  fold_.stage = FoldStage::read_log;
  std::uint32_t index = log_.find_batch(fold_.done.next());
  CHECK(index < log_.batch_count());
  fold_.chunk_place = log_.batch(index).place;
  fold_.slot = log_.slot_of(fold_.chunk_place);
  fold_.chunk_blocks = 0;
  for (; index < log_.batch_count(); ++index) {
    const BatchPlace& batch = log_.batch(index);
    if (batch.first_lsn > fold_.cut || log_.slot_of(batch.place) != fold_.slot) break;
    if ((fold_.chunk_blocks + batch.blocks()) * block_bytes > fold_chunk_.size()) break;
    fold_.chunk_blocks += batch.blocks();
  }
  fold_read_iov_ = iovec{fold_chunk_.data(), std::size_t{fold_.chunk_blocks} * block_bytes};
  fold_read_op_.file = log_.slot(fold_.slot).file;
  fold_read_op_.offset = log_.offset_of(fold_.chunk_place);
  ++fold_.running;
  disk_.submit(fold_read_op_);
}

void StoreImpl::on_fold_read(Op& op) {
  StoreImpl& store = *static_cast<StoreImpl*>(op.owner);
  --store.fold_.running;
  if (op.result < 0) {
    return store.fail(make_error(Errc::io_error, "the checkpoint cannot read the log",
                                 static_cast<std::uint64_t>(-op.result)));
  }
  store.fold_.stage = FoldStage::place;
  store.fold_.batch_block = 0;
  store.fold_.batch_open = false;
  store.fold_.record_open = false;
  store.fold_moves_.clear();
  store.fold_.moves_made = 0;
  store.fold_place();
}

// --- base blocks ---

FoldOp* StoreImpl::free_fold_op() {
  for (FoldOp& fold : fold_ops_) {
    if (!fold.busy) return &fold;
  }
  return nullptr;
}

// Joins what lies together; of two blocks for one place the later record's counts.
void StoreImpl::fold_write_base() {
  fold_.stage = FoldStage::write_base;
  std::sort(fold_moves_.begin(), fold_moves_.end(), [](const FoldMove& a, const FoldMove& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.order > b.order;
  });
  const auto last =
      std::unique(fold_moves_.begin(), fold_moves_.end(),
                  [](const FoldMove& a, const FoldMove& b) { return a.offset == b.offset; });
  fold_moves_.erase(last, fold_moves_.end());
  fold_next_move_ = 0;
  fold_submit_moves();
}

void StoreImpl::fold_submit_moves() {
  while (fold_next_move_ < fold_moves_.size() && !failed_) {
    FoldOp* fold = free_fold_op();
    if (fold == nullptr) return;
    std::uint64_t end = fold_moves_[fold_next_move_].offset;
    fold->op.file = base_file_;
    fold->op.offset = end;
    fold->op.iov_count = 0;
    fold->op.done = &StoreImpl::on_fold_write;
    while (fold_next_move_ < fold_moves_.size() && fold->op.iov_count < fold_iov_max &&
           fold_moves_[fold_next_move_].offset == end) {
      auto* from = const_cast<std::byte*>(fold_moves_[fold_next_move_].from);
      iovec* before = fold->op.iov_count == 0 ? nullptr : &fold->iov[fold->op.iov_count - 1];
      if (before != nullptr &&
          static_cast<std::byte*>(before->iov_base) + before->iov_len == from) {
        before->iov_len += block_bytes;  // it lies behind it in the chunk, too
      } else {
        fold->iov[fold->op.iov_count++] = iovec{from, block_bytes};
      }
      end += block_bytes;
      ++fold_next_move_;
    }
    stats_.base_bytes += end - fold->op.offset;
    fold->busy = true;
    ++fold_.running;
    disk_.submit(fold->op);
  }
  if (fold_.running == 0) fold_read_chunk();
}

void StoreImpl::on_fold_write(Op& op) {
  FoldOp& fold = *static_cast<FoldOp*>(op.owner);
  StoreImpl& store = *fold.store;
  fold.busy = false;
  --store.fold_.running;
  if (op.result < 0) {
    return store.fail(make_error(Errc::io_error, "a write to the base failed",
                                 static_cast<std::uint64_t>(-op.result)));
  }
  store.fold_submit_moves();
}

// --- pages, flush, commit ---

void StoreImpl::fold_write_pages() {
  write_pages(fold_.generation, &StoreImpl::fold_pages_written);
}

void StoreImpl::fold_pages_written() {
  if (!fold_.pages_then_place) return fold_flush();
  fold_.stage = FoldStage::place;
  fold_place();
}

void StoreImpl::fold_flush() {
  fold_.stage = FoldStage::flush;
  fold_.syncs = 2;
  fold_.running += 2;
  for (std::size_t i = 0; i < fold_syncs_.size(); ++i) {
    fold_syncs_[i].file = i == 0 ? base_file_ : map_file_;
    fold_syncs_[i].done = &StoreImpl::on_fold_sync;
    disk_.submit(fold_syncs_[i]);
  }
}

void StoreImpl::on_fold_sync(Op& op) {
  StoreImpl& store = *static_cast<StoreImpl*>(op.owner);
  --store.fold_.running;
  if (op.result < 0) {
    return store.fail(make_error(Errc::io_error, "a flush of base or map failed",
                                 static_cast<std::uint64_t>(-op.result)));
  }
  if (--store.fold_.syncs == 0 && !store.failed_) store.fold_commit();
}

void StoreImpl::fold_commit() {
  fold_.stage = FoldStage::commit;
  super_next_.applied_lsn = fold_.cut.value();
  super_next_.applied_term = fold_.term.value();
  super_next_.applied_chain = fold_.chain;
  super_next_.map_generation = fold_.generation;
  set_flag(super_next_, super_flag_intent, false);
  set_terms(super_next_, facts_.terms, fold_.cut);
  set_requests(super_next_, fold_.requests);
  CHECK(fold_.mapped_delta >= 0 ||
        extents_mapped_ >= static_cast<std::uint64_t>(-fold_.mapped_delta));
  extents_mapped_ += static_cast<std::uint64_t>(fold_.mapped_delta);
  const bool trims = trim_round_ == 0 && plan_trim(fold_.cut, TrimWhen::with_commit);
  fold_.super_round = super_change();
  if (trims) tell_trim();
}

// The super block with the new `applied` is durable; what the index holds up to there is the
// base's.
void StoreImpl::fold_committed() {
  fold_.stage = FoldStage::idle;
  set_generations();
  ++folds_;  // what a reader of the old map looks for may be gone from here on
  release_later(true);
  if (MUTANT(M67)) named_.drop_before(fold_.cut.next(), [](std::uint32_t) {});
  sweeping_ = true;
  sweep_cursor_ = 0;
  oldest_unfolded_.reset();
  if (facts_.marks.written > Lsn(super_.applied_lsn)) oldest_unfolded_ = now_;
  ++stats_.checkpoints;
  sink_.on_checkpointed(Lsn(super_.applied_lsn), facts_.marks.trimmed);
}

void StoreImpl::pump_sweep() {
  constexpr std::uint32_t budget = 512;
  if (!sweeping_) return;
  if (!index_.sweep(sweep_cursor_, Lsn(super_.applied_lsn), budget)) return;
  sweeping_ = false;
  if (space_wanted_) say_log_space();
}

}  // namespace seawall::wal
