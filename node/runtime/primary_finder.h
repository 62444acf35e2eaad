// PrimaryFinder: asks every replica of a volume who its primary is.
//
// Purpose: a front end that lost its primary finds the next one without the controller. A round
// dials every known address, asks on each link, and ends each link with its answer. Life cycle: one
// an attachment; start() begins a round, the owner's LinkUser passes link events on. Thread: the
// shard's. Ownership: its links. Bounds: one link a member. Errors: an address that does not answer
// is no answer.
#pragma once

#include <optional>
#include <vector>

#include "engine/base/bounded_vector.h"
#include "engine/base/limits.h"
#include "node/runtime/shard.h"

namespace seawall::runtime {

class PrimaryFinder {
 public:
  PrimaryFinder(Shard& shard, LinkUser& user) : shard_(shard), user_(user) {}
  ~PrimaryFinder() { stop(); }
  PrimaryFinder(const PrimaryFinder&) = delete;
  PrimaryFinder& operator=(const PrimaryFinder&) = delete;

  // A round that runs already goes on instead.
  void start(VolumeId volume, Incarnation incarnation,
             const std::vector<control::ReplicaAddress>& addresses);
  void stop();
  [[nodiscard]] bool running() const { return !links_.empty(); }
  [[nodiscard]] bool owns(LinkId link) const { return links_.contains(link); }

  void on_connected(LinkId link);
  // nullopt: no sound answer. The link is over.
  std::optional<PrimaryIs> on_frame(LinkId link, const Frame& frame);
  void on_closed(LinkId link);

 private:
  Shard& shard_;
  LinkUser& user_;
  WhoIsPrimary question_;
  BoundedVector<LinkId, limits::members_max> links_;
};

}  // namespace seawall::runtime
