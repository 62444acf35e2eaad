// LinkTable: the links of one volume host, and the way frames leave on them.
//
// Purpose: knows for each link what it is for, and numbers the frames that leave on it. A front end
// in the same process has a link as well, without a transport behind it: its numbers have the top
// bit set. Life cycle: one a host. Thread: the shard's. Ownership: nothing. Bounds: `links_max`
// links a volume; one more is refused. Errors: sending on a link that is not there is no error: it
// ended meanwhile.
#pragma once

#include <cstdint>

#include "engine/base/bounded_map.h"
#include "engine/client.h"
#include "node/runtime/shard.h"
#include "node/runtime/wire_header.h"

namespace seawall::runtime {

// A front end in this process. Calls come inside a step of the host: they note, and act later.
class LocalClient {
 public:
  virtual ~LocalClient() = default;
  virtual void on_attach_reply(LinkId link, const ClientAttachReply& reply) = 0;
  // done.slot is the host's: who keeps it takes a reference.
  virtual void on_done(LinkId link, const ClientDone& done) = 0;
  // The host ended the link.
  virtual void on_hung_up(LinkId link) = 0;
};

struct Link {
  LinkState state = LinkState::fresh;
  LocalClient* local = nullptr;
  ConnectionNumber connection;      // clients
  std::uint64_t sequence = 0;       // of the last frame that left
};

class LinkTable {
 public:
  static constexpr std::size_t links_max = 64;
  static constexpr std::uint64_t local_bit = std::uint64_t{1} << 63;

  explicit LinkTable(Shard& shard) : shard_(shard) {}

  [[nodiscard]] bool add(LinkId id, const Link& link) {
    return links_.try_insert(id, link) != nullptr;
  }
  Link* find(LinkId id) { return links_.find(id); }
  [[nodiscard]] const Link* find(LinkId id) const { return links_.find(id); }
  void erase(LinkId id) { links_.erase(id); }
  [[nodiscard]] std::size_t size() const { return links_.size(); }
  // The link of the greatest number; size() must not be 0.
  [[nodiscard]] LinkId last() const { return links_.entry(links_.size() - 1).key; }
  static constexpr bool is_local(LinkId id) { return (id.value() & local_bit) != 0; }
  LinkId next_local() { return LinkId{local_bit | ++local_}; }

  // Numbers the frame and queues it; nothing happens when the link is gone.
  void send(LinkId id, Frame frame) {
    Link* link = links_.find(id);
    if (link == nullptr || link->local != nullptr) return;
    if (link->state != LinkState::from_client) frame.header.sequence = ++link->sequence;
    shard_.transport.send(id, frame);
  }

 private:
  Shard& shard_;
  BoundedMap<LinkId, Link, links_max> links_;
  std::uint64_t local_ = 0;
};

}  // namespace seawall::runtime
