// Large writes: the payload of a record of whole extents goes into fresh extents of the base, past
// the log. Its header stays in the log; applying it changes the map only.
#include <algorithm>

#include "engine/base/check.h"
#include "wal/store_impl.h"

namespace seawall::wal {

// Where the payload could go; false: to the log. Nothing is taken yet.
bool StoreImpl::plan_large(const RecordHeader& header, LargePlan& plan) {
  const std::uint32_t per_extent = layout_.extent_blocks();
  const std::uint64_t blocks = header.blocks.value();
  if (!has_payload(header) || blocks * block_bytes < limits::large_write_bytes_min) return false;
  if (header.lba.value() % per_extent != 0 || blocks % per_extent != 0) return false;
  plan.extents = static_cast<std::uint32_t>(blocks / per_extent);
  if (named_.room() < plan.extents) return false;
  plan.run_count = 0;
  plan.cursor = allocator_.start();
  for (std::uint32_t left = plan.extents; left > 0;) {
    if (plan.run_count == large_parts_max) return false;
    Allocator::Run& run = plan.runs[plan.run_count];
    if (allocator_.next_run(plan.cursor, left, run) != Allocator::Found::yes) return false;
    left -= run.count;
    ++plan.run_count;
  }
  return true;
}

void StoreImpl::put_large(WriteBatch& batch, const RecordHeader& header, const LargePlan& plan,
                          std::span<const std::byte> payload,
                          std::span<const std::uint32_t> crcs) {
  const std::uint32_t per_extent = layout_.extent_blocks();
  std::array<std::uint32_t, limits::record_bytes_max / limits::extent_bytes_min> extents{};
  std::uint32_t count = 0;
  auto* bytes = const_cast<std::byte*>(payload.data());  // iovec serves reads, too
  for (std::uint32_t i = 0; i < plan.run_count; ++i) {
    const Allocator::Run& run = plan.runs[i];
    WriteBatch::Part& part = batch.parts[batch.part_count++];
    part.iov = iovec{bytes, std::size_t{run.count} * layout_.extent_bytes};
    part.op.file = base_file_;
    part.op.offset = std::uint64_t{run.first} * layout_.extent_bytes;
    bytes += part.iov.iov_len;
    for (std::uint32_t k = 0; k < run.count; ++k) {
      const auto own = crcs.subspan(std::size_t{count} * per_extent, per_extent);
      CHECK(named_.push(header.lsn, run.first + k, own));
      extents[count++] = run.first + k;
    }
  }
  CHECK(count == plan.extents);
  allocator_.taken_below(plan.cursor);
  batch.header_bytes = put_record(batch.header.span(), batch.header_bytes, header, crcs,
                                  std::span(extents).first(count));
  stats_.base_bytes += payload.size();
}

void StoreImpl::on_large_done(Op& op) {
  WriteBatch& batch = *static_cast<WriteBatch*>(op.owner);
  StoreImpl& store = *batch.store;
  --batch.running;
  if (op.result < 0) {
    store.fail(make_error(Errc::io_error, "a large write to the base failed",
                          static_cast<std::uint64_t>(-op.result)));
  }
  store.base_dirty_ = true;
  store.advance_written();
}

// The log goes segment by segment, and with each the extents that its records name: a segment of
// many large writes would hold too many. Half of the segments take all that may be named.
bool StoreImpl::tail_names_enough() const {
  const Lsn before(log_.slot(*tail_).header.first_lsn.value() - 1);
  return named_.beyond(before) >= std::max(named_.capacity() * 2 / layout_.segment_count, 1u);
}

// At opening: the extents of a record that the log holds.
void StoreImpl::name_extents(const BatchView::Record& record) {
  const std::uint32_t per_extent = layout_.extent_blocks();
  for (std::size_t i = 0; i < record.extents.size(); ++i) {
    const auto crcs = record.crcs.subspan(i * per_extent, per_extent);
    if (!named_.push(record.header.lsn, record.extents[i], crcs)) named_twice_ = true;
  }
}

}  // namespace seawall::wal
