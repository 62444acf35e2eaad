// Why a recovery failed, and what follows: one enum, one table, budgets per (replica, kind).
//
// Purpose: nothing is tried for ever and nothing is given up in silence. A kind's row says how
// often it is tried again (back-off doubles), how often the next plan compares everything instead,
// and that after those the replica is terminal. Lost transport, silence and an epoch that is over
// are no failures and have no row (session.h). Life cycle: a FailureBudget is one (replica, kind);
// ReplicaFailures are all of one replica, with its primary's row of it, so a new epoch starts with
// none. Thread: the owner's. Ownership: none. Units: milliseconds of the owner's clock. Errors:
// none. Counts go back in one way only: in_sync_for() of `forget_after` and longer, or forget(),
// which is an operator's word. An escalation lasts until a session ends well; a terminal one until
// forget().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/base/bounded_vector.h"
#include "engine/base/ids.h"

namespace seawall {

enum class FailureKind : std::uint8_t {
  stalled,          // no progress until the progress deadline
  gap,              // the stream skipped a record
  divergence,       // a record of another history
  marker,           // it turned out to carry a rebuild marker
  log_failed,       // its disk failed
  log_full,         // it has no room
  broken_contract,  // what a verified history excludes: below trimmed, or outside of the volume
  unrepaired,       // it lacks payloads that its primary cannot give
  trimmed,          // a record that the stream owes is gone from the log
  log_unreadable,   // a record that the stream owes cannot be read
  base_failed,      // the source cannot read its base
  not_equal,        // count or digest of a rebuild differ
  misfit,           // it is smaller than the volume: no copying mends that
  not_converging,   // its writers outran the catch-up
  log_given_up,     // its place in the log was wanted for its writers
  store_failed,     // the store here failed and is opened anew (node/runtime/reopen.h)
};
inline constexpr std::size_t failure_kinds = 16;

// The least that the next plan compares: what changed since, or everything.
enum class Escalation : std::uint8_t { none, delta, full };

enum class FailureAction : std::uint8_t { retry, escalate, terminal };

struct FailureRule {
  FailureKind kind;
  const char* name;           // one word, stable: events and users see it
  std::uint32_t retries;      // so many are followed by another try ...
  std::uint32_t escalations;  // ... so many more by a comparison; then terminal
  Escalation to;              // by which comparison
  Duration pause;             // before the first further try; doubles
  Duration pause_max;
  bool hang_up = false;       // the link goes as well and is dialled anew
  bool alarm = false;         // facts that cannot be: somebody has to look
};

const FailureRule& rule_of(FailureKind kind);
const char* failure_action_name(FailureAction action);

// The nth failure of a kind, n from 1 on.
FailureAction action_of(FailureKind kind, std::uint32_t nth);
Duration pause_of(FailureKind kind, std::uint32_t nth);

// In sync for so long, and the budgets count from nothing again.
inline constexpr Duration forget_after{5 * 60'000};
constexpr bool is_forgiven(Instant in_sync_since, Instant now) {
  return now >= in_sync_since + forget_after;
}

struct FailureNote {
  FailureKind kind = FailureKind::stalled;
  FailureAction action = FailureAction::retry;
  std::uint32_t nth = 0;  // of its kind, since the budgets were last forgotten
  Instant at;
  friend constexpr bool operator==(const FailureNote&, const FailureNote&) = default;
};

class ReplicaFailures {
 public:
  static constexpr std::size_t history_max = 8;
  // The newest, oldest first; a run of one kind with one consequence is one note, its last.
  using History = BoundedVector<FailureNote, history_max>;

  // Counts it and says what follows.
  FailureNote note(FailureKind kind, Instant now);
  void session_ended_well() { escalation_ = Escalation::none; }
  void in_sync_for(Instant since, Instant now);
  void forget();

  // Never less than an earlier one asked for.
  [[nodiscard]] Escalation escalation() const { return escalation_; }
  [[nodiscard]] bool escalated() const { return escalation_ != Escalation::none; }
  [[nodiscard]] std::optional<FailureKind> terminal() const { return terminal_; }
  [[nodiscard]] std::uint32_t count(FailureKind kind) const {
    return counts_[static_cast<std::size_t>(kind)];
  }
  [[nodiscard]] const History& history() const { return history_; }

 private:
  std::array<std::uint32_t, failure_kinds> counts_{};
  History history_;
  Escalation escalation_ = Escalation::none;
  std::optional<FailureKind> terminal_;
};

}  // namespace seawall
