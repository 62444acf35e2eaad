// Barriers: the proof that a prefix is durable on the required set.
//
// A barrier has an id and a target. A peer proves a target only by an answer of the session in
// which it was asked, to an id that it was asked, with a durable position at or above the target.
// Everything else proves nothing. Thread: the Core's.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/ids.h"
#include "engine/base/ring_buffer.h"
#include "engine/message.h"

namespace seawall {

// The barriers that one peer was asked in its session.
class BarrierLog {
 public:
  void asked(std::uint64_t id, Lsn target) {
    if (open_.full()) open_.pop_front();  // a later one covers it
    open_.push_back({id, target});
  }
  // What the answer proves; forgets that barrier. Answers come in any order: a smaller target can
  // be reached while a greater one waits for room in the log.
  std::optional<Lsn> answered(const message::BarrierDone& done);
  [[nodiscard]] bool outstanding() const { return !open_.empty(); }
  void clear() { open_.clear(); }

 private:
  friend struct DigestAccess;  // digest.cc: names every field
  struct Asked {
    std::uint64_t id = 0;
    Lsn target;
  };
  RingBuffer<Asked, 16> open_;
};

// When the primary asks its next one.
class BarrierPlan {
 public:
  void reset() { *this = BarrierPlan{}; }
  void want(Lsn target) {
    if (!wanted_ || target > *wanted_) wanted_ = target;
  }
  // The target to ask for now, if any: at most two of our own flushes are under way, what is wanted
  // meanwhile shares the next one.
  [[nodiscard]] std::optional<Lsn> due(Lsn own_durable) const;
  std::uint64_t issue(Lsn target);

  [[nodiscard]] std::optional<Lsn> last_target() const { return last_; }
  // A barrier beside the sequence.
  std::uint64_t next_id() { return next_id_++; }

 private:
  friend struct DigestAccess;  // digest.cc: names every field
  std::optional<Lsn> wanted_;
  std::optional<Lsn> last_, before_last_;
  std::uint64_t next_id_ = 1;
};

}  // namespace seawall
