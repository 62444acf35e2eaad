// Copy on write: the checkpoint changes a part of an extent that must stay as it is. What the
// record leaves of it goes to a fresh extent first, then the entry names that one: a reader finds
// either whole. One copy at a time.
#include <bit>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "wal/crc32c.h"
#include "wal/store_impl.h"

namespace seawall::wal {
namespace {

constexpr int copy_attempts_max = 3;

}  // namespace

// `rest`: the blocks that stay. True: `target` holds them and its bit is set (stage done), or there
// are none and its bit is still clear.
bool StoreImpl::fold_copy(const EntryRef& entry, std::uint64_t extent, std::uint64_t rest,
                          std::uint32_t& target) {
  if (copy_.stage == ExtentCopy::Stage::done) {
    // A record beyond the cut may have changed what is placed at a time, and with it `rest`: what
    // was not copied is placed by this record, in this extent, at once.
    CHECK(copy_.extent == extent);
    target = copy_.target;
    return true;
  }
  if (!fold_find(extent, target)) return false;
  if (rest == 0) return true;
  Bits bits;
  if (!pages_of_bits(no_extent, target, fold_waiter_, bits)) {
    fold_page_missing();
    return false;
  }
  change_bits(bits, no_extent, target);
  copy_.stage = ExtentCopy::Stage::reading;
  copy_.extent = extent;
  copy_.target = target;
  copy_.rest = rest;
  copy_.from = entry.head().physical;
  copy_.attempts = 0;
  std::size_t packed = 0;
  for (std::uint32_t block = 0; block < layout_.extent_blocks(); ++block) {
    if ((rest >> block & 1) == 0) continue;
    const std::uint64_t lba = extent * layout_.extent_blocks() + block;
    copy_.crcs[packed++] = mixed_crc(entry.crc(block), lba);
  }
  ++fold_.running;
  submit_lane(copy_.lane, Op::Kind::read, copy_.from, rest, copy_.buffer.data(),
              &StoreImpl::on_copy_read);
  return false;
}

// Wrong bytes that a read brings once must not become what is there: it is asked again. A block
// that has rotted stays what it is: the CRC in the map goes with it.
void StoreImpl::on_copy_read(Op& op) {
  BaseLane& lane = *static_cast<BaseLane*>(op.owner);
  StoreImpl& store = *lane.store;
  if (op.result < 0) lane.error = op.result;
  if (--lane.running > 0) return;
  ExtentCopy& copy = store.copy_;
  const auto packed = static_cast<std::size_t>(std::popcount(copy.rest));
  const bool good = lane.error == 0 &&
                    blocks_fit(copy.buffer.span(), std::span(copy.crcs).first(packed));
  if (!good && ++copy.attempts < copy_attempts_max && !MUTANT(M98)) {
    return store.submit_lane(copy.lane, Op::Kind::read, copy.from, copy.rest, copy.buffer.data(),
                             &StoreImpl::on_copy_read);
  }
  if (lane.error < 0) {
    --store.fold_.running;
    return store.fail(make_error(Errc::io_error, "the checkpoint cannot read the base",
                                 static_cast<std::uint64_t>(-lane.error)));
  }
  copy.stage = ExtentCopy::Stage::writing;
  store.submit_lane(copy.lane, Op::Kind::write, copy.target, copy.rest, copy.buffer.data(),
                    &StoreImpl::on_copy_written);
}

void StoreImpl::on_copy_written(Op& op) {
  BaseLane& lane = *static_cast<BaseLane*>(op.owner);
  StoreImpl& store = *lane.store;
  if (op.result < 0) lane.error = op.result;
  if (--lane.running > 0) return;
  --store.fold_.running;
  if (lane.error < 0) {
    return store.fail(make_error(Errc::io_error, "a write to the base failed",
                                 static_cast<std::uint64_t>(-lane.error)));
  }
  store.copy_.stage = ExtentCopy::Stage::done;
  store.stats_.base_bytes +=
      static_cast<std::uint64_t>(std::popcount(store.copy_.rest)) * block_bytes;
  if (store.fold_.stage == FoldStage::place && !store.failed_) store.fold_place();
}

}  // namespace seawall::wal
