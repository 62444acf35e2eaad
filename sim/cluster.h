// Cluster: machines with disks, the processes on them, the network between, and one controller.
//
// Purpose: the composition root of a run: what main.cc is to a node daemon, Process is here, with
// the ports of the simulator. A machine survives its process: its disks, its boot and its address
// do. Machines 1 .. storage_nodes() hold replicas; the client's front end is on one of them, or on
// a machine of its own behind them. Life cycle: one run. Thread: the run's. Ownership: owns
// everything below it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sim/checkers/equal_replicas.h"
#include "sim/checkers/one_lineage.h"
#include "sim/control_net.h"
#include "sim/controller_host.h"
#include "sim/network.h"
#include "sim/options.h"
#include "sim/process.h"
#include "sim/workload.h"

namespace seawall::sim {

class Cluster {
 public:
  Cluster(Scheduler& scheduler, Trace& trace, Verdict& verdict, const RunOptions& options,
          Prng prng);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  [[nodiscard]] NodeNumber machines() const { return static_cast<NodeNumber>(machines_.size()); }
  [[nodiscard]] NodeNumber storage_nodes() const { return options_.nodes; }
  [[nodiscard]] NodeNumber client_node() const { return client_node_; }
  Network& network() { return network_; }
  ControlNet& control_net() { return control_net_; }
  ControllerHost& controller() { return controller_; }

  [[nodiscard]] bool running(NodeNumber node) const;
  void start(NodeNumber node);
  void crash(NodeNumber node);
  void lose_power(NodeNumber node);
  // From now on nothing dies by itself in the middle of blocking work.
  void calm() { may_crash_ = false; }
  // The machine has another address from its next start on.
  void move(NodeNumber node, const std::string& address);
  void set_slow_disk(NodeNumber node, Micros extra);
  [[nodiscard]] const Process* process(NodeNumber node) const;  // nullptr: none runs
  void pause(NodeNumber node);
  void resume(NodeNumber node);

  // Asks the controller for the volume, then for an attachment of the client's node; again whenever
  // the client's process has died or its device is gone. `workload` is served from then on.
  void create_volume(Workload& workload);
  [[nodiscard]] bool volume_ready() const { return ready_; }
  void device_gone(ClientStatus status);

  // No more machines have lost power since the replicas were last proven than may, and one more is
  // allowed to.
  [[nodiscard]] bool may_lose_power(NodeNumber node) const;
  [[nodiscard]] bool loss_allowed() const { return loss_allowed_; }

  // Every member in sync by its primary's word, the volume serving. Else says what is missing.
  [[nodiscard]] std::string what_is_not_in_sync() const;
  // Every replica's disk, for the final comparison.
  [[nodiscard]] std::vector<ReplicaDisk> disks() const;
  // Pins, slots and requests that should be gone at rest.
  [[nodiscard]] std::string what_is_not_at_rest() const;
  // Looks at all living replicas; called every few milliseconds of simulated time.
  void sample();
  [[nodiscard]] std::string describe() const;
  [[nodiscard]] Epoch epoch() const;
  [[nodiscard]] const Process::Recoveries& recoveries() const { return recoveries_; }

 private:
  struct Machine {
    NodeNumber number = 0;
    std::uint64_t boots = 1;
    Micros clock_offset = 0;
    bool powered = true;
    Prng prng{0};
    ReplicaDisks disks;
    std::unique_ptr<Process> process;
  };

  Machine& machine(NodeNumber node) { return *machines_.at(node - 1); }
  [[nodiscard]] const Machine& machine(NodeNumber node) const { return *machines_.at(node - 1); }
  void stop(NodeNumber node, bool power_lost);
  void count_power_loss(NodeNumber node);
  void note_recoveries();
  void attach();
  void attached(std::uint64_t round, const controller::Answer& answer);
  void serve(std::uint64_t round, const control::AttachmentView& view);
  void after_task(Owner owner);
  [[nodiscard]] std::size_t power_losses_tolerated() const;

  Scheduler& scheduler_;
  Trace& trace_;
  Verdict& verdict_;
  const RunOptions options_;
  Prng prng_;
  Network network_;
  ControlNet control_net_;
  ControllerHost controller_;
  OneLineage lineage_;
  Process::Recoveries recoveries_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::map<Owner, NodeNumber> owners_;
  NodeNumber client_node_ = 1;
  VolumeId volume_;
  bool ready_ = false;
  Workload* workload_ = nullptr;
  std::uint64_t attach_round_ = 0;
  std::uint64_t last_operation_ = 0;
  AttachmentId served_;  // the generation that serves the workload
  int create_refusals_ = 0;
  bool may_crash_ = true;
  std::set<NodeNumber> unproven_;  // lost power, not seen in sync and intact since
  std::uint64_t proof_round_ = 0;
  bool loss_allowed_ = false;
};

}  // namespace seawall::sim
