// Network: byte streams between simulated nodes, as bad as TCP may be, with the real frame layer.
//
// Purpose: carries frames as the bytes that node/runtime/wire makes of them. Streams are cut into
// chunks, each with a drawn latency; a stream stays ordered, streams overtake each other. A chunk
// may be held for long (a lost packet), get a bit flipped, or be the last that arrives (a reset,
// which may fall into the middle of a frame). A partition holds one direction between two nodes:
// what was sent is delivered after healing, unless the sender's kernel gave up meanwhile; the other
// side then stays half-open until it sends. A process that dies closes its streams; a machine
// without power says nothing at all. Life cycle: one run; one NodeTransport a process start, ended
// by die(). Thread: the run's. Ownership: a queued frame holds a reference on its slot until its
// bytes have left. Units: bytes, microseconds. No callback runs inside a call. Determinism: draws
// from its own generator only.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "engine/base/prng.h"
#include "node/runtime/ports.h"
#include "node/runtime/wire_header.h"
#include "sim/scheduler.h"
#include "sim/trace.h"

namespace seawall::sim {

using NodeNumber = std::uint32_t;  // 1 .. n; 0 is the world

struct NetworkOptions {
  Micros latency_min = 50;
  Micros latency_max = 500;
  Ratio spike = {0, 1};  // a chunk that takes up to spike_max
  Micros spike_max = 300 * ms;
  Ratio flip = {0, 1};  // a chunk with one bit changed
  Ratio cut = {0, 1};   // a chunk in which the stream ends
  std::size_t chunk_bytes_max = 64 * 1024;
  std::size_t socket_buffer_bytes = 256 * 1024;
  Micros connect_timeout = 2 * seconds;
  Micros user_timeout = 8 * seconds;  // of unacknowledged bytes, then the sender's side ends
};

struct NetworkStats {
  std::uint64_t frames = 0, bytes = 0, resets = 0, flips = 0, dials = 0, held = 0;
};

// Answers who takes an accepted link, by its first frame: adopt() is called from inside. A link
// that nobody adopted is closed.
using Acceptor = std::function<void(LinkId link, const runtime::Frame& first)>;

class NodeTransport;

class Network {
 public:
  Network(Scheduler& scheduler, Trace& trace, Prng prng);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  void set_options(const NetworkOptions& options) { options_ = options; }
  [[nodiscard]] const NetworkOptions& options() const { return options_; }
  [[nodiscard]] const NetworkStats& stats() const { return stats_; }

  // The address at which a node listens. At most one process listens at a time.
  void set_address(NodeNumber node, const std::string& address);
  [[nodiscard]] const std::string& address(NodeNumber node) const {
    return hosts_.at(node).address;
  }
  // What this node sends and receives takes so much longer; 0: as everything else.
  void set_slow(NodeNumber node, Micros extra) { hosts_[node].extra = extra; }
  [[nodiscard]] std::uint64_t bytes_to(NodeNumber node) const { return hosts_.at(node).bytes; }
  void set_powered(NodeNumber node, bool powered);

  // One direction between two nodes.
  void hold(NodeNumber from, NodeNumber to);
  void release(NodeNumber from, NodeNumber to);
  void release_all();
  [[nodiscard]] bool held(NodeNumber from, NodeNumber to) const;
  // Ends a drawn stream between the two, at once and for both; false when there is none.
  bool reset_one(NodeNumber a, NodeNumber b);
  [[nodiscard]] std::size_t open_streams() const;

 private:
  friend class NodeTransport;

  struct Queued {
    runtime::FrameHeader header;
    std::vector<std::byte> meta;
    Slot payload = no_slot;
    std::size_t bytes = 0;
  };
  struct Chunk {
    std::vector<std::byte> bytes;
    Micros due = 0;
    bool last = false;  // the sender closed behind it
    bool cut = false;   // the stream ends here for both
  };
  struct Direction {
    std::deque<Queued> queued;  // in the sender's process
    std::size_t queued_bytes = 0;
    bool sending = false;    // a send is on the scheduler
    std::deque<Chunk> wire;  // left the sender, in order
    std::size_t wire_bytes = 0;
    bool arriving = false;         // an arrival is on the scheduler
    bool stalled = false;          // held by a partition, or by a machine without power
    std::uint64_t stall = 0;       // counts them
    std::vector<std::byte> inbox;  // arrived, not consumed
    std::size_t inbox_at = 0;
    bool ended = false;  // everything has arrived, and the end behind it
    bool parsing = false;
  };
  struct End {
    NodeNumber node = 0;
    NodeTransport* transport = nullptr;  // null: closed, or its process died
    Owner owner;
    LinkId link;
    runtime::LinkUser* user = nullptr;  // null: accepted, not adopted yet
    bool connected = false;
    bool closing = false;  // on_closed is on the scheduler
  };
  struct Stream {
    std::uint64_t id = 0;
    std::array<End, 2> ends;       // 0 dialled, 1 accepted
    std::array<Direction, 2> out;  // out[i]: sent by ends[i]
  };
  struct Host {
    std::string address;
    bool powered = true;
    Micros extra = 0;
    std::uint64_t bytes = 0;  // that arrived here
    NodeTransport* listener = nullptr;
  };

  Stream* find(std::uint64_t id);
  [[nodiscard]] bool passes(NodeNumber from, NodeNumber to) const;
  Micros draw_latency();
  void knock(std::uint64_t id, NodeNumber to, Micros give_up);
  void transmit(std::uint64_t id, int side);
  void put_on_wire(Stream& stream, int side, std::vector<std::byte> bytes, bool last);
  void schedule_arrival(Stream& stream, int side);
  void arrive(std::uint64_t id, int side);
  void stall(Stream& stream, int side);
  void unstall(NodeNumber from, NodeNumber to);
  void schedule_parse(Stream& stream, int receiver);
  void parse(std::uint64_t id, int receiver);
  bool deliver_one(Stream& stream, int receiver);
  void end_side(Stream& stream, int side, Micros delay);
  void tell_closed(std::uint64_t id, int side);
  void close_end(Stream& stream, int side, bool say_goodbye);
  void forget_if_done(std::uint64_t id);
  void trace(What what, NodeNumber node, std::uint64_t a = 0, std::uint64_t b = 0,
             std::uint64_t c = 0, std::uint64_t d = 0);

  Scheduler& scheduler_;
  Trace& trace_;
  Prng prng_;
  NetworkOptions options_;
  NetworkStats stats_;
  std::map<NodeNumber, Host> hosts_;
  std::set<std::pair<NodeNumber, NodeNumber>> held_;
  std::map<std::uint64_t, std::unique_ptr<Stream>> streams_;
  std::uint64_t last_stream_ = 0;
};

// The Transport of one process start.
class NodeTransport final : public runtime::Transport {
 public:
  NodeTransport(Network& network, NodeNumber node, Owner owner, runtime::BufferPool& pool);
  ~NodeTransport() override;
  NodeTransport(const NodeTransport&) = delete;
  NodeTransport& operator=(const NodeTransport&) = delete;

  void listen(Acceptor acceptor);
  // The process dies: with power its kernel closes every stream, without it nothing is said.
  void die(bool power_lost);

  LinkId dial(const runtime::Endpoint& endpoint, runtime::LinkUser& user) override;
  void adopt(LinkId link, runtime::LinkUser& user) override;
  void send(LinkId link, const runtime::Frame& frame) override;
  std::size_t queued_bytes(LinkId link) const override;
  void close(LinkId link) override;

  [[nodiscard]] std::size_t links() const { return links_.size(); }
  [[nodiscard]] std::size_t greatest_queue() const;  // bytes on one link

 private:
  friend class Network;
  struct Place {
    std::uint64_t stream = 0;
    int side = 0;
  };
  LinkId new_link(std::uint64_t stream, int side);

  Network& network_;
  NodeNumber node_;
  Owner owner_;
  runtime::BufferPool& pool_;
  Acceptor acceptor_;
  std::map<LinkId, Place> links_;
  std::uint64_t last_link_ = 0;
  bool dead_ = false;
};

}  // namespace seawall::sim
