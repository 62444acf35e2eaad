// Changed pages of the map on their way to their other slots: for the checkpoint, and for the base
// lane of a rebuild, which never run at the same time.
#include <utility>

#include "engine/base/check.h"
#include "wal/store_impl.h"

namespace seawall::wal {

// Writes every changed page under `generation`; `then` follows when all are written.
void StoreImpl::write_pages(std::uint64_t generation, void (StoreImpl::*then)()) {
  CHECK(page_writes_.running == 0 && page_writes_.then == nullptr);
  page_writes_.generation = generation;
  page_writes_.then = then;
  page_writes_.cursor = 0;
  submit_pages();
}

void StoreImpl::submit_pages() {
  PageWrites& writes = page_writes_;
  while (!failed_) {
    FoldOp* fold = free_fold_op();
    if (fold == nullptr) return;
    MapPage* page = map_.next_dirty(writes.cursor, writes.generation);
    if (page == nullptr) break;
    fold->page = page;
    fold->busy = true;
    fold->iov[0] = iovec{page->bytes, page_bytes};
    fold->op.file = map_file_;
    fold->op.offset = map_.offset_of(*page);
    fold->op.iov_count = 1;
    fold->op.done = &StoreImpl::on_page_written;
    stats_.base_bytes += page_bytes;
    ++writes.running;
    disk_.submit(fold->op);
  }
  if (writes.running > 0 || failed_) return;
  (this->*std::exchange(writes.then, nullptr))();
}

void StoreImpl::on_page_written(Op& op) {
  FoldOp& fold = *static_cast<FoldOp*>(op.owner);
  StoreImpl& store = *fold.store;
  fold.busy = false;
  --store.page_writes_.running;
  store.map_.written(*fold.page);
  if (op.result < 0) {
    return store.fail(make_error(Errc::io_error, "a write to the map failed",
                                 static_cast<std::uint64_t>(-op.result)));
  }
  store.submit_pages();
}

}  // namespace seawall::wal
