#include "node/runtime/peer_dialer.h"

#include <algorithm>

namespace seawall::runtime {

void PeerDialer::set_address(ReplicaId peer, const std::string& address) {
  Peer* known = peers_.find(peer);
  if (known == nullptr) {
    if (peers_.full()) {
      peers_.erase_if([](ReplicaId, const Peer& p) { return !p.wanted && !p.link.has_value(); });
    }
    known = &peers_.insert(peer, Peer{});
  }
  if (known->address == address) return;
  known->address = address;
  known->pause = pause_min;
  if (known->wanted && !known->link.has_value()) known->next = Instant{};
}

void PeerDialer::dial(ReplicaId peer, EndpointVersion version, Instant now) {
  Peer* known = peers_.find(peer);
  if (known == nullptr) known = &peers_.insert(peer, Peer{});
  if (known->version != version && known->link.has_value() && !known->connected) {
    transport_.close(*known->link);  // an attempt at the old address
    known->link.reset();
  }
  known->version = version;
  known->wanted = true;
  if (known->link.has_value() || known->next.has_value()) return;
  known->pause = pause_min;
  attempt(*known, now);
}

void PeerDialer::attempt(Peer& peer, Instant now) {
  peer.next.reset();
  if (peer.address.empty()) {
    back_off(peer, now);
    return;
  }
  peer.since = now;
  peer.connected = false;
  peer.link = transport_.dial(Endpoint{peer.address}, user_);
}

void PeerDialer::back_off(Peer& peer, Instant now) {
  peer.next = now + jitter_.of(peer.pause, peer.version.value(), now.value());
  peer.pause = std::min(peer.pause + peer.pause, pause_max);
}

bool PeerDialer::hang_up(LinkId link) {
  for (auto& entry : peers_) {
    if (entry.value.link != link) continue;
    entry.value.link.reset();
    entry.value.connected = false;
    entry.value.wanted = false;
    entry.value.next.reset();
    return true;
  }
  return false;
}

void PeerDialer::stop(ReplicaId peer) {
  Peer* known = peers_.find(peer);
  if (known == nullptr) return;
  known->wanted = false;
  known->next.reset();
  if (known->link.has_value() && !known->connected) {
    transport_.close(*known->link);
    known->link.reset();
  }
}

void PeerDialer::stop_all() {
  for (auto& entry : peers_) {
    if (entry.value.link.has_value()) transport_.close(*entry.value.link);
    entry.value.link.reset();
    entry.value.wanted = false;
    entry.value.next.reset();
  }
}

std::optional<ReplicaId> PeerDialer::connected(LinkId link) {
  for (auto& entry : peers_) {
    if (entry.value.link != link) continue;
    entry.value.connected = true;
    return entry.key;
  }
  return std::nullopt;
}

std::optional<PeerDialer::Ended> PeerDialer::closed(LinkId link, Instant now) {
  for (auto& entry : peers_) {
    if (entry.value.link != link) continue;
    const Ended ended{entry.key, entry.value.connected};
    // A link that ends at once was refused: only one that lived makes the next attempt a quick one.
    if (ended.was_connected && now - entry.value.since >= pause_max) {
      entry.value.pause = pause_min;
    }
    entry.value.link.reset();
    entry.value.connected = false;
    if (entry.value.wanted) back_off(entry.value, now);
    return ended;
  }
  return std::nullopt;
}

std::optional<ReplicaId> PeerDialer::peer_of(LinkId link) const {
  for (const auto& entry : peers_) {
    if (entry.value.link == link) return entry.key;
  }
  return std::nullopt;
}

void PeerDialer::turn(Instant now) {
  for (auto& entry : peers_) {
    Peer& peer = entry.value;
    if (peer.link.has_value() && !peer.connected && now - peer.since >= attempt_max) {
      transport_.close(*peer.link);
      peer.link.reset();
      if (peer.wanted) back_off(peer, now);
    }
    if (peer.next.has_value() && *peer.next <= now) attempt(peer, now);
  }
}

std::optional<Instant> PeerDialer::wake_at() const {
  std::optional<Instant> earliest;
  const auto at = [&](Instant instant) {
    if (!earliest.has_value() || instant < *earliest) earliest = instant;
  };
  for (const auto& entry : peers_) {
    if (entry.value.next.has_value()) at(*entry.value.next);
    if (entry.value.link.has_value() && !entry.value.connected) {
      at(entry.value.since + attempt_max);
    }
  }
  return earliest;
}

}  // namespace seawall::runtime
