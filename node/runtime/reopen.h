// ReopenPlan: when a store that failed is opened anew, and when it is left alone.
//
// Purpose: a disk that failed once is read again, whole, after a pause; pauses and budget are those
// of FailureKind::store_failed (engine/failure_policy.h). What another try cannot change (a foreign
// directory, a version not known here) is left alone at once. What was left alone is tried again by
// a new epoch or an operator's word. Life cycle: one a host; opened(), failed() and try_anew() tell
// it what happened. Thread: the shard's. Ownership: nothing. Units: milliseconds of the shard's
// clock. Errors: none; spent() is an answer, and reason() says it.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/failure_policy.h"
#include "engine/jitter.h"

namespace seawall::runtime {

class ReopenPlan {
 public:
  explicit ReopenPlan(Jitter jitter = {}) : jitter_(jitter) {}

  void opened(Instant now) {
    opened_at_ = now;
    due_.reset();
  }

  void failed(Instant now, const Error& error) {
    if (opened_at_) failures_.in_sync_for(*opened_at_, now);
    opened_at_.reset();
    what_ = error.what;
    const FailureNote failure = failures_.note(FailureKind::store_failed, now);
    final_ = !worth_another_try(error.code) || failure.action != FailureAction::retry;
    due_.reset();
    if (final_) return;
    const Duration pause = pause_of(FailureKind::store_failed, failure.nth);
    due_ = now + jitter_.of(pause, 0, failure.nth);
  }

  // A new epoch or an operator's word: what was left alone is tried once more, and a budget begins.
  // False: nothing was left alone.
  bool try_anew(Instant now) {
    if (!final_) return false;
    failures_.forget();
    final_ = false;
    due_ = now;
    return true;
  }

  // The pause is over: the next opening begins.
  void begun() { due_.reset(); }

  [[nodiscard]] std::optional<Instant> due() const { return due_; }
  [[nodiscard]] bool spent() const { return final_; }
  [[nodiscard]] std::uint32_t failures() const {
    return failures_.count(FailureKind::store_failed);
  }
  // Of the last failure; static text.
  [[nodiscard]] const char* reason() const { return what_; }

 private:
  static constexpr bool worth_another_try(Errc code) {
    return code != Errc::wrong_incarnation && code != Errc::unknown_version &&
           code != Errc::invalid_argument;
  }

  Jitter jitter_;
  std::optional<Instant> opened_at_;
  std::optional<Instant> due_;
  ReplicaFailures failures_;
  bool final_ = false;
  const char* what_ = "";
};

}  // namespace seawall::runtime
