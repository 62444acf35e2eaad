#include "node/io/uring_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "engine/base/check.h"
#include "engine/base/limits.h"
#include "engine/base/mutant.h"

namespace seawall::io {
namespace {

constexpr std::size_t kFillBytes = limits::MiB;
constexpr std::size_t kBlock = limits::block_bytes;

Error system_error(const char* what, int error) {
  const auto number = static_cast<std::uint64_t>(error);
  switch (error) {
    case ENOENT: return make_error(Errc::not_found, what, number);
    case EEXIST: return make_error(Errc::already_exists, what, number);
    case ENOSPC:
    case EDQUOT: return make_error(Errc::no_space, what, number);
    case EACCES:
    case EPERM:
    case ELOOP:
    case EXDEV: return make_error(Errc::permission, what, number);
    case EROFS: return make_error(Errc::read_only, what, number);
    case EMFILE:
    case ENFILE: return make_error(Errc::exhausted, what, number);
    default: return make_error(Errc::io_error, what, number);
  }
}

bool aligned(std::uint64_t value) { return value % kBlock == 0; }

struct AlignedBytes {
  explicit AlignedBytes(std::size_t bytes)
      : data(static_cast<std::byte*>(std::aligned_alloc(kBlock, bytes))) {
    CHECK(data != nullptr);
    std::memset(data, 0, bytes);
  }
  ~AlignedBytes() { std::free(data); }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  std::byte* data;
};

}  // namespace

// What one operation needs between its first submission and done; the vector is copied only when a
// transfer came back short.
struct UringDisk::Pending {
  RingOp ring_op;
  UringDisk* disk = nullptr;
  std::int64_t moved = 0;
  std::vector<iovec>* rest = nullptr;
};

Status probe_direct(int directory_fd) {
  const int fd = ::openat(directory_fd, ".", O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
  if (fd >= 0) {
    ::close(fd);
    return ok();
  }
  const int error = errno;
  if (error == EINVAL) {
    return make_error(Errc::not_supported, "the file system refuses O_DIRECT (errno)",
                      static_cast<std::uint64_t>(error));
  }
  if (error != EOPNOTSUPP && error != EISDIR) return system_error("no file can be made", error);
  // No nameless files here: try with a name.
  const int named = ::openat(directory_fd, ".probe", O_CREAT | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
  if (named < 0) {
    const int second = errno;
    ::unlinkat(directory_fd, ".probe", 0);
    if (second == EINVAL) {
      return make_error(Errc::not_supported, "the file system refuses O_DIRECT (errno)", EINVAL);
    }
    return system_error("no file can be made", second);
  }
  ::close(named);
  ::unlinkat(directory_fd, ".probe", 0);
  return ok();
}

Result<std::unique_ptr<UringDisk>> UringDisk::open(Reactor& reactor, const std::string& directory,
                                                   const UringDiskOptions& options) {
  const int fd = ::open(directory.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return system_error("the directory cannot be opened (errno)", errno);
  if (Status direct = probe_direct(fd); !direct) {
    ::close(fd);
    return direct.error();
  }
  return std::unique_ptr<UringDisk>(new UringDisk(reactor, fd, options));
}

UringDisk::UringDisk(Reactor& reactor, int directory_fd, const UringDiskOptions& options)
    : reactor_(reactor), options_(options), directory_fd_(directory_fd) {
  static_assert(sizeof(Pending) <= sizeof(wal::Op::scratch));
  static_assert(alignof(Pending) <= alignof(std::uintptr_t));
}

UringDisk::~UringDisk() {
  CHECK_MSG(in_flight_ == 0, "a disk outlives its operations");
  for (const wal::FileId file : files_) ::close(file);
  ::close(directory_fd_);
}

// --- asynchronous ---

void UringDisk::submit(wal::Op& op) {
  CHECK(op.done != nullptr);
  CHECK(op.file >= 0);
  auto* pending = new (static_cast<void*>(op.scratch)) Pending;
  pending->ring_op = RingOp{&UringDisk::on_done, &op};
  pending->disk = this;
  ++in_flight_;
  if (op.kind != wal::Op::Kind::sync) {
    CHECK(aligned(op.offset));
    CHECK(op.iov_count > 0);
    auto& counter = op.kind == wal::Op::Kind::read ? counters_.reads : counters_.writes;
    counter.fetch_add(1, std::memory_order_relaxed);
  } else {
    counters_.syncs.fetch_add(1, std::memory_order_relaxed);
  }
  start(op);
}

void UringDisk::start(wal::Op& op) {
  auto* pending = std::launder(reinterpret_cast<Pending*>(op.scratch));
  io_uring_sqe* sqe = reactor_.entry();
  if (op.kind == wal::Op::Kind::sync) {
    io_uring_prep_fsync(sqe, op.file, IORING_FSYNC_DATASYNC);
    return reactor_.submit(sqe, pending->ring_op);
  }
  const iovec* vector = pending->rest != nullptr ? pending->rest->data() : op.iov;
  const auto count = pending->rest != nullptr ? static_cast<std::uint32_t>(pending->rest->size())
                                              : op.iov_count;
  const std::uint64_t offset = op.offset + static_cast<std::uint64_t>(pending->moved);
  if (op.kind == wal::Op::Kind::read) {
    io_uring_prep_readv(sqe, op.file, vector, count, offset);
  } else {
    io_uring_prep_writev2(sqe, op.file, vector, count, offset, op.dsync ? RWF_DSYNC : 0);
  }
  reactor_.submit(sqe, pending->ring_op);
}

void UringDisk::on_done(RingOp& ring_op, std::int32_t result, std::uint32_t) {
  auto& op = *static_cast<wal::Op*>(ring_op.owner);
  auto* pending = std::launder(reinterpret_cast<Pending*>(op.scratch));
  UringDisk& self = *pending->disk;
  if (result == -EINTR || result == -EAGAIN) {
    self.counters_.continued.fetch_add(1, std::memory_order_relaxed);
    return self.start(op);
  }
  if (result < 0 || op.kind == wal::Op::Kind::sync) return self.finish(op, result);
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < op.iov_count; ++i) total += op.iov[i].iov_len;
  pending->moved += result;
  if (MUTANT(M68)) return self.finish(op, static_cast<std::int64_t>(total));
  if (static_cast<std::uint64_t>(pending->moved) == total) return self.finish(op, pending->moved);
  // A read that ends at the end of the file, or a write that moved nothing, will not get better.
  // O_DIRECT goes on from a block boundary only.
  const std::uint64_t at = op.offset + static_cast<std::uint64_t>(pending->moved);
  if (result == 0 || !aligned(at)) return self.finish(op, -EIO);
  self.counters_.continued.fetch_add(1, std::memory_order_relaxed);
  if (pending->rest == nullptr) {
    pending->rest = new std::vector<iovec>(op.iov, op.iov + op.iov_count);
  }
  auto left = static_cast<std::size_t>(result);
  while (left > 0) {
    iovec& first = pending->rest->front();
    const std::size_t step = std::min(left, first.iov_len);
    first.iov_base = static_cast<std::byte*>(first.iov_base) + step;
    first.iov_len -= step;
    left -= step;
    if (first.iov_len == 0) pending->rest->erase(pending->rest->begin());
  }
  self.start(op);
}

void UringDisk::finish(wal::Op& op, std::int64_t result) {
  auto* pending = std::launder(reinterpret_cast<Pending*>(op.scratch));
  delete pending->rest;
  CHECK(in_flight_ > 0);
  --in_flight_;
  if (result < 0) {
    counters_.errors.fetch_add(1, std::memory_order_relaxed);
  } else if (op.kind == wal::Op::Kind::read) {
    counters_.bytes_read.fetch_add(static_cast<std::uint64_t>(result), std::memory_order_relaxed);
  } else {
    counters_.bytes_written.fetch_add(static_cast<std::uint64_t>(result),
                                      std::memory_order_relaxed);
  }
  pending->~Pending();
  op.result = result;
  op.done(op);
}

// --- blocking ---

Result<int> UringDisk::open_beneath(const std::string& name, int flags, unsigned mode) const {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  while (true) {
    const long fd = ::syscall(SYS_openat2, directory_fd_, name.c_str(), &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if (errno != EINTR && errno != EAGAIN) break;
  }
  if (errno == EINVAL && (flags & O_DIRECT) != 0) {
    return make_error(Errc::not_supported, "the file system refuses O_DIRECT (errno)", EINVAL);
  }
  return system_error("a file of the replica cannot be opened (errno)", errno);
}

Result<wal::FileId> UringDisk::lock_and_keep(int fd) {
  // Requests of a dead process hold its open file, and with it the lock, until they have landed.
  const auto until = std::chrono::steady_clock::now() +
                     std::chrono::milliseconds(options_.lock_wait_ms);
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) {
      const int error = errno;
      ::close(fd);
      return system_error("a file of the replica cannot be locked (errno)", error);
    }
    if (std::chrono::steady_clock::now() >= until) {
      ::close(fd);
      return make_error(Errc::busy, "a file of the replica is in use by another process");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  files_.push_back(fd);
  return wal::FileId{fd};
}

int UringDisk::fd_of(wal::FileId file) const {
  CHECK(std::find(files_.begin(), files_.end(), file) != files_.end());
  return file;
}

Result<wal::FileId> UringDisk::open(const std::string& name) {
  TRY_ASSIGN(const int fd, open_beneath(name, O_RDWR | O_DIRECT, 0));
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return make_error(Errc::invalid_argument, "not a regular file");
  }
  return lock_and_keep(fd);
}

Result<wal::FileId> UringDisk::create(const std::string& name, std::uint64_t size) {
  TRY_ASSIGN(const int fd, open_beneath(name, O_RDWR | O_DIRECT | O_CREAT | O_EXCL, 0600));
  TRY_ASSIGN(const wal::FileId file, lock_and_keep(fd));
  if (size == 0) return file;
  const auto give_up = [&](Error error) {
    close(file);
    (void)remove(name);
    return error;
  };
  int result = 0;
  do {
    result = ::fallocate(fd, 0, 0, static_cast<off_t>(size));
  } while (result != 0 && errno == EINTR);
  if (result != 0 && errno != EOPNOTSUPP) {
    return give_up(system_error("no space for a file of the replica (errno)", errno));
  }
  // Zeroes are written, not only promised: a later flush then never converts extents.
  const AlignedBytes zeroes(kFillBytes);
  const std::uint64_t whole = size / kBlock * kBlock;
  for (std::uint64_t at = 0; at < whole; at += kFillBytes) {
    const std::size_t step = std::min<std::uint64_t>(kFillBytes, whole - at);
    if (Status written = write(file, at, {zeroes.data, step}); !written) {
      return give_up(written.error());
    }
  }
  if (whole != size && ::ftruncate(fd, static_cast<off_t>(size)) != 0) {
    return give_up(system_error("a new file cannot get its size (errno)", errno));
  }
  return file;
}

void UringDisk::close(wal::FileId file) {
  const auto found = std::find(files_.begin(), files_.end(), file);
  CHECK(found != files_.end());
  files_.erase(found);
  ::close(file);
}

Result<std::uint64_t> UringDisk::size(wal::FileId file) {
  struct stat info{};
  if (::fstat(fd_of(file), &info) != 0) return system_error("fstat failed (errno)", errno);
  return static_cast<std::uint64_t>(info.st_size);
}

Status UringDisk::resize(wal::FileId file, std::uint64_t size) {
  while (::ftruncate(fd_of(file), static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) return system_error("a file cannot get its size (errno)", errno);
  }
  return ok();
}

Status UringDisk::read(wal::FileId file, std::uint64_t offset, std::span<std::byte> into) {
  const int fd = fd_of(file);
  counters_.reads.fetch_add(1, std::memory_order_relaxed);
  for (std::size_t moved = 0; moved < into.size();) {
    const ssize_t step = ::pread(fd, into.data() + moved, into.size() - moved,
                                 static_cast<off_t>(offset + moved));
    if (step > 0) {
      moved += static_cast<std::size_t>(step);
      counters_.bytes_read.fetch_add(static_cast<std::uint64_t>(step), std::memory_order_relaxed);
      if (moved < into.size()) counters_.continued.fetch_add(1, std::memory_order_relaxed);
      continue;
    }
    if (step < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    counters_.errors.fetch_add(1, std::memory_order_relaxed);
    if (step == 0) return make_error(Errc::io_error, "read beyond the end of a file", offset);
    return system_error("a read failed (errno)", errno);
  }
  return ok();
}

Status UringDisk::write(wal::FileId file, std::uint64_t offset, std::span<const std::byte> from) {
  const int fd = fd_of(file);
  counters_.writes.fetch_add(1, std::memory_order_relaxed);
  for (std::size_t moved = 0; moved < from.size();) {
    const ssize_t step = ::pwrite(fd, from.data() + moved, from.size() - moved,
                                  static_cast<off_t>(offset + moved));
    if (step > 0) {
      moved += static_cast<std::size_t>(step);
      counters_.bytes_written.fetch_add(static_cast<std::uint64_t>(step),
                                        std::memory_order_relaxed);
      if (moved < from.size()) counters_.continued.fetch_add(1, std::memory_order_relaxed);
      continue;
    }
    if (step < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    counters_.errors.fetch_add(1, std::memory_order_relaxed);
    return system_error("a write failed (errno)", step == 0 ? EIO : errno);
  }
  return ok();
}

Status UringDisk::sync(wal::FileId file) {
  counters_.syncs.fetch_add(1, std::memory_order_relaxed);
  // A resize changes metadata only; fdatasync covers the size. Never repeated after an error.
  if (::fdatasync(fd_of(file)) != 0) {
    counters_.errors.fetch_add(1, std::memory_order_relaxed);
    return system_error("a flush failed (errno)", errno);
  }
  return ok();
}

Result<std::vector<wal::FileInfo>> UringDisk::list(const std::string& directory) {
  TRY_ASSIGN(const int fd, open_beneath(directory.empty() ? "." : directory,
                                        O_RDONLY | O_DIRECTORY, 0));
  DIR* stream = ::fdopendir(fd);
  if (stream == nullptr) {
    const int error = errno;
    ::close(fd);
    return system_error("a directory cannot be listed (errno)", error);
  }
  std::vector<wal::FileInfo> files;
  while (const dirent* entry = ::readdir(stream)) {
    struct stat info{};
    if (::fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISREG(info.st_mode)) continue;
    files.push_back({entry->d_name, static_cast<std::uint64_t>(info.st_size)});
  }
  ::closedir(stream);
  std::sort(files.begin(), files.end(),
            [](const wal::FileInfo& a, const wal::FileInfo& b) { return a.name < b.name; });
  return files;
}

Status UringDisk::make_directory(const std::string& name) {
  CHECK(!name.empty() && name.front() != '/' && name.find("..") == std::string::npos);
  if (::mkdirat(directory_fd_, name.c_str(), 0700) == 0) return ok();
  if (errno != EEXIST) return system_error("a directory cannot be made (errno)", errno);
  TRY_ASSIGN(const int fd, open_beneath(name, O_RDONLY | O_DIRECTORY, 0));
  ::close(fd);
  return ok();
}

Status UringDisk::remove(const std::string& name) {
  CHECK(!name.empty() && name.front() != '/' && name.find("..") == std::string::npos);
  if (::unlinkat(directory_fd_, name.c_str(), 0) == 0) return ok();
  return system_error("a file cannot be removed (errno)", errno);
}

Status UringDisk::sync_directory(const std::string& name) {
  TRY_ASSIGN(const int fd, open_beneath(name.empty() ? "." : name, O_RDONLY | O_DIRECTORY, 0));
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  if (result != 0) return system_error("a directory cannot be flushed (errno)", error);
  return ok();
}

}  // namespace seawall::io
