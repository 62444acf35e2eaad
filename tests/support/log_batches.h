// The batches of a log of 1 MiB as they lie on a MemDisk, oldest first: for tests that tear or rot
// one.
//
// Thread: the test's. Errors: what does not verify as a batch is left out.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "wal/segment.h"
#include "wal/testing/mem_disk.h"

namespace seawall::testing {

struct Place {
  std::string file;
  std::uint64_t offset = 0;
  wal::DiskBatch head{};
  [[nodiscard]] std::uint64_t payload() const { return offset + head.header_blocks * 4096ull; }
};

inline std::vector<Place> log_batches(const wal::MemDisk& disk, Incarnation incarnation) {
  std::vector<Place> found;
  for (int slot = 0; slot < 16; ++slot) {
    const std::string name = "log/" + std::to_string(slot);
    for (std::uint32_t block = 1; block < 16; ++block) {
      const auto bytes = disk.peek(name, block * 4096, (16 - block) * 4096);
      wal::BatchView view;
      if (!wal::BatchView::open(bytes, incarnation, nullptr, block, view)) continue;
      found.push_back({name, block * 4096ull, view.head()});
    }
  }
  std::sort(found.begin(), found.end(), [](const Place& a, const Place& b) {
    return a.head.first_lsn < b.head.first_lsn;
  });
  return found;
}

}  // namespace seawall::testing
