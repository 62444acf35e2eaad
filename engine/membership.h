// Membership: changes of the configuration that the primary asks for (policy in-sync).
//
// A member of the in-sync set that is gone is asked out, one that is in sync again is asked in.
// From before the proposal until its outcome is known, acks, barriers and leases satisfy both sets;
// it is proposed only when a barrier at the head of its moment has satisfied the new one. One at a
// time.
// Life cycle: reset with every epoch. Thread: the Core's.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/context.h"

namespace seawall {

class Primary;
struct Peer;

class Membership {
 public:
  Membership(Context& context, Primary& primary) : context_(context), primary_(primary) {}

  void reset() { change_.reset(); }
  void advance();  // begins, proposes, gives up
  // A committed configuration: whatever was proposed on an older revision has its outcome.
  void on_configuration() { change_.reset(); }
  void on_refused(const ConfigRefusal& refusal);

  // The set that is asked for; both count while it is there.
  [[nodiscard]] std::optional<Configuration> wanted() const {
    if (!change_) return std::nullopt;
    return change_->wanted;
  }
  [[nodiscard]] bool proposed() const { return change_ && change_->proposed; }

 private:
  struct Change {
    Configuration wanted;
    ReplicaId cause;
    bool shrinks = false;
    Lsn target;                      // proven durable on the wanted set before it is proposed
    bool proposed = false;
    Instant propose_again;
    std::optional<Revision> moved;   // committed meanwhile: its content is still on the way
  };

  void begin();
  bool begin_shrink();
  bool begin_grow();
  void start(const Configuration& wanted, ReplicaId cause, bool shrinks);
  [[nodiscard]] bool obsolete() const;
  void propose();
  [[nodiscard]] Instant readd_at(const Peer& peer) const;

  Context& context_;
  Primary& primary_;
  std::optional<Change> change_;
};

}  // namespace seawall
