// PlanJournal: what became of every plan to bring a replica back. Planned with its facts, each
// step, the end with its kind.
//
// Purpose: plan, execute, complete are three visible things; nothing here is ever an input of a
// decision. Life cycle: with the primary; it survives changes of epoch. Thread: the Core's.
// Bounds: the newest `entries_max` lines; `written` counts all there ever were.
#pragma once

#include <cstdint>

#include "engine/base/ring_buffer.h"
#include "engine/peer_progress.h"
#include "engine/recovery_plan.h"

namespace seawall {

enum class PlanStage : std::uint8_t {
  planned,   // with the facts it was made from
  step,      // the peer's state says which
  complete,  // the replica is back: in sync, or its marker is gone
  ended,     // the session ended; `end` says why
};
const char* plan_stage_name(PlanStage stage);

struct PlanLine {
  Instant at;
  ReplicaId replica;
  SessionId session;
  PlanStage stage = PlanStage::planned;
  PlanKind kind = PlanKind::refuse;
  const char* reason = "";                   // planned: why; static text
  Lsn common;                                // planned: what both are known to share
  Watermarks replica_marks;                  // planned: the replica's facts ...
  Lsn head, trimmed;                         // ... and the source's
  PeerState state = PeerState::down;         // step: what is being done
  SessionEnd end = SessionEnd::epoch_over;   // ended: why
};

class PlanJournal {
 public:
  static constexpr std::size_t entries_max = 128;

  void add(const PlanLine& line) {
    if (lines_.full()) lines_.pop_front();
    lines_.push_back(line);
    ++written_;
  }
  [[nodiscard]] std::size_t size() const { return lines_.size(); }
  [[nodiscard]] const PlanLine& operator[](std::size_t index) const { return lines_[index]; }
  [[nodiscard]] std::uint64_t written() const { return written_; }

 private:
  RingBuffer<PlanLine, entries_max> lines_;
  std::uint64_t written_ = 0;
};

}  // namespace seawall
