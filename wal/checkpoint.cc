#include "wal/store_impl.h"
namespace seawall::wal {
void StoreImpl::prepare_fold() {}
void StoreImpl::pump_checkpoint() {}
void StoreImpl::set_generations() {}
void StoreImpl::maybe_trim() {}
void StoreImpl::finish_trim() {}
void StoreImpl::pump_sweep() {}
Status StoreImpl::sweep_aborted() { return ok(); }
bool StoreImpl::frozen() const { return freezes_ > 0; }
std::optional<Instant> StoreImpl::wake_at() const {
  if (waiting_reads_head_ != nullptr || waiting_log_reads_head_ != nullptr) return now_;
  return std::nullopt;
}
void StoreImpl::read_base(BaseReadOp&) {}
void StoreImpl::write_base(BaseWriteOp&) {}
void StoreImpl::flush_base(void (*)(void*, Errc), void*) {}
void StoreImpl::run_base_read() {}
void StoreImpl::run_base_write() {}
void StoreImpl::run_flush_base() {}
}  // namespace seawall::wal
