// PeerDialer: keeps the links that the primary wants to its replicas.
//
// Purpose: carries out DialPeer and StopDialling. A wanted peer is dialled, again and again with a
// growing pause, until it is reached; a link that ends is dialled anew. Life cycle: one a host.
// Thread: the shard's. Ownership: nothing. Bounds: one link and one attempt a member. Units:
// milliseconds. Errors: a peer without a known address waits for an assignment that has one.
#pragma once

#include <optional>
#include <string>

#include "engine/base/bounded_map.h"
#include "engine/base/limits.h"
#include "engine/jitter.h"
#include "node/runtime/ports.h"

namespace seawall::runtime {

class PeerDialer {
 public:
  static constexpr Duration pause_min{50};
  static constexpr Duration pause_max{1000};
  // A link that nobody answered within this time is given up.
  static constexpr Duration attempt_max{limits::handshake_deadline_ms};

  PeerDialer(Transport& transport, LinkUser& user, Jitter jitter = {})
      : transport_(transport), user_(user), jitter_(jitter) {}

  // The newest addresses, from an assignment. A wanted peer whose address changed is dialled anew
  // when its link ends.
  void set_address(ReplicaId peer, const std::string& address);
  void dial(ReplicaId peer, EndpointVersion version, Instant now);
  // True: the link was one of ours, and it is forgotten; it is not dialled again until dial().
  bool hang_up(LinkId link);
  void stop(ReplicaId peer);
  void stop_all();

  // The peer of a link that was dialled, and marks it as reached.
  std::optional<ReplicaId> connected(LinkId link);
  struct Ended {
    ReplicaId peer;
    bool was_connected = false;
  };
  std::optional<Ended> closed(LinkId link, Instant now);
  [[nodiscard]] std::optional<ReplicaId> peer_of(LinkId link) const;

  void turn(Instant now);
  [[nodiscard]] std::optional<Instant> wake_at() const;

 private:
  struct Peer {
    EndpointVersion version;
    std::string address;
    bool wanted = false;
    std::optional<LinkId> link;
    bool connected = false;
    Instant since;            // of the attempt
    Duration pause = pause_min;
    std::optional<Instant> next;  // when to try
  };

  void attempt(Peer& peer, Instant now);
  void back_off(Peer& peer, Instant now);

  Transport& transport_;
  LinkUser& user_;
  const Jitter jitter_;
  BoundedMap<ReplicaId, Peer, 2 * limits::members_max> peers_;
};

}  // namespace seawall::runtime
