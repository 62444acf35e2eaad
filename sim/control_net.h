// ControlNet: the streams between the controller and the nodes, as values with delays.
//
// Purpose: what gRPC is in production, at its worst: a stream is ordered while it lives; when it
// ends (a death, a cut, a partition of the control plane) all that was under way is lost, and the
// node registers anew. Beyond gRPC, a message may come twice, the second time long after, also when
// its stream or the controller that it was meant for is gone: receivers must not care. Life cycle:
// one run; sides come and go. Thread: the run's. No callback runs inside a call.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>

#include "engine/base/prng.h"
#include "node/runtime/control_port.h"
#include "sim/network.h"
#include "sim/scheduler.h"
#include "sim/trace.h"

namespace seawall::sim {

class ControlNet {
 public:
  struct NodeSide {
    Owner owner;
    std::function<void()> connected;  // the node answers with Register
    std::function<void(const control::ToNode&)> receive;
    std::function<void()> lost;
  };
  struct ControllerSide {
    Owner owner;
    std::function<void(std::uint64_t stream, const control::FromNode&)> receive;
    std::function<void(std::uint64_t stream)> lost;
  };

  ControlNet(Scheduler& scheduler, Trace& trace, Prng prng);

  void set_duplicates(Ratio ratio) { duplicate_ = ratio; }

  void node_up(NodeNumber node, NodeSide side);
  void node_down(NodeNumber node);
  void controller_up(ControllerSide side);
  void controller_down();
  // Another one takes its place: the one before it lives and hears later that its streams are gone.
  void controller_replaced();

  // A partition of the control plane. The stream ends after a keep-alive time, or at once with
  // `cut`.
  void hold(NodeNumber node);
  void release(NodeNumber node);
  void cut(NodeNumber node);
  void release_all();

  // Nothing when that stream has ended.
  void to_node(NodeNumber node, std::uint64_t stream, const control::ToNode& message);
  void close(std::uint64_t stream);  // harmless when it has ended
  void from_node(NodeNumber node, const control::FromNode& message);
  [[nodiscard]] bool connected(NodeNumber node) const;

 private:
  struct Link {
    bool node_there = false;
    NodeSide node;
    bool up = false;
    bool dialling = false;
    bool lost_something = false;  // in a partition: the stream cannot go on
    std::uint64_t draining = 0;   // a stream whose one side died: what was on its way arrives
    std::uint64_t stream = 0;     // rises with each connection: what is under way belongs to one
    Micros last_to_node = 0, last_from_node = 0;
  };

  void maybe_dial(NodeNumber node);
  void connect(NodeNumber node);
  void drop(NodeNumber node);
  void drain(Link& link);
  [[nodiscard]] static bool carries(const Link& link, std::uint64_t stream) {
    return (link.up && link.stream == stream) || link.draining == stream;
  }
  void lose(NodeNumber node);
  Micros draw_delay();
  void deliver_to_node(NodeNumber node, std::uint64_t stream, const control::ToNode& message);
  void deliver_from_node(NodeNumber node, std::uint64_t stream, const control::FromNode& message);
  void trace(What what, NodeNumber node, std::uint64_t a = 0, std::uint64_t b = 0,
             std::uint64_t c = 0);

  Scheduler& scheduler_;
  Trace& trace_;
  Prng prng_;
  Ratio duplicate_{0, 1};
  bool controller_there_ = false;
  ControllerSide controller_;
  std::map<NodeNumber, Link> links_;
  std::set<NodeNumber> held_;
  std::uint64_t last_stream_ = 0;
};

}  // namespace seawall::sim
