// Port: everything wal/ does to storage.
//
// Crash contract, in one sentence: after the death of the process every completed write survives;
// after a power loss only writes that completed before a sync of the same file was issued, and
// whose sync completed, are sure to survive; any other may be old, new or torn per 512-byte sector.
//
// Two faces. The asynchronous one (submit) is the data path: nothing blocks, an Op is embedded in
// its owner and must stay alive until its `done` ran; `done` never runs inside submit(). The
// blocking one is for creation, opening, rewind and rebuild preparation, when no asynchronous Op is
// in flight; it may run on another thread than the data path, but never at the same time on one
// Store. Units: bytes; offsets and lengths of data I/O are multiples of 4096 and buffers
// 4096-aligned. Errors: Result/negative errno; a short transfer is never reported as success.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace seawall::wal {

using FileId = std::int32_t;
inline constexpr FileId no_file = -1;

struct Op {
  enum class Kind : std::uint8_t { read, write, sync };
  Kind kind = Kind::read;
  FileId file = no_file;
  std::uint64_t offset = 0;
  const iovec* iov = nullptr;  // owned by the submitter until done
  std::uint32_t iov_count = 0;
  bool dsync = false;       // write: durable when done (RWF_DSYNC)
  std::int64_t result = 0;  // bytes moved (always all of them) or a negative errno
  void (*done)(Op&) = nullptr;
  void* owner = nullptr;
  std::uintptr_t scratch[8] = {};  // for the implementation
};

struct FileInfo {
  std::string name;
  std::uint64_t size = 0;
};

class Disk {
 public:
  virtual ~Disk() = default;

  // --- asynchronous ---
  virtual void submit(Op& op) = 0;

  // --- blocking; names are relative to the replica's directory ---
  // Opens an existing file and takes its lock (waits for requests of a dead process to land).
  virtual Result<FileId> open(const std::string& name) = 0;
  // Creates a file of `size` bytes, allocated and zero-filled; durable with its directory entry
  // only after sync(file) and sync_directory().
  virtual Result<FileId> create(const std::string& name, std::uint64_t size) = 0;
  virtual void close(FileId file) = 0;
  virtual Result<std::uint64_t> size(FileId file) = 0;
  virtual Status resize(FileId file, std::uint64_t size) = 0;  // grows sparse: new bytes read zero
  virtual Status read(FileId file, std::uint64_t offset, std::span<std::byte> into) = 0;
  virtual Status write(FileId file, std::uint64_t offset, std::span<const std::byte> from) = 0;
  virtual Status sync(FileId file) = 0;
  virtual Result<std::vector<FileInfo>> list(const std::string& directory) = 0;
  virtual Status make_directory(const std::string& name) = 0;
  virtual Status remove(const std::string& name) = 0;
  virtual Status sync_directory(const std::string& name) = 0;
};

}  // namespace seawall::wal
