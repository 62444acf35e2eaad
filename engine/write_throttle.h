// Slows the writers of one volume down, within bounds.
//
// Purpose: so that a replica that catches up, wins. A rate with a debt: a write enters while there
// is credit, whatever its size, and its bytes are owed before the next one. No write waits longer
// than `hold_max` for it. Life cycle: off, or a rate; forgotten at the end of a term. Thread: the
// Core's; pure. Units: bytes a second, milliseconds. Errors: none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "engine/base/ids.h"
#include "engine/base/mutant.h"

namespace seawall {

class WriteThrottle {
 public:
  static constexpr Duration burst{100};
  static constexpr Duration hold_max{1'000};

  // nullopt: off. Never 0.
  void set(std::optional<std::uint64_t> bytes_per_second, Instant now) {
    if (bytes_per_second == rate_) return;
    refill(now);
    rate_ = bytes_per_second;
    if (rate_) rate_ = std::clamp<std::uint64_t>(*rate_, 1, std::uint64_t{1} << 40);
    credit_ = std::min(credit_, most());
    at_ = now;
  }
  [[nodiscard]] bool on() const { return rate_.has_value(); }
  [[nodiscard]] std::optional<std::uint64_t> rate() const { return rate_; }

  // `since`: from when on the write has waited.
  [[nodiscard]] bool open(Instant now, Instant since) const {
    return !rate_ || credit_at(now) > 0 || (now >= since + hold_max && !MUTANT(M132));
  }
  void spend(std::uint64_t bytes, Instant now) {
    if (!rate_) return;
    refill(now);
    // What enters by its age is not owed in full: the debt stays below what `hold_max` pays.
    credit_ = std::max(credit_ - static_cast<std::int64_t>(bytes) * 1'000, -10 * most());
  }
  // When the next write may enter that has waited since `since`.
  [[nodiscard]] Instant opens_at(Instant now, Instant since) const {
    if (open(now, since)) return now;
    const auto rate = static_cast<std::int64_t>(*rate_);
    const std::int64_t missing = 1 - credit_at(now);
    const Duration wait{static_cast<std::uint64_t>((missing + rate - 1) / rate)};
    return std::min(now + wait, since + hold_max);
  }

 private:
  friend struct DigestAccess;  // digest.cc: names every field
  // Credit is in thousandths of a byte: so one millisecond pays `rate` of them.
  [[nodiscard]] std::int64_t most() const {
    return rate_ ? static_cast<std::int64_t>(*rate_ * burst.value()) : 0;
  }
  [[nodiscard]] std::int64_t credit_at(Instant now) const {
    if (!rate_) return 0;
    const std::uint64_t waited = std::min<std::uint64_t>((now - at_).value(), 60'000);
    return std::min(most(), credit_ + static_cast<std::int64_t>(*rate_ * waited));
  }
  void refill(Instant now) {
    credit_ = credit_at(now);
    at_ = now;
  }

  std::optional<std::uint64_t> rate_;
  Instant at_;
  std::int64_t credit_ = 0;
};

}  // namespace seawall
