#include "cli/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/limits.h"

namespace seawall::cli {
namespace {

constexpr std::uint64_t kUnknown = UINT64_MAX;  // a write failed: old, new or nothing may be there

struct Stamp {
  std::uint64_t block, sequence, seed, check;
  friend bool operator==(const Stamp&, const Stamp&) = default;
};
static_assert(limits::block_bytes % sizeof(Stamp) == 0);

std::uint64_t mix(std::uint64_t value) {  // the finalizer of splitmix64
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31U);
}

Stamp stamp_of(std::uint64_t block, std::uint64_t sequence, std::uint64_t seed) {
  return Stamp{block, sequence, seed, mix(mix(mix(block + 1) ^ sequence) ^ seed)};
}

}  // namespace

std::optional<Access> parse_access(const std::string& text) {
  static const std::array<std::pair<const char*, Access>, 5> kNames{{
      {"randwrite", Access::random_write},
      {"randread", Access::random_read},
      {"write", Access::write},
      {"read", Access::read},
      {"randrw", Access::random_mixed},
  }};
  for (const auto& [name, access] : kNames) {
    if (text == name) return access;
  }
  return std::nullopt;
}

Workload::Workload(const WorkloadOptions& options) : options_(options), prng_(options.seed) {
  CHECK(options.request_blocks > 0);
  CHECK(options.region_blocks >= options.request_blocks);
  CHECK(options.region_blocks % options.request_blocks == 0);
  CHECK(options.read_percent <= 100);
  if (options.verify) held_.resize(options.region_blocks, 0);
}

bool Workload::overlaps(std::uint64_t block) const {
  return std::find(in_flight_.begin(), in_flight_.end(), block) != in_flight_.end();
}

std::uint64_t Workload::pick_block() {
  const std::uint64_t slots = options_.region_blocks / options_.request_blocks;
  const bool random = options_.access != Access::write && options_.access != Access::read;
  if (random) return prng_.below(slots) * options_.request_blocks;
  return (cursor_++ % slots) * options_.request_blocks;
}

std::optional<WorkItem> Workload::next() {
  constexpr int kTries = 16;
  WorkItem item;
  switch (options_.access) {
    case Access::random_write:
    case Access::write: item.write = true; break;
    case Access::random_read:
    case Access::read: break;
    case Access::random_mixed: item.write = prng_.below(100) >= options_.read_percent; break;
  }
  item.block = pick_block();
  for (int i = 0; options_.verify && overlaps(item.block); ++i) {
    if (i == kTries) return std::nullopt;
    item.block = pick_block();
  }
  if (item.write) item.sequence = ++sequence_;
  if (options_.verify) in_flight_.push_back(item.block);
  return item;
}

std::optional<WorkItem> Workload::next_read_back() {
  while (read_back_ < held_.size()) {
    const std::uint64_t block = read_back_;
    read_back_ += options_.request_blocks;
    const auto begin = held_.begin() + static_cast<std::ptrdiff_t>(block);
    const auto end = begin + static_cast<std::ptrdiff_t>(options_.request_blocks);
    if (std::all_of(begin, end, [](std::uint64_t held) { return held == 0; })) continue;
    in_flight_.push_back(block);
    return WorkItem{false, block, 0};
  }
  return std::nullopt;
}

void Workload::fill(const WorkItem& item, std::span<std::byte> payload) const {
  CHECK(payload.size() == options_.request_blocks * limits::block_bytes);
  for (std::uint64_t i = 0; i < options_.request_blocks; ++i) {
    const Stamp stamp = stamp_of(item.block + i, item.sequence, options_.seed);
    std::byte* at = payload.data() + i * limits::block_bytes;
    for (std::size_t n = 0; n < limits::block_bytes / sizeof stamp; ++n, at += sizeof stamp) {
      std::memcpy(at, &stamp, sizeof stamp);
    }
  }
}

std::string Workload::check(std::uint64_t block, std::span<const std::byte> data) {
  const std::uint64_t held = held_[block];
  if (held == 0 || held == kUnknown) return "";  // not ours, or either of two
  const Stamp want = stamp_of(block, held, options_.seed);
  for (std::size_t at = 0; at < data.size(); at += sizeof(Stamp)) {
    Stamp found;
    std::memcpy(&found, data.data() + at, sizeof found);
    if (found == want) continue;
    const bool ours = found == stamp_of(found.block, found.sequence, found.seed);
    return fmt::format("block {} must hold write {} of run {}; at byte {} it holds {}", block, held,
                       options_.seed, at,
                       ours ? fmt::format("write {} of run {} to block {}", found.sequence,
                                          found.seed, found.block)
                            : "no stamp at all");
  }
  ++verified_;
  return "";
}

std::string Workload::complete(const WorkItem& item, bool ok, std::span<const std::byte> data) {
  if (!options_.verify) return "";
  const auto open = std::find(in_flight_.begin(), in_flight_.end(), item.block);
  CHECK(open != in_flight_.end());
  *open = in_flight_.back();
  in_flight_.pop_back();
  if (item.write) {
    for (std::uint64_t i = 0; i < options_.request_blocks; ++i) {
      held_[item.block + i] = ok ? item.sequence : kUnknown;
    }
    return "";
  }
  if (!ok) return "";
  CHECK(data.size() == options_.request_blocks * limits::block_bytes);
  for (std::uint64_t i = 0; i < options_.request_blocks; ++i) {
    std::string wrong =
        check(item.block + i, data.subspan(i * limits::block_bytes, limits::block_bytes));
    if (!wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace seawall::cli
