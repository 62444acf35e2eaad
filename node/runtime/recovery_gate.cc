#include "node/runtime/recovery_gate.h"

#include <algorithm>
#include <variant>

#include "engine/base/mutant.h"

namespace seawall::runtime {
namespace {

constexpr Duration burst{20};
constexpr Duration forgotten{50};  // a waiter that has not asked for so long is passed over

}  // namespace

Duration RecoveryGate::bound() const {
  return std::max(limits_.bound_least, Duration{quiet_x8_ / 8 * limits_.factor});
}

void RecoveryGate::note_write(Duration took, Instant now) {
  look(now);
  ++took_[std::min<std::uint64_t>(took.value(), took_.size() - 1)];
  ++samples_;
}

void RecoveryGate::refill(Instant now) {
  const std::uint64_t waited = std::min<std::uint64_t>((now - refilled_).value(), 1'000);
  refilled_ = now;
  const auto most = static_cast<std::int64_t>(rate_ * burst.value());
  credit_ = std::min(most, credit_ + static_cast<std::int64_t>(rate_ * waited));
}

// Ends the window when its time is over.
void RecoveryGate::look(Instant now) {
  if (now < window_end_) return;
  refill(now);
  judge();
  took_.fill(0);
  samples_ = 0;
  used_ = 0;
  recovered_ = running_ > 0;
  window_end_ = now + limits_.window;
}

void RecoveryGate::judge() {
  if (samples_ < limits_.samples_least) {
    rate_ = std::min(limits_.rate_max, rate_ / 4 * 5);
    return;
  }
  std::uint32_t above = samples_ / 100;  // so many may be slower
  std::uint64_t p99 = took_.size() - 1;
  while (p99 > 0 && took_[p99] <= above) above -= took_[p99--];
  if (!recovered_) {
    quiet_x8_ = quiet_x8_ == 0 ? p99 * 8 : quiet_x8_ - quiet_x8_ / 8 + p99;
  } else if (Duration{p99} > bound() && !MUTANT(M135)) {
    // Half of what was used: the rate itself may be far above it.
    const std::uint64_t used = used_ * 1'000 / std::max<std::uint64_t>(limits_.window.value(), 1);
    rate_ = std::max(limits_.rate_min, std::min(rate_, used) / 2);
    credit_ = std::min(credit_, std::int64_t{0});
    return;
  }
  rate_ = std::min(limits_.rate_max, rate_ / 4 * 5);
}

bool RecoveryGate::enter(const RecoveryTurn& turn, std::uint64_t bytes, Instant now) {
  look(now);
  refill(now);
  std::size_t at = 0;
  while (at < waiting_.size() && waiting_[at].turn != &turn) ++at;
  if (at == waiting_.size()) {
    if (waiting_.full()) return false;
    waiting_.push_back({&turn, now});
  }
  waiting_[at].asked = now;
  while (waiting_.front().asked + forgotten < now) waiting_.erase_at(0);
  const bool first = waiting_.front().turn == &turn || MUTANT(M136);
  const bool place = running_ < limits_.at_once || MUTANT(M137);
  if (!first || !place || credit_ <= 0) return false;
  waiting_.erase_if([&turn](const Waiter& each) { return each.turn == &turn; });
  credit_ -= static_cast<std::int64_t>(bytes) * 1'000;
  used_ += bytes;
  ++running_;
  recovered_ = true;
  return true;
}

void RecoveryGate::leave(const RecoveryTurn& turn, bool running) {
  if (running) {
    CHECK(running_ > 0);
    --running_;
    return;
  }
  waiting_.erase_if([&turn](const Waiter& each) { return each.turn == &turn; });
}

void ForegroundWatch::after_step(bool primary, const Commands& commands, Instant now,
                                 RecoveryGate& gate) {
  if (!primary) return open_.clear();
  for (const Command& command : commands) {
    if (const auto* append = std::get_if<command::AppendLog>(&command)) {
      const RecordHeader& header = append->header;
      if (header.request.value() == 0) continue;
      if (open_.full()) open_.clear();
      open_.push_back({header.attachment, header.request, now});
    } else if (const auto* done = std::get_if<command::Complete>(&command)) {
      open_.erase_if([&](const Open& open) {
        const bool it = open.attachment == done->done.attachment &&
                        open.request == done->done.request;
        if (it) gate.note_write(now - open.since, now);
        return it;
      });
    }
  }
}

}  // namespace seawall::runtime
