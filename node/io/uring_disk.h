// wal::Disk on files below one directory, through the shard's io_uring.
//
// Purpose: everything wal/ does to storage, in production. Files are opened beneath the directory
// (openat2: no symlinks, no way out), 0600, with O_DIRECT, and each holds an flock: opening waits,
// bounded, until the requests of a dead process have landed. New files are allocated and
// zero-filled. Life cycle: open() on an existing directory; close every file, with nothing in
// flight, then destroy. Thread: submit() and completions on the reactor's; the blocking face on any
// one thread while no operation is in flight. Ownership: an Op and its buffers belong to the
// submitter until done. Errors: negative errno in Op::result, Result elsewhere. Short transfers,
// EINTR and EAGAIN are continued and counted, never taken for success. The first failed write or
// sync of a file is kept (wal/ makes it sticky; nothing here retries it).
// Crash contract: that of wal/disk.h.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "node/io/reactor.h"
#include "wal/disk.h"

namespace seawall::io {

struct DiskCounters {
  std::atomic<std::uint64_t> reads{0}, writes{0}, syncs{0}, bytes_read{0}, bytes_written{0},
      continued{0}, errors{0};
};

struct UringDiskOptions {
  // Opening a file whose lock is held waits this long for it.
  std::uint32_t lock_wait_ms = 30'000;
};

class UringDisk final : public wal::Disk {
 public:
  // Errc::not_found: no such directory. Errc::not_supported: the file system refuses O_DIRECT.
  static Result<std::unique_ptr<UringDisk>> open(Reactor& reactor, const std::string& directory,
                                                 const UringDiskOptions& options = {});
  ~UringDisk() override;

  void submit(wal::Op& op) override;

  Result<wal::FileId> open(const std::string& name) override;
  Result<wal::FileId> create(const std::string& name, std::uint64_t size) override;
  void close(wal::FileId file) override;
  Result<std::uint64_t> size(wal::FileId file) override;
  Status resize(wal::FileId file, std::uint64_t size) override;
  Status read(wal::FileId file, std::uint64_t offset, std::span<std::byte> into) override;
  Status write(wal::FileId file, std::uint64_t offset, std::span<const std::byte> from) override;
  Status sync(wal::FileId file) override;
  Result<std::vector<wal::FileInfo>> list(const std::string& directory) override;
  Status make_directory(const std::string& name) override;
  Status remove(const std::string& name) override;
  Status sync_directory(const std::string& name) override;

  const DiskCounters& counters() const { return counters_; }
  std::size_t in_flight() const { return in_flight_; }

 private:
  struct Pending;  // lives in wal::Op::scratch

  UringDisk(Reactor& reactor, int directory_fd, const UringDiskOptions& options);
  Result<int> open_beneath(const std::string& name, int flags, unsigned mode) const;
  Result<wal::FileId> lock_and_keep(int fd);
  int fd_of(wal::FileId file) const;
  void start(wal::Op& op);
  void finish(wal::Op& op, std::int64_t result);
  static void on_done(RingOp& ring_op, std::int32_t result, std::uint32_t flags);

  Reactor& reactor_;
  const UringDiskOptions options_;
  const int directory_fd_;
  std::vector<wal::FileId> files_;  // open descriptors
  std::size_t in_flight_ = 0;
  DiskCounters counters_;
};

// Whether files of this directory can be opened with O_DIRECT: ok, or Errc::not_supported.
Status probe_direct(int directory_fd);

}  // namespace seawall::io
