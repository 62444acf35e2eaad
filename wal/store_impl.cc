#include "wal/store_impl.h"

#include <algorithm>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "wal/crc32c.h"

namespace seawall::wal {
namespace {

std::size_t map_pages_for(const Layout& layout) {
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(layout.pages() * 2, 64, map_pages_max));
}

}  // namespace

StoreImpl::StoreImpl(Disk& disk, const OpenOptions& options, Sink& sink, const Layout& layout)
    : disk_(disk),
      sink_(sink),
      options_(options),
      layout_(layout),
      log_(layout),
      index_(2 * layout.log_blocks() + 1024),
      named_(layout.named_max(), layout.extent_blocks()),
      map_(disk, layout, map_pages_for(layout)),
      allocator_(map_, named_, layout_),
      batches_(batch_pool_max),
      segment_headers_(batch_pool_max * block_bytes),
      sync_ops_(layout.segment_count + 1),
      super_writer_(disk, &StoreImpl::on_super_done, this),
      reads_(read_pool_max),
      log_reads_(log_read_pool_max),
      fold_chunk_((batch_header_blocks_max + batch_payload_blocks_max) * block_bytes),
      fold_ops_(fold_ops_max) {
  for (WriteBatch& batch : batches_) {
    batch.header = AlignedBuffer(batch_header_blocks_max * block_bytes);
    batch.store = this;
    batch.op.done = &StoreImpl::on_batch_done;
    batch.op.owner = &batch;
    for (WriteBatch::Part& part : batch.parts) {
      part.op.kind = Op::Kind::write;
      part.op.iov = &part.iov;
      part.op.iov_count = 1;
      part.op.done = &StoreImpl::on_large_done;
      part.op.owner = &batch;
    }
    free_batches_.push_back(&batch);
  }
  for (Op& op : sync_ops_) {
    op.kind = Op::Kind::sync;
    op.done = &StoreImpl::on_sync_done;
    op.owner = this;
  }
  for (ReadContext& context : reads_) {
    context.store = this;
    for (ReadContext::Part& part : context.parts) {
      part.context = &context;
      part.op.done = &StoreImpl::on_read_part;
      part.op.owner = &part;
    }
    context.waiter.owner = &context;
    context.waiter.wake = [](void* owner) {
      auto& woken = *static_cast<ReadContext*>(owner);
      if (woken.request != nullptr) woken.store->plan_read(woken);
    };
    free_reads_.push_back(&context);
  }
  for (LogReadContext& context : log_reads_) {
    context.store = this;
    context.header = AlignedBuffer(batch_header_blocks_max * block_bytes);
    context.op.done = &StoreImpl::on_log_read;
    context.op.owner = &context;
    for (LogReadContext::Part& part : context.parts) {
      part.op.kind = Op::Kind::read;
      part.op.iov = &part.iov;
      part.op.iov_count = 1;
      part.op.done = &StoreImpl::on_log_part;
      part.op.owner = &context;
    }
    free_log_reads_.push_back(&context);
  }
  prepare_fold();
  crc_seed_ = crc32c(std::as_bytes(std::span(&options_.incarnation, 1)));
}

StoreImpl::~StoreImpl() {
  for (const LogSlot& slot : log_.slots()) {
    if (slot.file != no_file) disk_.close(slot.file);
  }
  for (const FileId file : {super_file_, base_file_, map_file_}) {
    if (file != no_file) disk_.close(file);
  }
}

std::uint32_t StoreImpl::mixed_crc(std::uint32_t crc, std::uint64_t lba) const {
  return crc ^ static_cast<std::uint32_t>(mix64(crc_seed_, MUTANT(M63) ? 0 : lba));
}

void StoreImpl::fail(Error error) {
  if (!failed_) failed_ = error;
  tell_failure();
}

void StoreImpl::tell_failure() {
  if (!failed_ || failure_told_) return;
  failure_told_ = true;
  sink_.on_failed(*failed_);
}

void StoreImpl::pump(Instant now) {
  const Instant last_look = std::exchange(now_, std::max(now_, now));
  if (closed_) return;  // its files go with it: nothing may be on its way to them
  tell_failure();
  watch_disk(last_look);
  pump_reads();
  pump_log_reads();
  if (!failed_) {
    submit_batches();
    maybe_sync();
    pump_sweep();
    pump_release();
    pump_checkpoint();
    maybe_trim();
    pump_super();
  }
  run_base_read();
  run_map_read();
  run_base_write();
  run_flush_base();
}

bool StoreImpl::reads_idle() const {
  return waiting_reads_head_ == nullptr && waiting_log_reads_head_ == nullptr &&
         free_reads_.size() == read_pool_max && free_log_reads_.size() == log_read_pool_max;
}

bool StoreImpl::idle() const {
  const bool writes = in_flight_.empty() && syncs_running_ == 0;
  const bool queued = !failed_ && (open_ != nullptr || !sealed_.empty());
  const bool super = !super_writer_.busy() && (failed_ || rounds_wanted_ <= rounds_started_);
  const bool pages = page_writes_.running == 0;
  const bool fold = fold_.stage == FoldStage::idle || (failed_ && fold_.running == 0);
  const bool base =
      base_reads_.empty() && map_reads_.empty() && base_writes_.empty() &&
      (base_flush_.stage == BaseFlush::Stage::idle || (failed_ && base_flush_.running == 0));
  return writes && !queued && super && fold && pages && base && !map_.loading() && reads_idle();
}

void StoreImpl::pin(std::uint64_t pin, Lsn from) { pins_.insert_or_assign(pin, from); }
void StoreImpl::unpin(std::uint64_t pin) { pins_.erase(pin); }

void StoreImpl::thaw_base() {
  CHECK(freezes_ > 0);
  --freezes_;
}

void StoreImpl::set_fold_limit(Lsn upto) { fold_limit_ = std::max(fold_limit_, upto); }

}  // namespace seawall::wal
