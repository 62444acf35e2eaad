// What a map says of one extent, small enough to travel; and which extents two maps disagree about.
//
// Purpose: a rebuild compares maps and moves only columns that differ. Equal lines mean equal
// content: same last record, same blocks present, same CRCs. Thread: any; pure. Ownership: values.
// Units: lba in blocks, of an extent's first one. Errors: none; a column that its holder could not
// verify has the digest `unreadable_column`, which equals nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/base/chain.h"
#include "engine/base/ids.h"
#include "engine/base/mutant.h"

namespace seawall {

struct MapLine {
  Lba lba;
  Lsn last_lsn;               // that changed it: never 0
  std::uint64_t digest = 0;   // of what is there: column_digest()
  friend constexpr bool operator==(const MapLine&, const MapLine&) = default;
};

inline constexpr std::uint64_t unreadable_column = 0;

// `present`: bit i: block i is there; `crcs`: of those, in order.
constexpr std::uint64_t column_digest(std::uint64_t present, std::span<const std::uint32_t> crcs) {
  const std::uint64_t digest = mix64(present, digest_crcs(crcs));
  return digest == unreadable_column ? 1 : digest;
}

inline constexpr std::uint64_t map_digest_start = 0x5ea3a11ba5e00002ull;
constexpr std::uint64_t map_digest_next(std::uint64_t before, const MapLine& line) {
  return mix64(mix64(mix64(before, line.lba.value()), line.last_lsn.value()), line.digest);
}

// Where a comparison of two lists stands; each list rises by lba.
struct MapCursor {
  std::size_t ours = 0, theirs = 0;
};

// The next extent below `limit` that must travel from the side of `ours`: the two say different
// things of it, or only one side has changed it. nullopt: none is left below `limit`.
inline std::optional<Lba> next_difference(std::span<const MapLine> ours,
                                          std::span<const MapLine> theirs, Lba limit,
                                          MapCursor& at) {
  for (;;) {
    const MapLine* our = at.ours < ours.size() ? &ours[at.ours] : nullptr;
    const MapLine* their = at.theirs < theirs.size() ? &theirs[at.theirs] : nullptr;
    if (our != nullptr && our->lba >= limit) our = nullptr;
    if (their != nullptr && their->lba >= limit) their = nullptr;
    if (our == nullptr && their == nullptr) return std::nullopt;
    const bool take_ours = our != nullptr && (their == nullptr || our->lba <= their->lba);
    const bool take_theirs = their != nullptr && (our == nullptr || their->lba <= our->lba);
    if (take_ours) ++at.ours;
    if (take_theirs) ++at.theirs;
    if (take_ours && take_theirs && our->last_lsn == their->last_lsn &&
        our->digest == their->digest && their->digest != unreadable_column) {
      continue;
    }
    if (MUTANT(M51) && take_ours && our->digest == column_digest(0, {})) continue;
    return take_ours ? our->lba : their->lba;
  }
}

}  // namespace seawall
