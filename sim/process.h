// Process: one start of a node daemon in the simulator.
//
// Purpose: the same parts that node/main.cc puts together, on simulated ports: one shard with its
// pool and NodeHost, the control edge (register, heartbeats), and the front end when the client
// lives here. Life cycle: constructed running; die() takes it out of the world (streams, disks,
// timers), then it is destroyed; nothing of it runs after that. Thread: the run's. Ownership:
// everything but the disks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/prng.h"
#include "node/runtime/attachment.h"
#include "node/runtime/node_host.h"
#include "sim/checkers/at_most_once.h"
#include "sim/checkers/bounded.h"
#include "sim/control_net.h"
#include "sim/disks.h"
#include "sim/network.h"
#include "sim/options.h"
#include "sim/ports.h"
#include "sim/probes.h"
#include "sim/verdict.h"
#include "sim/workload.h"

namespace seawall::sim {

class Process {
 public:
  // Orders that engines gave, over the whole run.
  struct Recoveries {
    std::uint64_t rewinds = 0, catch_ups = 0, rebuilds = 0, deltas = 0;
  };
  struct World {
    Scheduler& scheduler;
    Trace& trace;
    Network& network;
    ControlNet& control_net;
    const RunOptions& options;
    Verdict& verdict;
    Recoveries& recoveries;
    Probes& probes;
    AtMostOnce& at_most_once;
  };

  struct ClockOf {
    Micros offset = 0;
    std::int64_t drift_ppm = 0;
  };
  Process(const World& world, NodeNumber node, const ClockOf& clock, std::uint64_t boot,
          ReplicaDisks& disks, bool offers_storage, Prng prng);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void start();
  // Out of the world: streams end (with power: by the kernel), tasks are dropped. Disks come first.
  void die(bool power_lost);

  [[nodiscard]] Owner owner() const { return owner_; }
  // Told after each task of this process: a loop turn will follow soon.
  void after_task();
  void set_on_work(std::function<void()> hook) { blocking_.set_on_work(std::move(hook)); }

  // The front end of an attachment in this process; the one before it goes. nullptr: not gone yet,
  // ask again in a moment.
  BlockDevice* attach(const control::AttachmentView& view);

  // For the checkers.
  [[nodiscard]] runtime::NodeHost& host() const { return *host_; }
  [[nodiscard]] std::size_t slots_in_use() const { return pool_.in_use(); }
  // Everything of it that has a bound.
  void see_bounds(Bounded& bounded) const;
  [[nodiscard]] std::string describe() const;
  // A replica here has failed so often that it is left to an operator.
  [[nodiscard]] bool has_given_up() const;

 private:
  class Edge;
  class Device;
  class Watcher;

  void turn();
  void receive(const control::ToNode& message);
  void send_register();
  void heartbeat();

  const World world_;
  NodeNumber node_;
  std::uint64_t boot_;
  bool offers_storage_;
  Prng prng_;
  Owner owner_;
  ProcessStart process_start_;
  runtime::BufferPool pool_;
  SimClock clock_;
  NodeTransport transport_;
  SimTimers timers_;
  SimBlocking blocking_;
  std::unique_ptr<Edge> edge_;
  std::unique_ptr<Watcher> watcher_;
  std::unique_ptr<runtime::ShardScratch> scratch_;
  std::unique_ptr<runtime::Shard> shard_;
  std::unique_ptr<runtime::NodeHost> host_;
  std::map<VolumeId, std::unique_ptr<Device>> devices_;
  std::vector<std::unique_ptr<Device>> retired_;
  ReplicaDisks& disks_;
  std::uint64_t heartbeats_ = 0;
  bool turn_due_ = false;
  bool in_turn_ = false;
};

}  // namespace seawall::sim
