#include "sim/nemesis.h"

#include <utility>

namespace seawall::sim {

Nemesis::Nemesis(Scheduler& scheduler, Cluster& cluster, Prng prng, const FaultOptions& options)
    : scheduler_(scheduler), cluster_(cluster), prng_(prng), options_(options) {}

void Nemesis::start() {
  active_ = true;
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
}

void Nemesis::heal() {
  active_ = false;
  cluster_.calm();
  cluster_.network().release_all();
  cluster_.control_net().release_all();
  cluster_.controller().end_rivals();
  cluster_.controller().set_lost_replies(Ratio{0, 1});
  if (!cluster_.controller().running()) cluster_.controller().start();
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

}  // namespace seawall::sim
