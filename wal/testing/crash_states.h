// CrashStates: every disk that a crash at this moment may leave behind, one by one.
//
// Purpose: where MemDisk draws one outcome of a crash, this counts them all: after a loss of power
// each 512-byte sector that is not flushed (what is in flight included) is one of its versions, and
// so is each file's size and place in its directory; after the death of the process each write in
// flight has reached the disk or not. Sectors are whole: what is torn inside one MemDisk draws.
// Life cycle: a snapshot of one MemDisk; that disk is not changed. Thread: one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "wal/testing/mem_disk.h"

namespace seawall::wal {

class CrashStates {
 public:
  enum class Kind : std::uint8_t { process, power };
  CrashStates(const MemDisk& disk, Kind kind);

  // How many versions each undecided thing has; the states are all combinations.
  [[nodiscard]] const std::vector<std::size_t>& versions() const { return versions_; }
  // The number of combinations, or `most` when there are more.
  [[nodiscard]] std::uint64_t count(std::uint64_t most) const;
  // The combination with this number (mixed radix), when count() is that great.
  [[nodiscard]] std::vector<std::size_t> combination(std::uint64_t number) const;
  // The disk after the crash with these choices, one an undecided thing.
  [[nodiscard]] std::unique_ptr<MemDisk> state(const std::vector<std::size_t>& choice) const;

 private:
  struct InFlight {
    std::string file;
    std::uint64_t offset = 0;
    std::vector<std::byte> bytes;
  };
  struct Sector {
    std::string file;
    std::uint64_t page = 0;
    std::size_t at = 0;                  // of the sector in its page
    std::vector<MemDisk::PageRef> from;  // the different versions, the flushed one first
  };

  void collect_in_flight(const MemDisk& disk);
  void find_undecided();
  static void apply(MemDisk& disk, const InFlight& write);

  Kind kind_;
  std::unique_ptr<MemDisk> disk_;
  std::vector<InFlight> in_flight_;
  std::vector<std::string> names_, sizes_;  // files whose entry, or size, is not flushed
  std::vector<Sector> sectors_;
  std::vector<std::size_t> versions_;
};

}  // namespace seawall::wal
