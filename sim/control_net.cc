#include "sim/control_net.h"

#include <algorithm>
#include <utility>

namespace seawall::sim {
namespace {

constexpr std::uint64_t any_stream = 0;  // of a late duplicate
constexpr Micros keep_alive = 2 * seconds;
constexpr Micros late_max = 6 * seconds;

struct Words {
  std::uint64_t epoch = 0, revision = 0;
};
Words words_of(const control::Assign& m) {
  return {m.assignment.epoch.value(), m.assignment.revision.value()};
}
Words words_of(const control::Fence& m) {
  return {m.request.epoch.value(), m.request.revision.value()};
}
Words words_of(const control::Refuse& m) {
  return {m.refusal.epoch.value(), m.refusal.base.value()};
}
Words words_of(const control::AttachmentView& m) { return {m.epoch.value(), m.attachment.value()}; }
template <class Other>
Words words_of(const Other&) {
  return {};
}

std::uint64_t epoch_of(const control::FromNode& message) {
  const auto* fenced = std::get_if<control::Fenced>(&message);
  return fenced != nullptr ? fenced->report.epoch.value() : 0;
}

}  // namespace

ControlNet::ControlNet(Scheduler& scheduler, Trace& trace, Prng prng)
    : scheduler_(scheduler), trace_(trace), prng_(prng) {}

void ControlNet::trace(What what, NodeNumber node, std::uint64_t a, std::uint64_t b,
                       std::uint64_t c) {
  trace_.add(TraceRecord{scheduler_.now(), what, node, a, b, c});
}

Micros ControlNet::draw_delay() {
  return prng_.chance(percent(3)) ? prng_.below(500 * ms) : prng_.range(100, 3 * ms);
}

bool ControlNet::connected(NodeNumber node) const {
  const auto it = links_.find(node);
  return it != links_.end() && it->second.up;
}

// --- sides ---

void ControlNet::node_up(NodeNumber node, NodeSide side) {
  Link& link = links_[node];
  link.node_there = true;
  link.node = std::move(side);
  maybe_dial(node);
}

// Somebody died, not the stream: what was sent before still arrives, then the end. Swarms have it
// the hard way: all of it is lost.
void ControlNet::drain(Link& link) {
  if (trace_.enumerated()) link.draining = link.stream;
}

void ControlNet::node_down(NodeNumber node) {
  Link& link = links_[node];
  const bool was_up = link.up;
  link.node_there = false;
  link.node = NodeSide{};
  link.up = false;
  if (!was_up || !controller_there_) return;
  drain(link);
  // The controller learns of a dead process soon, of a dead machine by keep-alive.
  const Micros told = scheduler_.now() + (prng_.coin() ? draw_delay() : keep_alive);
  scheduler_.at(link.draining == 0 ? told : std::max(told, link.last_from_node), controller_.owner,
                [this, stream = link.stream] {
                  if (controller_there_) controller_.lost(stream);
                });
}

void ControlNet::controller_up(ControllerSide side) {
  controller_ = std::move(side);
  controller_there_ = true;
  for (auto& [node, link] : links_) maybe_dial(node);
}

void ControlNet::controller_down() {
  controller_there_ = false;
  controller_ = ControllerSide{};
  for (auto& [node, link] : links_) {
    if (!link.up) continue;
    drain(link);
    drop(node);
  }
}

void ControlNet::controller_replaced() {
  for (const auto& [node, link] : links_) {
    if (!link.up) continue;
    scheduler_.after(keep_alive, controller_.owner,
                     [lost = controller_.lost, stream = link.stream] { lost(stream); });
  }
  controller_down();
}

void ControlNet::hold(NodeNumber node) {
  if (!held_.insert(node).second) return;
  const auto it = links_.find(node);
  if (it == links_.end() || !it->second.up) return;
  scheduler_.after(keep_alive, world, [this, node, stream = it->second.stream] {
    if (held_.contains(node) && links_[node].up && links_[node].stream == stream) drop(node);
  });
}

// A stream never goes on behind a message that it lost: it ends when the partition does, or before.
void ControlNet::lose(NodeNumber node) { links_[node].lost_something = true; }

void ControlNet::release(NodeNumber node) {
  if (held_.erase(node) == 0) return;
  Link& link = links_[node];
  if (link.up && link.lost_something) return drop(node);
  maybe_dial(node);
}

void ControlNet::release_all() {
  const auto held = held_;
  for (const NodeNumber node : held) release(node);
}

void ControlNet::cut(NodeNumber node) {
  if (connected(node)) drop(node);
}

// The stream ends for both living sides.
void ControlNet::drop(NodeNumber node) {
  Link& link = links_[node];
  link.up = false;
  const std::uint64_t stream = link.stream;
  trace(What::control_down, node);
  if (link.node_there) {
    const Micros told = scheduler_.now() + draw_delay();
    const bool drains = link.draining != 0;
    scheduler_.at(drains ? std::max(told, link.last_to_node) : told, link.node.owner,
                  [this, node, stream] {
      Link& l = links_[node];
      if (l.node_there && l.stream == stream && !l.up) l.node.lost();
    });
  }
  if (controller_there_) {
    scheduler_.after(draw_delay(), controller_.owner, [this, stream] {
      if (controller_there_) controller_.lost(stream);
    });
  }
  maybe_dial(node);
}

void ControlNet::maybe_dial(NodeNumber node) {
  Link& link = links_[node];
  if (link.dialling || link.up || !link.node_there) return;
  link.dialling = true;
  scheduler_.after(20 * ms + prng_.below(200 * ms), world, [this, node] {
    links_[node].dialling = false;
    connect(node);
  });
}

void ControlNet::connect(NodeNumber node) {
  Link& link = links_[node];
  if (!link.node_there || link.up) return;
  const bool drains = link.draining != 0 && scheduler_.now() < link.last_to_node;
  if (!controller_there_ || drains || held_.contains(node)) {
    maybe_dial(node);
    return;
  }
  link.up = true;
  link.stream = ++last_stream_;
  link.lost_something = false;
  link.last_to_node = link.last_from_node = scheduler_.now();
  trace(What::control_up, node);
  scheduler_.after(0, link.node.owner, [this, node, stream = link.stream] {
    const Link& l = links_[node];
    if (l.node_there && l.up && l.stream == stream) l.node.connected();
  });
}

// --- messages ---

void ControlNet::close(std::uint64_t stream) {
  for (const auto& [node, link] : links_) {
    if (link.up && link.stream == stream) return drop(node);
  }
}

void ControlNet::to_node(NodeNumber node, std::uint64_t stream, const control::ToNode& message) {
  Link& link = links_[node];
  if (!link.up || !link.node_there || link.stream != stream) return;
  if (!scheduler_.alive(controller_.owner)) return;
  trace_.boundary(TraceRecord{scheduler_.now(), What::controller_says, 0, node, message.index()});
  link.last_to_node = std::max(link.last_to_node, scheduler_.now() + draw_delay());
  scheduler_.at(link.last_to_node, link.node.owner, [this, node, stream = link.stream, message] {
    deliver_to_node(node, stream, message);
  });
  if (!prng_.chance(duplicate_)) return;
  scheduler_.after(prng_.below(late_max), world, [this, node, message] {
    if (!links_[node].node_there) return;
    scheduler_.after(0, links_[node].node.owner,
                     [this, node, message] { deliver_to_node(node, any_stream, message); });
  });
}

void ControlNet::deliver_to_node(NodeNumber node, std::uint64_t stream,
                                 const control::ToNode& message) {
  const Link& link = links_[node];
  if (!link.node_there) return;
  if (stream != any_stream && !carries(link, stream)) return;
  if (stream != any_stream && held_.contains(node)) return lose(node);
  const Words words = std::visit([](const auto& m) { return words_of(m); }, message);
  trace(What::to_node, node, message.index(), words.epoch, words.revision);
  link.node.receive(message);
}

void ControlNet::from_node(NodeNumber node, const control::FromNode& message) {
  Link& link = links_[node];
  if (!link.up || !controller_there_ || !scheduler_.alive(link.node.owner)) return;
  trace_.boundary(TraceRecord{scheduler_.now(), What::node_says, node, message.index()});
  link.last_from_node = std::max(link.last_from_node, scheduler_.now() + draw_delay());
  scheduler_.at(
      link.last_from_node, controller_.owner,
      [this, node, stream = link.stream, message] { deliver_from_node(node, stream, message); });
  // A stream begins with Register; a second one of those would be another stream.
  if (message.index() == 0 || !prng_.chance(duplicate_)) return;
  scheduler_.after(prng_.below(late_max), world, [this, stream = link.stream, message] {
    if (!controller_there_) return;
    scheduler_.after(0, controller_.owner,
                     [this, stream, message] { controller_.receive(stream, message); });
  });
}

void ControlNet::deliver_from_node(NodeNumber node, std::uint64_t stream,
                                   const control::FromNode& message) {
  if (!controller_there_) return;
  const Link& link = links_[node];
  if (!carries(link, stream)) return;
  if (held_.contains(node)) return lose(node);
  if (const auto* beat = std::get_if<control::Heartbeat>(&message)) {
    trace(What::heartbeat, node, beat->sequence);
  } else {
    trace(What::from_node, node, message.index(), epoch_of(message));
  }
  controller_.receive(stream, message);
}

}  // namespace seawall::sim
