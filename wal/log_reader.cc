// read_log(): records as they lie in the log, for a peer's stream. One batch an operation: its
// header and, where the request fits, its payload in the same read, straight into the caller's
// buffer.
#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "wal/crc32c.h"
#include "wal/store_impl.h"

namespace seawall::wal {
namespace {

LogReadOp* next_of(const LogReadOp& op) { return reinterpret_cast<LogReadOp*>(op.scratch[0]); }
void set_next(LogReadOp& op, LogReadOp* next) {
  op.scratch[0] = reinterpret_cast<std::uintptr_t>(next);
}

}  // namespace

void StoreImpl::read_log(LogReadOp& op) {
  CHECK(op.done != nullptr);
  CHECK(op.from <= op.upto);
  CHECK(op.into.size() % block_bytes == 0);
  CHECK(!op.headers.empty());
  op.count = 0;
  op.result = Errc::ok;
  set_next(op, nullptr);
  if (waiting_log_reads_tail_ != nullptr) {
    set_next(*waiting_log_reads_tail_, &op);
  } else {
    waiting_log_reads_head_ = &op;
  }
  waiting_log_reads_tail_ = &op;
}

void StoreImpl::pump_log_reads() {
  while (waiting_log_reads_head_ != nullptr && !free_log_reads_.empty()) {
    LogReadOp& op = *waiting_log_reads_head_;
    waiting_log_reads_head_ = next_of(op);
    if (waiting_log_reads_head_ == nullptr) waiting_log_reads_tail_ = nullptr;
    LogReadContext& context = *free_log_reads_.pop_front();
    context.request = &op;
    start_log_read(context);
  }
}

void StoreImpl::end_log_read(LogReadContext& context, Errc result) {
  LogReadOp& request = *context.request;
  request.result = result;
  context.request = nullptr;
  free_log_reads_.push_back(&context);
  request.done(request);
}

void StoreImpl::start_log_read(LogReadContext& context) {
  LogReadOp& request = *context.request;
  if (failed_) return end_log_read(context, failed_->code);
  const std::uint32_t index = log_.find_batch(request.from);
  if (index == log_.batch_count()) return end_log_read(context, Errc::not_found);
  context.batch = log_.batch(index);
  context.slot = log_.slot_of(context.batch.place);
  context.iov[0] =
      iovec{context.header.data(), std::size_t{context.batch.header_blocks} * block_bytes};
  const std::size_t payload = std::size_t{context.batch.payload_blocks} * block_bytes;
  context.iov[1] = iovec{request.into.data(), payload};
  context.payload_read =
      request.from == context.batch.first_lsn && payload > 0 && payload <= request.into.size();
  context.take_records = 0;
  context.careful = false;
  context.op.kind = Op::Kind::read;
  context.op.file = log_.slot(context.slot).file;
  context.op.offset = log_.offset_of(context.batch.place);
  context.op.iov = context.iov.data();
  context.op.iov_count = context.payload_read ? 2 : 1;
  ++log_.slot(context.slot).reads;
  disk_.submit(context.op);
}

// Chooses the records that the request takes; false: none fits.
bool StoreImpl::plan_log_read(LogReadContext& context) {
  LogReadOp& request = *context.request;
  BatchView view;
  const SegmentId id = log_.slot(context.slot).header.id;
  const std::uint32_t block = context.batch.place % layout_.segment_blocks();
  if (!BatchView::open(context.header.span(), options_.incarnation, &id, block, view)) {
    // What is not folded yet is needed whole: the opening finds out what is left, and from whom the
    // rest can come. Nothing else would look at it again.
    const Lsn last = context.batch.last_lsn();
    end_log_read(context, Errc::corrupt);
    if (last > Lsn(super_.applied_lsn) && !MUTANT(M142)) {
      fail(make_error(Errc::corrupt, "a batch of the log does not verify", last.value()));
    }
    return false;
  }
  context.take_blocks = 0;
  context.take_records = 0;
  context.skip_blocks = 0;
  context.part_count = 0;
  const std::size_t room = std::min(request.into.size() / block_bytes, request.crcs.size());
  BatchView::Record record;
  for (auto cursor = view.begin(); view.next(cursor, record);) {
    const auto blocks = static_cast<std::uint32_t>(record.crcs.size());
    if (record.header.lsn < request.from) {
      context.skip_blocks += blocks;
      continue;
    }
    if (record.header.lsn > request.upto || context.take_records == request.headers.size()) break;
    if (context.take_blocks + blocks > room) break;
    if (context.careful && context.take_records > 0) break;
    if (!plan_log_parts(context, record)) break;
    request.headers[context.take_records++] = record.header;
    std::copy(record.crcs.begin(), record.crcs.end(),
              request.crcs.begin() + static_cast<std::ptrdiff_t>(context.take_blocks));
    context.take_blocks += blocks;
  }
  if (context.take_records > 0) return true;
  end_log_read(context, Errc::too_large);
  return false;
}

// The runs of extents that hold the payload of a large write; false: no room for them.
bool StoreImpl::plan_log_parts(LogReadContext& context, const BatchView::Record& record) {
  const std::uint32_t before = context.part_count;
  std::byte* into = context.request->into.data() + std::size_t{context.take_blocks} * block_bytes;
  for (std::size_t i = 0; i < record.extents.size();) {
    std::size_t run = 1;
    while (i + run < record.extents.size() &&
           record.extents[i + run] == record.extents[i] + static_cast<std::uint32_t>(run)) {
      ++run;
    }
    if (context.part_count == large_parts_max) {
      context.part_count = before;
      return false;
    }
    LogReadContext::Part& part = context.parts[context.part_count++];
    part.iov = iovec{into, run * layout_.extent_bytes};
    part.op.file = base_file_;
    part.op.offset = std::uint64_t{record.extents[i]} * layout_.extent_bytes;
    into += part.iov.iov_len;
    i += run;
  }
  return true;
}

void StoreImpl::read_log_parts(LogReadContext& context) {
  context.error = 0;
  context.epoch = take_base_ticket();
  context.running = context.part_count;
  for (std::uint32_t i = 0; i < context.part_count; ++i) disk_.submit(context.parts[i].op);
}

void StoreImpl::on_log_part(Op& op) {
  LogReadContext& context = *static_cast<LogReadContext*>(op.owner);
  StoreImpl& store = *context.store;
  if (op.result < 0) context.error = op.result;
  if (--context.running > 0) return;
  store.return_base_ticket(context.epoch);
  if (context.error < 0) return store.on_log_unreadable(context);
  store.deliver_log_read(context);
}

void StoreImpl::read_log_payload(LogReadContext& context) {
  context.iov[0] =
      iovec{context.request->into.data(), std::size_t{context.take_blocks} * block_bytes};
  context.op.offset =
      log_.offset_of(context.batch.place + context.batch.header_blocks + context.skip_blocks);
  context.op.iov_count = 1;
  context.payload_read = true;
  ++log_.slot(context.slot).reads;
  disk_.submit(context.op);
}

void StoreImpl::on_log_read(Op& op) {
  LogReadContext& context = *static_cast<LogReadContext*>(op.owner);
  StoreImpl& store = *context.store;
  --store.log_.slot(context.slot).reads;
  const bool second = context.take_records > 0;
  if (op.result < 0) return store.on_log_unreadable(context);
  if (!second && !store.plan_log_read(context)) return;
  if (context.part_count > 0) return store.read_log_parts(context);
  if (!second && !context.payload_read && context.take_blocks > 0) {
    return store.read_log_payload(context);
  }
  store.deliver_log_read(context);
}

// The first record that was asked for has no payload here: it is named, and remembered.
void StoreImpl::end_unknown(LogReadContext& context) {
  context.request->count = 1;
  note_unknown(context.request->headers[0]);
  end_log_read(context, Errc::corrupt);
}

// A bad sector somewhere: the header alone, then one record at a time, tell which one has it.
void StoreImpl::on_log_unreadable(LogReadContext& context) {
  const bool header_alone = !context.payload_read;
  if (context.careful || (header_alone && context.take_records == 0)) {
    const bool named = std::exchange(context.take_records, 0) > 0;
    return named ? end_unknown(context) : end_log_read(context, Errc::io_error);
  }
  context.careful = true;
  context.payload_read = false;
  context.take_records = 0;
  context.op.offset = log_.offset_of(context.batch.place);
  context.iov[0] =
      iovec{context.header.data(), std::size_t{context.batch.header_blocks} * block_bytes};
  context.op.iov_count = 1;
  ++log_.slot(context.slot).reads;
  disk_.submit(context.op);
}

void StoreImpl::deliver_log_read(LogReadContext& context) {
  LogReadOp& request = *context.request;
  const std::uint32_t records = std::exchange(context.take_records, 0);
  std::uint32_t block = 0;
  for (std::uint32_t i = 0; i < records; ++i) {
    const RecordHeader& header = request.headers[i];
    const std::uint64_t blocks = has_payload(header) ? header.blocks.value() : 0;
    bool good = true;
    for (std::uint64_t b = 0; b < blocks; ++b, ++block) {
      const std::byte* bytes = request.into.data() + std::size_t{block} * block_bytes;
      good = good && (crc32c_block(bytes) == request.crcs[block] || MUTANT(M69));
    }
    if (good || (header.flags & record_flag_lost) != 0) continue;
    request.count = i;  // what is before it is good
    if (i > 0) return end_log_read(context, Errc::ok);
    return end_unknown(context);
  }
  request.count = records;
  end_log_read(context, Errc::ok);
}

}  // namespace seawall::wal
