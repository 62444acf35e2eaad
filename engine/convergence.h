// Whether a catch-up wins, judged by bytes and rates over windows (protocol.md 6.6).
//
// Purpose: a catch-up that its writers outrun ends explicitly instead of chasing for ever; one that
// makes steady progress has no time limit. Life cycle: one a replica; empty while nothing is owed.
// Thread: the Core's; pure: the time is that of the step. Ownership: values. Units: bytes,
// milliseconds. Errors: none.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/ids.h"

namespace seawall {

// Both count from the same start. What has been committed without the replica and not been sent to
// it yet is its debt: what is only on its way, or what a commit waits for, is none.
struct StreamBytes {
  std::uint64_t sent = 0;
  std::uint64_t goal = 0;
  [[nodiscard]] constexpr std::uint64_t owed() const { return goal > sent ? goal - sent : 0; }
  friend constexpr bool operator==(const StreamBytes&, const StreamBytes&) = default;
};

enum class Verdict : std::uint8_t {
  none,   // no window has ended
  wins,   // at these rates it ends within the limit
  slow,   // it does not
  lost,   // twice in a row, or the debt grows although its writers are at their floor
};

struct ConvergenceLimits {
  Duration window{2'000};
  Duration finish{60'000};        // projected: always good enough ...
  std::uint32_t factor = 8;       // ... and so is this many times what it would take undisturbed
};

class Convergence {
 public:
  void reset() { *this = Convergence{}; }
  // At any time: opens the first window, forgets all when nothing is owed.
  void note(Instant now, const StreamBytes& at, const ConvergenceLimits& limits);
  // At a deadline, after everything else of its moment. A window in which nothing was taken says
  // nothing of rates: it goes on, and the progress deadline judges.
  Verdict judge(Instant now, const StreamBytes& at, bool writers_at_floor,
                const ConvergenceLimits& limits);

  [[nodiscard]] std::optional<Instant> due() const { return due_; }
  // Of the last window, bytes a second.
  [[nodiscard]] std::uint64_t drain_rate() const { return drain_rate_; }
  [[nodiscard]] std::uint64_t ingest_rate() const { return ingest_rate_; }
  [[nodiscard]] std::uint32_t bad_windows() const { return bad_; }

 private:
  friend struct DigestAccess;  // digest.cc: names every field
  std::optional<Instant> due_;
  Instant since_;
  StreamBytes from_;
  std::uint64_t drain_rate_ = 0, ingest_rate_ = 0;
  std::uint32_t bad_ = 0;
};

}  // namespace seawall
