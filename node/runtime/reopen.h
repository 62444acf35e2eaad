// ReopenPlan: when a store that failed is opened anew, and when it is left alone.
//
// Purpose: a disk that failed once is read again, whole, after a pause; each further failure
// doubles the pause, and a budget ends it. What another try cannot change (a foreign directory, a
// version not known here) is left alone at once. Life cycle: one a host; opened() and failed() tell
// it what happened. Thread: the shard's. Ownership: nothing. Units: milliseconds of the shard's
// clock. The budget counts again from nothing once the store has been open for `good_after` without
// a failure. Errors: none; spent() is an answer, and reason() says it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace seawall::runtime {

class ReopenPlan {
 public:
  static constexpr Duration pause_min{500};
  static constexpr Duration pause_max{30'000};
  static constexpr Duration good_after{5 * 60'000};
  static constexpr std::uint32_t budget = 8;

  void opened(Instant now) {
    opened_at_ = now;
    due_.reset();
  }

  void failed(Instant now, const Error& error) {
    if (opened_at_ && now >= *opened_at_ + good_after) failures_ = 0;
    opened_at_.reset();
    what_ = error.what;
    ++failures_;
    final_ = !worth_another_try(error.code) || failures_ > budget;
    due_.reset();
    if (final_) return;
    const std::uint32_t doublings = std::min(failures_ - 1, 16u);
    due_ = now + std::min(pause_max, Duration{pause_min.value() << doublings});
  }

  // The pause is over: the next opening begins.
  void begun() { due_.reset(); }

  [[nodiscard]] std::optional<Instant> due() const { return due_; }
  // Nothing but a restart of the daemon brings it back.
  [[nodiscard]] bool spent() const { return final_; }
  [[nodiscard]] std::uint32_t failures() const { return failures_; }
  // Of the last failure; static text.
  [[nodiscard]] const char* reason() const { return what_; }

 private:
  static constexpr bool worth_another_try(Errc code) {
    return code != Errc::wrong_incarnation && code != Errc::unknown_version &&
           code != Errc::invalid_argument;
  }

  std::optional<Instant> opened_at_;
  std::optional<Instant> due_;
  std::uint32_t failures_ = 0;
  bool final_ = false;
  const char* what_ = "";
};

}  // namespace seawall::runtime
