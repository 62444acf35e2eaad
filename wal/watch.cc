// The watch over a disk that hangs (watch.h): what the Store owes to it, and when it looks.
#include "wal/store_impl.h"

namespace seawall::wal {

bool StoreImpl::disk_owes() const {
  return !failed_ && (!in_flight_.empty() || syncs_running_ > 0 || super_writer_.busy());
}

// The buffers of what hangs stay with the disk until it answers.
void StoreImpl::watch_disk(Instant last_look) {
  const DiskWatch::Mark mark{facts_.marks.written, facts_.marks.durable, super_.generation,
                             super_writer_.completed(), syncs_running_};
  if (!watch_.look(last_look, now_, disk_owes(), mark)) return;
  fail(make_error(Errc::io_error, "the disk does not answer", DiskWatch::deadline.value()));
}

std::optional<Instant> StoreImpl::wake_at() const {
  const std::optional<Instant> due = work_at();
  if (!disk_owes()) return due;
  const Instant look = DiskWatch::next_look(now_);
  return due && *due < look ? due : look;
}

}  // namespace seawall::wal
