// A node's pool: the directory that holds its identity and its replicas.
//
//   <pool>/lock              held while a daemon serves the pool
//   <pool>/pool.json         format, pool id, node id, node name; by rename, directory flushed
//   <pool>/replicas/<id>/    one replica: replica.json and what wal/ keeps there
//   <pool>/replicas/<id>.new, <id>.gone   half-made and half-removed; swept at open
//
// Life cycle: open() creates what is missing, or refuses and changes nothing; the lock goes with
// the object. Thread: open() any; afterwards the values are constant. Ownership: holds two
// descriptors. Errors: busy (in use), corrupt (pool.json), refused (another node's pool),
// unknown_version, not_supported (no O_DIRECT), permission, io_error. pool_sentence() says each for
// a person.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/ids.h"
#include "engine/base/result.h"

namespace seawall::io {

inline constexpr std::uint64_t pool_format = 1;

struct PoolOptions {
  std::string path;
  std::string node_name;
  std::uint32_t lock_wait_ms = 3'000;  // a daemon that was killed may still be dying
};

struct PoolSpace {
  std::uint64_t bytes = 0, free_bytes = 0;
};

class Pool {
 public:
  static Result<std::unique_ptr<Pool>> open(const PoolOptions& options);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  const std::string& path() const { return path_; }
  std::string replicas_path() const { return path_ + "/replicas"; }
  const std::string& pool_id() const { return pool_id_; }  // 32 hexadecimal digits
  NodeId node() const { return node_; }
  PoolSpace space() const;

 private:
  Pool() = default;
  Status lock(std::uint32_t wait_ms);
  Status read_or_create(const std::string& node_name);
  Status sweep();

  std::string path_;
  std::string pool_id_;
  NodeId node_;
  int directory_fd_ = -1;
  int lock_fd_ = -1;
};

// One clear sentence for a refused pool.
std::string pool_sentence(const std::string& path, const Error& error);

// Writes `<name>` below the directory by a new file, a flush, a rename and a flush of the
// directory.
Status write_by_rename(int directory_fd, const std::string& name, const std::string& text);
// A small file whole; at most `limit` bytes.
Result<std::string> read_small_file(int directory_fd, const std::string& name, std::size_t limit);
// Random bits of the kernel.
std::uint64_t random_bits();

}  // namespace seawall::io
