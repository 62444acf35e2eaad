// Reads of the map alone: what its entries say, in order, without the data. One request at a time;
// requests queue. A rebuild compares two replicas with it.
#include <algorithm>
#include <array>

#include "engine/base/check.h"
#include "wal/store_impl.h"

namespace seawall::wal {

void StoreImpl::read_map(MapReadOp& op) {
  CHECK(op.done != nullptr);
  CHECK(!op.into.empty());
  CHECK(op.from < op.upto);
  op.count = 0;
  op.scanned = op.from;
  op.result = Errc::ok;
  map_reads_.push_back(&op);
}

void StoreImpl::end_map_read(Errc result) {
  MapReadOp& op = *map_reads_.pop_front();
  op.result = result;
  op.done(op);
}

void StoreImpl::run_map_read() {
  constexpr int budget = 4096;
  for (int i = 0; i < budget && !map_reads_.empty(); ++i) {
    if (failed_) {
      end_map_read(failed_->code);
    } else if (!step_map_read()) {
      return;
    }
  }
}

// Looks at one entry, or skips an absent page; false: waits for a page.
bool StoreImpl::step_map_read() {
  MapReadOp& op = *map_reads_.front();
  const std::uint64_t extent = first_extent_from(op.scanned);
  const Lba lba(extent * layout_.extent_blocks());
  if (extent >= layout_.extents() || lba >= op.upto) {
    op.scanned = op.upto;
    end_map_read(Errc::ok);
    return true;
  }
  if (op.count == op.into.size()) {
    op.scanned = lba;
    end_map_read(Errc::ok);
    return true;
  }
  MapPage* page = map_.get(map_.entry_page(extent));
  if (page == nullptr) {
    map_.wait(map_waiter_);
    return false;
  }
  if (page->failed || page->bad_sectors != 0) {
    map_rotten_ = map_rotten_ || !page->failed;
    end_map_read(page->failed ? Errc::io_error : Errc::corrupt);
    return true;
  }
  if (page->slot < 0 && !page->dirty) {  // absent: nothing in any of its extents
    const std::uint64_t next = (map_.entry_page(extent) + 1) * layout_.entries_per_page();
    op.scanned = std::min(op.upto, Lba(next * layout_.extent_blocks()));
    return true;
  }
  const EntryRef entry = map_.entry(*page, extent);
  const DiskEntry head = entry.head();
  op.scanned = lba + BlockCount(1);
  const bool counts = (head.flags & entry_flag_valid) != 0 &&
                      (!op.since || Lsn(head.last_lsn) > *op.since);
  if (!counts) return true;
  std::array<std::uint32_t, limits::extent_bytes_max / block_bytes> crcs{};
  std::uint32_t packed = 0;
  const std::uint64_t present = head.physical == no_extent ? 0 : entry.present();
  for (std::uint32_t block = 0; block < layout_.extent_blocks(); ++block) {
    if ((present >> block & 1) == 0) continue;
    crcs[packed++] = mixed_crc(entry.crc(block), lba.value() + block);
  }
  op.into[op.count++] = MapLine{lba, Lsn(head.last_lsn),
                                column_digest(present, std::span(crcs).first(packed))};
  return true;
}

}  // namespace seawall::wal
