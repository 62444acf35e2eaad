// The two slots of a map page: the choice between them is one of them, never aborted, never beyond
// what was committed, and a sector that does not verify is never called good.
#include <cstring>
#include <vector>

#include "engine/base/check.h"
#include "tests/fuzz/target.h"
#include "wal/crc32c.h"
#include "wal/map_cache.h"

namespace seawall::fuzz {
namespace {

using namespace wal;

constexpr std::uint64_t number = 5;
constexpr std::uint64_t aborted[] = {4, 6};

Generations generations() {
  Generations known;
  known.committed = 8;
  known.floor = 2;
  known.aborted = aborted;
  return known;
}

void mend_sector(std::span<std::byte> sector) {
  std::memset(sector.data() + offsetof(DiskSector, crc), 0, 4);
  const std::uint32_t crc = crc32c(sector);
  std::memcpy(sector.data() + offsetof(DiskSector, crc), &crc, sizeof crc);
}

}  // namespace

void run(Input input) {
  static std::vector<std::byte> both(2 * page_bytes);
  std::memset(both.data(), 0, both.size());
  std::memcpy(both.data(), input.data(), std::min(input.size(), both.size()));
  const Generations known = generations();
  const PageChoice choice = choose_slot(both, number, entry_magic, known);
  CHECK(choice.slot >= -1 && choice.slot <= 1);
  if (choice.slot < 0) return;
  CHECK(choice.generation == 0 || known.counts(choice.generation));
  CHECK(choice.generation != 0 || choice.bad_sectors == 0xff);
  if (choice.bad_sectors == 0xff) return;
  const auto half = [&](int slot) {
    return Input(both).subspan(static_cast<std::size_t>(slot) * page_bytes, page_bytes);
  };
  const Input slot = half(choice.slot);
  for (std::size_t i = 0; i < sectors_per_page; ++i) {
    if ((choice.bad_sectors >> i & 1) != 0) continue;
    static std::vector<std::byte> sector(sector_bytes);
    std::memcpy(sector.data(), slot.data() + i * sector_bytes, sector_bytes);
    DiskSector head;
    std::memcpy(&head, sector.data(), sizeof head);
    mend_sector(sector);
    CHECK(std::memcmp(sector.data(), slot.data() + i * sector_bytes, sector_bytes) == 0);
    CHECK(head.generation == choice.generation && head.page == number && head.sector == i);
  }
  // The other slot holds nothing newer that counts.
  const std::uint64_t there = greatest_generation(half(1 - choice.slot), number, entry_magic);
  CHECK(!known.counts(there) || there <= choice.generation);
}

void mend(std::span<std::byte> input) {
  for (std::size_t at = 0; at + sector_bytes <= input.size(); at += sector_bytes) {
    mend_sector(input.subspan(at, sector_bytes));
  }
}

std::size_t seed(std::size_t n, std::span<std::byte> into) {
  static constexpr std::uint64_t pairs[][2] = {{1, 2}, {7, 8}, {8, 9}, {5, 6}, {0, 3}};
  if (n >= std::size(pairs)) return 0;
  std::memset(into.data(), 0, 2 * page_bytes);
  for (std::size_t slot = 0; slot < 2; ++slot) {
    if (pairs[n][slot] == 0) continue;
    seal_page(into.subspan(slot * page_bytes, page_bytes), number, entry_magic, pairs[n][slot]);
  }
  return 2 * page_bytes;
}

}  // namespace seawall::fuzz
