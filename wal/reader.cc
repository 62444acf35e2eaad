// read(): index, else base, else zero, with the CRC of every block checked.
//
// A request is planned part by part, each part decided and submitted in one step; it waits for a
// free part or a map page and goes on. A block of the base that does not verify is read again when
// a checkpoint may have been writing it: then the index has the answer, or the map the new CRC.
#include <algorithm>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "wal/crc32c.h"
#include "wal/store_impl.h"

namespace seawall::wal {
namespace {

constexpr std::uint32_t attempts_max = 8;

ReadOp* next_of(const ReadOp& op) { return reinterpret_cast<ReadOp*>(op.scratch[0]); }
void set_next(ReadOp& op, ReadOp* next) { op.scratch[0] = reinterpret_cast<std::uintptr_t>(next); }

}  // namespace

void StoreImpl::read(ReadOp& op) {
  CHECK(op.done != nullptr);
  CHECK(op.blocks.value() > 0);
  CHECK(op.blocks.value() <= limits::record_blocks_max);
  CHECK(op.into.size() == op.blocks.value() * block_bytes);
  CHECK(op.crcs.size() == op.blocks.value());
  CHECK(op.lba.value() + op.blocks.value() <= layout_.size_blocks);
  op.result = Errc::ok;
  set_next(op, nullptr);
  if (waiting_reads_tail_ != nullptr) {
    set_next(*waiting_reads_tail_, &op);
  } else {
    waiting_reads_head_ = &op;
  }
  waiting_reads_tail_ = &op;
}

void StoreImpl::start_read(ReadContext& context, ReadOp& op) {
  context.request = &op;
  context.next_block = 0;
  context.running = 0;
  context.attempts = 0;
  context.folds_seen = folds_;
  context.result = failed_ ? failed_->code : Errc::ok;
  plan_read(context);
}

// Plans as far as parts and pages allow; finishes when all is read.
void StoreImpl::plan_read(ReadContext& context) {
  if (context.planning) return;
  context.planning = true;
  const auto total = static_cast<std::uint32_t>(context.request->blocks.value());
  while (context.result == Errc::ok && context.next_block < total && plan_part(context)) {
  }
  context.planning = false;
  if (context.running > 0) return;
  if (context.result == Errc::ok && context.next_block < total) return;  // waits for a page
  finish_read(context);
}

void StoreImpl::zero_blocks(ReadContext& context, std::uint32_t blocks) {
  ReadOp& op = *context.request;
  std::memset(op.into.data() + std::size_t{context.next_block} * block_bytes, 0,
              std::size_t{blocks} * block_bytes);
  for (std::uint32_t i = 0; i < blocks; ++i) {
    op.crcs[context.next_block + i] = crc32c_zero_block;
  }
  context.next_block += blocks;
}

ReadContext::Part* StoreImpl::free_part(ReadContext& context) {
  for (ReadContext::Part& part : context.parts) {
    if (!part.busy) return &part;
  }
  return nullptr;
}

void StoreImpl::submit_part(ReadContext::Part& part, FileId file, std::uint64_t offset) {
  ReadContext& context = *part.context;
  ReadOp& request = *context.request;
  part.busy = true;
  part.first_block = context.next_block;
  part.iov = iovec{request.into.data() + std::size_t{part.first_block} * block_bytes,
                   std::size_t{part.blocks} * block_bytes};
  part.op.kind = Op::Kind::read;
  part.op.file = file;
  part.op.offset = offset;
  part.op.iov = &part.iov;
  part.op.iov_count = 1;
  if (part.slot >= 0) {
    ++log_.slot(static_cast<std::uint32_t>(part.slot)).reads;
  } else {
    part.epoch = take_base_ticket();
  }
  context.next_block += part.blocks;
  ++context.running;
  disk_.submit(part.op);
}

// Decides the next part; false: nothing can be planned now.
bool StoreImpl::plan_part(ReadContext& context) {
  const ReadOp& request = *context.request;
  const std::uint64_t lba = request.lba.value() + context.next_block;
  const auto left = static_cast<std::uint32_t>(request.blocks.value() - context.next_block);
  Index::Range range;
  std::uint32_t gap = left;
  if (index_.find(lba, range)) {
    const bool folded = range.lsn <= Lsn(super_.applied_lsn);  // the base has it already
    if (range.lba == lba && !folded) {
      const std::uint32_t blocks = std::min(left, range.blocks);
      if (range.place == Index::no_place) {
        zero_blocks(context, blocks);
        return true;
      }
      ReadContext::Part* part = free_part(context);
      if (part == nullptr) return false;
      if (Named::is_place(range.place)) {
        submit_large_part(context, *part, range.place, blocks);
        return true;
      }
      part->blocks = blocks;
      const std::uint32_t slot = log_.slot_of(range.place);
      part->slot = static_cast<std::int32_t>(slot);
      for (std::uint32_t i = 0; i < blocks; ++i) {
        request.crcs[context.next_block + i] = log_.crc(range.place + i);
      }
      submit_part(*part, log_.slot(slot).file, log_.offset_of(range.place));
      return true;
    }
    gap = range.lba == lba
              ? std::min(left, range.blocks)
              : static_cast<std::uint32_t>(std::min<std::uint64_t>(left, range.lba - lba));
  }
  return plan_base(context, lba, gap);
}

// As many blocks as lie together, from extents that a record in the log names.
void StoreImpl::submit_large_part(ReadContext& context, ReadContext::Part& part,
                                  std::uint32_t place, std::uint32_t blocks) {
  const std::uint64_t first = named_.base_block(place);
  std::uint32_t run = 0;
  while (run < blocks && named_.base_block(place + run) == first + run) {
    context.request->crcs[context.next_block + run] = named_.crc(place + run);
    ++run;
  }
  part.blocks = run;
  part.slot = -1;
  submit_part(part, base_file_, first * block_bytes);
}

// Blocks [lba, lba + blocks) are in the base, or were never written.
bool StoreImpl::plan_base(ReadContext& context, std::uint64_t lba, std::uint32_t blocks) {
  const std::uint32_t per_extent = layout_.extent_blocks();
  const std::uint64_t extent = lba / per_extent;
  const auto inside = static_cast<std::uint32_t>(lba % per_extent);
  blocks = std::min(blocks, per_extent - inside);
  MapPage* page = map_.get(map_.entry_page(extent));
  if (page == nullptr) {
    map_.wait(context.waiter);
    return false;
  }
  const bool rotten = page->failed || ((page->bad_sectors >> map_.sector_of(extent)) & 1) != 0;
  if (rotten) {
    map_rotten_ = map_rotten_ || !page->failed;
    context.result = page->failed ? Errc::io_error : Errc::corrupt;
    return false;
  }
  const EntryRef entry = map_.entry(*page, extent);
  const DiskEntry head = entry.head();
  const std::uint64_t present =
      (head.flags & entry_flag_valid) != 0 && head.physical != no_extent ? entry.present() : 0;
  const auto is_there = [&](std::uint32_t block) { return (present >> block & 1) != 0; };
  std::uint32_t run = 1;
  while (run < blocks && is_there(inside + run) == is_there(inside)) ++run;
  if (!is_there(inside)) {
    zero_blocks(context, run);
    return true;
  }
  ReadContext::Part* part = free_part(context);
  if (part == nullptr) return false;
  part->blocks = run;
  part->slot = -1;
  for (std::uint32_t i = 0; i < run; ++i) {
    context.request->crcs[context.next_block + i] = mixed_crc(entry.crc(inside + i), lba + i);
  }
  submit_part(
      *part, base_file_,
      std::uint64_t{head.physical} * layout_.extent_bytes + std::uint64_t{inside} * block_bytes);
  return true;
}

bool StoreImpl::read_verifies(ReadContext& context, const ReadContext::Part& part) {
  const ReadOp& request = *context.request;
  for (std::uint32_t i = 0; i < part.blocks; ++i) {
    const std::size_t block = part.first_block + i;
    const std::uint32_t crc = crc32c_block(request.into.data() + block * block_bytes);
    if (crc != request.crcs[block] && !MUTANT(M69)) return false;
  }
  return true;
}

void StoreImpl::on_read_part(Op& op) {
  ReadContext::Part& part = *static_cast<ReadContext::Part*>(op.owner);
  ReadContext& context = *part.context;
  StoreImpl& store = *context.store;
  part.busy = false;
  --context.running;
  if (part.slot >= 0) {
    LogSlot& slot = store.log_.slot(static_cast<std::uint32_t>(part.slot));
    --slot.reads;
    if (!slot.retained && store.space_wanted_) store.say_log_space();
  } else {
    store.return_base_ticket(part.epoch);
  }
  if (op.result < 0) {
    context.result = Errc::io_error;
  } else if (context.result == Errc::ok && !store.read_verifies(context, part)) {
    context.result = Errc::corrupt;
  }
  store.plan_read(context);
}

void StoreImpl::finish_read(ReadContext& context) {
  const bool may_be_torn =
      context.folds_seen != folds_ || fold_.stage != FoldStage::idle || base_write_.busy;
  if (context.result == Errc::corrupt && may_be_torn && ++context.attempts < attempts_max) {
    context.next_block = 0;
    context.folds_seen = folds_;
    context.result = Errc::ok;
    plan_read(context);
    return;
  }
  ReadOp& request = *context.request;
  request.result = context.result;
  context.request = nullptr;
  free_reads_.push_back(&context);
  request.done(request);
}

// Starts what waits; reads are answered from completions or from here, never inside read().
void StoreImpl::pump_reads() {
  while (waiting_reads_head_ != nullptr && !free_reads_.empty()) {
    ReadOp& op = *waiting_reads_head_;
    waiting_reads_head_ = next_of(op);
    if (waiting_reads_head_ == nullptr) waiting_reads_tail_ = nullptr;
    start_read(*free_reads_.pop_front(), op);
  }
}

}  // namespace seawall::wal
