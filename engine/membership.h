// Membership: every change of the configuration, by one joint rule (protocol.md section 3).
//
// Three reasons: a member of the in-sync set is gone and is asked out; one that is in sync again is
// asked in; the controller wishes for another configuration (members, policy, minInSync,
// writeCache). From before the proposal until its outcome is known, acks, barriers and leases
// satisfy both configurations; it is proposed only when a barrier at the head of its moment has
// satisfied the new one, so that a dead member can be left out. One at a time.
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

  // The configuration that is asked for; both count while it is there.
  [[nodiscard]] std::optional<Configuration> wanted() const {
    if (!change_) return std::nullopt;
    return change_->wanted;
  }
  [[nodiscard]] bool proposed() const { return change_ && change_->proposed; }

 private:
  friend struct DigestAccess;  // digest.cc: names every field
  enum class Kind : std::uint8_t { shrink, grow, wish };
  struct Change {
    Configuration wanted;
    ReplicaId cause;                 // wish: a newcomer, or the primary
    Kind kind = Kind::shrink;
    Lsn target;                      // proven durable on the wanted set before it is proposed
    bool proposed = false;
    Instant propose_again;
    std::optional<Revision> moved;   // committed meanwhile: its content is still on the way
  };

  void begin();
  bool begin_shrink();
  bool begin_wish();
  bool begin_grow();
  // The next step to the wish, if all that it will rely on counts now.
  std::optional<Configuration> step_to_wish();
  bool choose_in_sync(Configuration& next);
  [[nodiscard]] bool has_quorum(const Configuration& next) const;
  [[nodiscard]] bool counts(ReplicaId replica) const;  // eligible and shown in sync
  // A returning member, or a newcomer, that has stayed for as long as its flaps ask.
  bool has_settled(const Peer& peer);
  void start(const Configuration& wanted, ReplicaId cause, Kind kind);
  [[nodiscard]] bool obsolete();
  struct Smaller {
    Configuration wanted;
    ReplicaId cause;  // who is left out, the last one of them
  };
  std::optional<Smaller> step_to_smaller();
  bool is_gone(const Peer& peer);
  void propose();
  [[nodiscard]] Instant readd_at(const Peer& peer) const;

  Context& context_;
  Primary& primary_;
  std::optional<Change> change_;
};

}  // namespace seawall
