// wal::Disk over a directory for tools: it reads, and refuses every change with Errc::read_only.
//
// Life cycle: open() it with the directory of a replica. Thread: one; only the blocking face is
// there. Ownership: owns its descriptors. A file that a daemon has locked is Errc::busy: a log that
// is being written to cannot be judged.
#pragma once

#include <string>

#include "wal/disk.h"

namespace seawall::cli {

class FileDisk final : public wal::Disk {
 public:
  explicit FileDisk(std::string directory) : directory_(std::move(directory)) {}
  ~FileDisk() override;
  FileDisk(const FileDisk&) = delete;
  FileDisk& operator=(const FileDisk&) = delete;

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

 private:
  const std::string directory_;
};

}  // namespace seawall::cli
