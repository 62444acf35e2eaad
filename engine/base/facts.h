// What one replica can prove about itself: the content of a handshake and of a fence report.
//
// Filled by wal/ at opening and kept by the engine; plain values, copied, never shared.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/bounded_vector.h"
#include "engine/base/ids.h"

namespace seawall {

struct TermEntry {
  Term term;
  Lsn first_lsn;
  std::uint64_t chain_before = 0;  // chain after first_lsn - 1
  friend constexpr bool operator==(const TermEntry&, const TermEntry&) = default;
};

inline constexpr std::size_t term_table_max = 192;  // 64 folded ones and those of the log
using TermTable = BoundedVector<TermEntry, term_table_max>;  // oldest first; overflow drops it

// A replica below its floor gave up records that it may have acknowledged. Only ever raised.
using Floor = Position;

// A rebuild is under way: base and log are not to be trusted until it is complete.
struct RebuildMarker {
  SessionId session;
  Lsn cut;
  std::optional<Lsn> start;  // the replica's applied when the first rebuild began, if it was known
  friend constexpr bool operator==(const RebuildMarker&, const RebuildMarker&) = default;
};

enum class Damage : std::uint8_t {
  none = 0,
  unknown_records = 1,  // headers verify, payloads do not: fetched from a peer
  regressed = 2,        // the log is shorter than what it proved to hold: floor stored, rebuild
  base_untrusted = 3,
};

// Watermarks of one replica: trimmed <= applied <= stable <= durable <= written.
struct Watermarks {
  Lsn written;
  Lsn durable;
  Lsn applied;
  Lsn trimmed;
  friend constexpr bool operator==(const Watermarks&, const Watermarks&) = default;
};

struct ReplicaFacts {
  Incarnation incarnation;
  ReplicaId replica;
  ProcessStart process_start;
  Epoch promised;
  Epoch seen_epoch;        // greatest (epoch, revision) of a volume record seen
  Revision seen_revision;
  Watermarks marks;
  Term last_term;          // term of the record at written; 0 for an empty log
  std::uint64_t chain = 0;  // chain at written
  bool intact = false;
  std::optional<Floor> floor;
  std::optional<RebuildMarker> marker;
  Damage damage = Damage::none;
  BlockCount size;
  TermTable terms;
};

// What a store found at its opening, and what it is at now: by this a copy of older files is told
// from a replica that was away (controller/core/openings.h).
struct Opening {
  ProcessStart start;            // of this opening: random, so it names it
  ProcessStart before;           // the opening before this one; 0: not known
  std::uint64_t found = 0;       // generation of the super block at the opening; 0: cannot say
  std::optional<Lsn> end;        // of the log at the opening; unknown: it knows of a loss
  std::uint64_t generation = 0;  // now
  bool power_lost = false;       // before the opening: what was not flushed may be gone
  friend constexpr bool operator==(const Opening&, const Opening&) = default;
};

}  // namespace seawall
