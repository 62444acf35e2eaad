#include "sim/nemesis.h"

#include <utility>
#include <vector>

#include "sim/membership.h"

namespace seawall::sim {
namespace {

constexpr Micros operator_looks = 5 * seconds;

}  // namespace

Nemesis::Nemesis(Scheduler& scheduler, Cluster& cluster, Prng prng, const FaultOptions& options)
    : scheduler_(scheduler), cluster_(cluster), prng_(prng), options_(options) {}

void Nemesis::start() {
  active_ = true;
  operate();
  arm(options_.crash, &Nemesis::crash);
  arm(options_.client_crash, &Nemesis::crash_client);
  arm(options_.power_loss, &Nemesis::lose_power);
  arm(options_.power_loss_all, &Nemesis::lose_all_power);
  arm(options_.pause, &Nemesis::pause);
  arm(options_.partition, &Nemesis::partition);
  arm(options_.one_way, &Nemesis::one_way);
  arm(options_.reset, &Nemesis::reset);
  arm(options_.control_cut, &Nemesis::cut_control);
  arm(options_.controller_crash, &Nemesis::crash_controller);
  arm(options_.long_pause, &Nemesis::pause_long);
  arm(options_.controller_rival, &Nemesis::rival);
  cluster_.controller().set_lost_replies(options_.lost_replies);
  arm(options_.planned_move, &Nemesis::move_primary);
  arm(options_.membership, &Nemesis::change_members);
  arm(options_.swapped_disks, &Nemesis::swap_disks);
  arm(options_.cloned_disk, &Nemesis::clone_disk);
  arm(options_.old_copy, &Nemesis::restore_old_copy);
}

void Nemesis::heal() {
  active_ = false;
  cluster_.calm();
  cluster_.network().release_all();
  cluster_.control_net().release_all();
  cluster_.controller().end_rivals();
  cluster_.controller().set_lost_replies(Ratio{0, 1});
  if (!cluster_.controller().running()) cluster_.controller().start();
  swap_back();
  for (NodeNumber node = 1; node <= cluster_.machines(); ++node) {
    cluster_.resume(node);
    // What the product leaves to an operator, one does: a restart of the daemon.
    if (cluster_.has_given_up(node)) cluster_.crash(node);
    if (!cluster_.running(node)) cluster_.start(node);
  }
}

void Nemesis::strike_after_flush() {
  if (!active_ || options_.power_loss_all == 0 || !prng_.chance(options_.strike_after_flush))
    return;
  scheduler_.after(0, world, [this] {
    if (active_ && cluster_.options().strikes.takes(next_strike_++)) lose_all_power();
  });
}

void Nemesis::arm(Micros mean, void (Nemesis::*strike)()) {
  if (mean == 0) return;
  scheduler_.after(1 + prng_.below(2 * mean), world, [this, mean, strike] {
    if (!active_) return;
    const bool takes = cluster_.options().strikes.takes(next_strike_++);
    if (takes && scheduler_.now() >= quiet_until_) (this->*strike)();
    arm(mean, strike);
  });
}

// Mends what a strike broke, unless heal() has done it already.
void Nemesis::later(Micros delay, std::function<void()> mend) {
  scheduler_.after(1 + delay, world, [this, mend = std::move(mend)] {
    if (active_) mend();
  });
}

NodeNumber Nemesis::draw_node() {
  return 1 + static_cast<NodeNumber>(prng_.below(cluster_.storage_nodes()));
}

void Nemesis::crash() {
  const NodeNumber node = draw_node();
  if (!cluster_.running(node)) return;
  ++stats_.crashes;
  cluster_.crash(node);
  later(prng_.below(options_.down_max + 1), [this, node] {
    if (!cluster_.running(node)) cluster_.start(node);
  });
}

void Nemesis::crash_client() {
  const NodeNumber node = cluster_.volume(prng_.below(cluster_.volumes())).node();
  if (!cluster_.running(node)) return;
  ++stats_.crashes;
  cluster_.crash(node);
  later(prng_.below(options_.down_max + 1), [this, node] {
    if (!cluster_.running(node)) cluster_.start(node);
  });
}

void Nemesis::lose_power() {
  const NodeNumber node = draw_node();
  if (!options_.beyond_tolerance && !cluster_.may_doubt(node)) return;
  ++stats_.power_losses;
  cluster_.lose_power(node);
  later(prng_.below(options_.down_max + 1), [this, node] {
    if (!cluster_.running(node)) cluster_.start(node);
  });
}

void Nemesis::lose_all_power() {
  ++stats_.power_losses;
  // With a client that lives on, what it has seen may be gone: it must be told.
  const NodeNumber last = prng_.coin() ? cluster_.machines() : cluster_.storage_nodes();
  for (NodeNumber node = 1; node <= last; ++node) cluster_.lose_power(node);
  for (NodeNumber node = 1; node <= last; ++node) {
    later(prng_.below(options_.down_max + 1), [this, node] {
      if (!cluster_.running(node)) cluster_.start(node);
    });
  }
}

void Nemesis::pause() {
  const NodeNumber node = draw_node();
  if (!cluster_.running(node)) return;
  cluster_.pause(node);
  later(prng_.below(options_.pause_max + 1), [this, node] { cluster_.resume(node); });
}

void Nemesis::pause_long() {
  const NodeNumber node = draw_node();
  const Micros time = prng_.range(600 * seconds, 3600 * seconds);
  if (quiet_until_ != 0 || !cluster_.running(node)) return;  // once a run
  quiet_until_ = scheduler_.now() + time;
  cluster_.pause(node);
  if (on_long_pause_) on_long_pause_(time);
  later(time, [this, node] { cluster_.resume(node); });
}

void Nemesis::partition() {
  const NodeNumber node = draw_node();
  Network& network = cluster_.network();
  ++stats_.partitions;
  // Alone, or away from one other (a bridge remains); with or without its way to the controller.
  const bool alone = prng_.coin();
  const bool control_too = prng_.coin();
  const NodeNumber one = draw_node();
  for (NodeNumber other = 1; other <= cluster_.machines(); ++other) {
    if (other == node || (!alone && other != one)) continue;
    network.hold(node, other);
    network.hold(other, node);
  }
  if (alone && control_too) cluster_.control_net().hold(node);
  later(prng_.below(options_.cut_max + 1), [this, node] {
    for (NodeNumber other = 1; other <= cluster_.machines(); ++other) {
      cluster_.network().release(node, other);
      cluster_.network().release(other, node);
    }
    cluster_.control_net().release(node);
  });
}

void Nemesis::one_way() {
  const NodeNumber from = draw_node();
  ++stats_.partitions;
  const bool to_all = prng_.coin();
  const bool outwards = prng_.coin();
  const NodeNumber one = 1 + static_cast<NodeNumber>(prng_.below(cluster_.machines()));
  for (NodeNumber other = 1; other <= cluster_.machines(); ++other) {
    if (other == from || (!to_all && other != one)) continue;
    if (outwards) {
      cluster_.network().hold(from, other);
    } else {
      cluster_.network().hold(other, from);
    }
  }
  later(prng_.below(options_.cut_max + 1), [this, from] {
    for (NodeNumber other = 1; other <= cluster_.machines(); ++other) {
      cluster_.network().release(from, other);
      cluster_.network().release(other, from);
    }
  });
}

void Nemesis::reset() {
  const NodeNumber a = draw_node();
  const NodeNumber b = 1 + static_cast<NodeNumber>(prng_.below(cluster_.machines()));
  cluster_.network().reset_one(a, b);
}

void Nemesis::cut_control() {
  const NodeNumber node = 1 + static_cast<NodeNumber>(prng_.below(cluster_.machines()));
  ControlNet& net = cluster_.control_net();
  if (prng_.coin()) {
    net.cut(node);
    return;
  }
  net.hold(node);
  later(prng_.below(options_.cut_max + 1), [this, node] { cluster_.control_net().release(node); });
}

void Nemesis::rival() {
  ControllerHost& controller = cluster_.controller();
  if (!controller.running()) return;
  controller.take_over();
  const Micros wakes = prng_.below(options_.pause_max + 1);
  later(wakes, [&controller] { controller.wake_rivals(); });
  later(wakes + prng_.below(3 * seconds), [&controller] { controller.end_rivals(); });
}

void Nemesis::crash_controller() {
  if (!cluster_.controller().running()) return;
  cluster_.controller().crash();
  later(prng_.below(options_.down_max + 1), [this] {
    if (!cluster_.controller().running()) cluster_.controller().start();
  });
}

// An operator's wish at any moment; whatever else happens, it ends with one of the two in office.
void Nemesis::move_primary() {
  if (moving_) return;
  const VolumeClient& volume = cluster_.volume(prng_.below(cluster_.volumes()));
  if (!volume.ready()) return;
  controller::MoveVolume request;
  request.operation = "move-" + std::to_string(stats_.moves + 1);
  request.volume = volume.name();
  request.node_id = NodeId{draw_node()};
  moving_ = true;
  ++stats_.moves;
  cluster_.controller().ask(request, [this](const controller::Answer&) { moving_ = false; });
}

// F29. Only within what the configuration that may come of it survives with what is in doubt now.
void Nemesis::change_members() {
  VolumeClient& volume = cluster_.volume(prng_.below(cluster_.volumes()));
  const controller::VolumeRecord* record = cluster_.controller().volume(volume.id());
  if (record == nullptr || !volume.ready() || volume.wish_open()) return;
  controller::ChangeVolume wish = draw_change(prng_, *record, cluster_.storage_nodes());
  const std::size_t tolerated = copies_tolerated_after(wish, *record);
  if (!options_.beyond_tolerance && volume.atlas().doubted() > tolerated) return;
  wish.operation = "change-" + std::to_string(++stats_.wishes);
  volume.wish_asked(tolerated);
  cluster_.controller().ask(wish, [this, &volume](const controller::Answer& answer) {
    cluster_.wish_answered(volume, !answer.refusal.has_value());
  });
}

// F28: each daemon comes back to the other's files; then they are put right.
void Nemesis::swap_disks() {
  const NodeNumber one = draw_node();
  const NodeNumber other = draw_node();
  if (one == other || swapped_ || cloned_) return;  // a clone in its original's place is old
  for (const NodeNumber node : {one, other}) {
    if (cluster_.running(node)) cluster_.crash(node);
  }
  cluster_.swap_pools(one, other);
  swapped_ = {one, other};
  for (const NodeNumber node : {one, other}) {
    later(prng_.below(options_.down_max + 1), [this, node] {
      if (!cluster_.running(node)) cluster_.start(node);
    });
  }
  later(prng_.range(1 * seconds, 5 * seconds), [this] { swap_back(); });
}

void Nemesis::swap_back() {
  if (!swapped_) return;
  const auto [one, other] = *swapped_;
  for (const NodeNumber node : {one, other}) {
    if (cluster_.running(node)) cluster_.crash(node);
  }
  cluster_.swap_pools(one, other);
  swapped_.reset();
  for (const NodeNumber node : {one, other}) cluster_.start(node);
}

// F28: somebody puts back what a replica's files once were; the next time, that is.
void Nemesis::restore_old_copy() {
  if (!kept_) {
    const NodeNumber node = draw_node();
    const auto& entries = cluster_.disks_of(node).entries();
    if (entries.empty() || swapped_) return;
    const ReplicaId replica = entries.begin()->first;
    kept_ = Kept{node, replica, cluster_.disks_of(node).copy_of(replica)};
    if (kept_->files == nullptr) kept_.reset();
    return;
  }
  const NodeNumber node = kept_->node;
  // Unlike a loss of power, one too many of these needs an operator's force.
  if (swapped_ || (!cluster_.options().disk_faults.beyond && !cluster_.may_doubt(node))) return;
  if (cluster_.running(node)) cluster_.crash(node);
  cluster_.restore_copy(node, kept_->replica, std::move(kept_->files));
  kept_.reset();
  later(prng_.below(options_.down_max + 1), [this, node] {
    if (!cluster_.running(node)) cluster_.start(node);
  });
}

// F28: somebody copied a replica's directory into the pool of a node that has none of that volume.
void Nemesis::clone_disk() {
  const NodeNumber from = draw_node();
  const NodeNumber to = draw_node();
  const std::uint64_t skip = prng_.next();
  const auto& entries = cluster_.disks_of(from).entries();
  if (from == to || swapped_ || entries.empty()) return;
  auto it = entries.begin();
  std::advance(it, static_cast<std::ptrdiff_t>(skip % entries.size()));
  if (cluster_.running(to)) cluster_.crash(to);
  cloned_ = cluster_.clone_replica(from, to, it->first) || cloned_;
  later(prng_.below(options_.down_max + 1), [this, to] {
    if (!cluster_.running(to)) cluster_.start(to);
  });
}

// What was given up is tried again by an operator, who looks every few seconds, in peace as well.
void Nemesis::operate() {
  for (std::size_t i = 0; i < cluster_.volumes(); ++i) {
    const controller::VolumeRecord* record =
        cluster_.controller().running() ? cluster_.controller().volume(cluster_.volume(i).id())
                                        : nullptr;
    if (record == nullptr) continue;
    for (const controller::ReplicaRecord& replica : record->replicas) {
      if (replica.trouble.find(",terminal,") == std::string::npos) continue;
      controller::ChangeVolume request;
      request.operation = "retry-" + std::to_string(++stats_.retries);
      request.volume = record->name;
      request.retry = "n" + std::to_string(replica.node.value());
      cluster_.controller().ask(request, [](const controller::Answer&) {});
    }
  }
  scheduler_.after(operator_looks, world, [this] { operate(); });
}

}  // namespace seawall::sim
