// What a benchmark asks for, and what must come back: pure, the same seed gives the same requests.
//
// With verification every block carries stamps {block, sequence, seed, checksum} over all its
// bytes, and the workload knows the sequence that each block holds; two requests never overlap
// while one of them writes. Thread: one. Bounds: eight bytes a block with verification, nothing
// without.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/prng.h"

namespace seawall::cli {

enum class Access { random_write, random_read, write, read, random_mixed };

std::optional<Access> parse_access(const std::string& text);

struct WorkloadOptions {
  Access access = Access::random_write;
  std::uint64_t region_blocks = 0;   // the part of the volume that is used, from its start
  std::uint64_t request_blocks = 1;  // of each request
  unsigned read_percent = 70;        // of random_mixed
  bool verify = false;
  std::uint64_t seed = 1;
};

struct WorkItem {
  bool write = false;
  std::uint64_t block = 0;     // the first
  std::uint64_t sequence = 0;  // of a write; rises with each
};

class Workload {
 public:
  explicit Workload(const WorkloadOptions& options);

  // The next request; nothing while every choice would overlap one in flight.
  std::optional<WorkItem> next();
  // The next block range to read back, in order, of what was written; nothing at the end.
  std::optional<WorkItem> next_read_back();

  void fill(const WorkItem& item, std::span<std::byte> payload) const;
  // Ends a request. A read with verification is checked: the answer says which block is wrong and
  // what it holds, or is empty.
  std::string complete(const WorkItem& item, bool ok, std::span<const std::byte> data);

  [[nodiscard]] std::uint64_t blocks_verified() const { return verified_; }

 private:
  [[nodiscard]] bool overlaps(std::uint64_t block) const;
  std::uint64_t pick_block();
  std::string check(std::uint64_t block, std::span<const std::byte> data);

  const WorkloadOptions options_;
  Prng prng_;
  std::uint64_t sequence_ = 0;
  std::uint64_t cursor_ = 0;
  std::uint64_t read_back_ = 0;
  std::uint64_t verified_ = 0;
  std::vector<std::uint64_t>
      held_;  // sequence in each block; 0: not ours; kUnknown: a failed write
  std::vector<std::uint64_t> in_flight_;  // first blocks of open requests
};

}  // namespace seawall::cli
