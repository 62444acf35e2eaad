// Drain: the pause before a planned move of the primary. Nothing new is admitted, what is open
// finishes, the head is proved; then another replica takes over at no cost to a client.
//
// Life cycle: begins with an assignment that asks for it, ends with a later revision, with the
// epoch, or by itself after limits::drain_ms_max: a controller that died in a move stops nobody's
// I/O for longer. Thread: the Core's. Ownership: holds the loan of a slot from hold() to the visit
// of release(), or to its DropSlot. Bounds: one queue depth an attachment.
#pragma once

#include <optional>

#include "engine/base/ring_buffer.h"
#include "engine/context.h"

namespace seawall {

class Drain {
 public:
  struct Held {
    LinkId link;
    ClientRequest request;
  };

  explicit Drain(Context& context) : context_(context) {}

  void begin() { until_ = context_.now + Duration{limits::drain_ms_max}; }
  [[nodiscard]] bool on() const { return until_.has_value(); }
  [[nodiscard]] bool overdue();  // asks for a wake-up at its end
  // False: no room, which a client within its queue depth never meets.
  [[nodiscard]] bool hold(LinkId link, const ClientRequest& request);
  [[nodiscard]] std::size_t held() const { return held_.size(); }
  // A connection that is over: nobody waits for its answers.
  void forget(AttachmentId attachment) {
    take(attachment, [this](const Held& held) { context_.drop(held.request.slot); });
  }
  // What one attachment has here, in order; as release().
  template <class Visit>
  void take(AttachmentId attachment, Visit visit) {
    for (std::size_t left = held_.size(); left > 0; --left) {
      const Held next = held_.pop_front();
      if (next.request.attachment == attachment) visit(next);
      else held_.push_back(next);
    }
  }
  // It is over: each that was held, in order. `visit` takes over the loan of its slot.
  template <class Visit>
  void release(Visit visit) {
    until_.reset();
    for (std::size_t left = held_.size(); left > 0; --left) {
      const Held next = held_.pop_front();
      visit(next);
    }
  }

 private:
  static constexpr std::size_t held_max = limits::attachments_max * limits::queue_depth_max;

  Context& context_;
  std::optional<Instant> until_;
  RingBuffer<Held, held_max> held_;
};

}  // namespace seawall
