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
#include <string>
#include <vector>

#include "sim/checkers/at_most_once.h"
#include "sim/checkers/equal_replicas.h"
#include "sim/checkers/one_lineage.h"
#include "sim/control_net.h"
#include "sim/controller_host.h"
#include "sim/network.h"
#include "sim/options.h"
#include "sim/process.h"
#include "sim/volume_client.h"

namespace seawall::sim {

class Cluster final : public VolumeClient::Machines {
 public:
  Cluster(Scheduler& scheduler, Trace& trace, Verdict& verdict, const RunOptions& options,
          Prng prng, Probes* probes = nullptr);
  ~Cluster() override;
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  [[nodiscard]] NodeNumber machines() const { return static_cast<NodeNumber>(machines_.size()); }
  [[nodiscard]] NodeNumber storage_nodes() const { return options_.nodes; }
  [[nodiscard]] std::size_t volumes() const { return volumes_.size(); }
  VolumeClient& volume(std::size_t index) { return *volumes_.at(index); }
  [[nodiscard]] const RunOptions& options() const { return options_; }
  Network& network() { return network_; }
  ControlNet& control_net() { return control_net_; }
  ControllerHost& controller() { return controller_; }
  [[nodiscard]] const ControllerHost& controller() const { return controller_; }

  [[nodiscard]] bool running(NodeNumber node) const;
  void start(NodeNumber node);
  void crash(NodeNumber node);
  void lose_power(NodeNumber node);
  // The process (0: the controller) dies inside the call that it is in: nothing that it does from
  // here on reaches the world, and before anything else happens it is gone.
  void die_here(NodeNumber node, bool power_lost);
  [[nodiscard]] bool alive(NodeNumber node) const;
  [[nodiscard]] bool everybody_runs() const;  // the controller, too
  // From now on nothing dies by itself in the middle of blocking work.
  void calm() { may_crash_ = false; }
  [[nodiscard]] bool has_given_up(NodeNumber node) const;
  // The pools of two machines, exchanged; a copy of a replica's files, beside the original. False:
  // there is no such replica, or one of that name is there already.
  void swap_pools(NodeNumber one, NodeNumber other);
  bool clone_replica(NodeNumber from, NodeNumber to, ReplicaId replica);
  // The files of a replica become what they once were; its machine's disk is in doubt from then on.
  void restore_copy(NodeNumber node, ReplicaId replica, std::unique_ptr<wal::MemDisk> files);
  // The machine has another address from its next start on.
  void move(NodeNumber node, const std::string& address);
  ReplicaDisks& disks_of(NodeNumber node) { return machine(node).disks; }
  void set_slow_disk(NodeNumber node, Micros extra);
  // What its disks have in flight at the next crash is lost, all of it.
  void lose_in_flight(NodeNumber node);
  [[nodiscard]] const VolumeClient& volume(std::size_t index) const { return *volumes_.at(index); }
  [[nodiscard]] const Process* process(NodeNumber node) const;  // nullptr: none runs
  void pause(NodeNumber node);
  void resume(NodeNumber node);

  // No more copies of any volume are in doubt than may, even if this machine lost power now.
  [[nodiscard]] bool may_doubt(NodeNumber node) const;
  // The disk of this machine holds wrong bytes from now on.
  void disk_damaged(NodeNumber node, bool rots);
  // Every replica looks at all its blocks; empty once each has found nothing in a whole round.
  void ask_scrub();
  std::string what_is_not_scrubbed();

  // An operator has the answer to a wish for another configuration.
  void wish_answered(VolumeClient& volume, bool granted);
  [[nodiscard]] std::uint64_t wishes_granted() const { return wishes_granted_; }

  // Every member of every volume in sync by its primary's word, the volumes serving. Else says what
  // is missing.
  [[nodiscard]] std::string what_is_not_in_sync() const;
  // Every replica's disk of a volume, for the final comparison.
  [[nodiscard]] std::vector<ReplicaDisk> disks(std::size_t volume) const;
  // Pins, slots and requests that should be gone at rest.
  [[nodiscard]] std::string what_is_not_at_rest() const;
  // Looks at all living replicas; called every few milliseconds of simulated time.
  void sample();
  [[nodiscard]] std::string describe() const;
  [[nodiscard]] std::uint64_t failovers() const;  // epochs of all volumes
  [[nodiscard]] const Process::Recoveries& recoveries() const { return recoveries_; }
  [[nodiscard]] const Greatest& greatest() const { return bounded_.greatest(); }

 private:
  struct Machine {
    NodeNumber number = 0;
    std::uint64_t boots = 1;
    Process::ClockOf clock;
    bool powered = true;
    Prng prng{0};
    ReplicaDisks disks;
    std::unique_ptr<Process> process;
    NodeNumber pool_of = 0;  // whose pool is in it: its own, unless two were swapped
    Micros started_at = 0;   // its process
    int early_deaths = 0;    // in a row, by blocking work
  };

  Machine& machine(NodeNumber node) { return *machines_.at(node - 1); }
  [[nodiscard]] const Machine& machine(NodeNumber node) const { return *machines_.at(node - 1); }
  [[nodiscard]] bool may_die_at_work(Machine& m) const;
  void stop(NodeNumber node, bool power_lost);
  void count_power_loss(NodeNumber node);
  Process* process_of(NodeNumber node) override { return machine(node).process.get(); }
  [[nodiscard]] bool is_stranger(NodeNumber node, VolumeId volume, ReplicaId replica) const;
  [[nodiscard]] NodeNumber copy_in_pool(NodeNumber node, VolumeId volume) const;
  [[nodiscard]] std::string what_is_not_in_sync(const VolumeClient& volume) const;
  void note_recoveries();
  void see_bounds();
  void draw_address(NodeNumber node);
  void probe(const runtime::VolumeHost& host, std::map<VolumeId, int>& primaries);
  void after_task(Owner owner);

  Scheduler& scheduler_;
  Trace& trace_;
  Verdict& verdict_;
  Probes own_probes_;  // when nobody asks
  Probes& probes_;
  const RunOptions options_;
  Prng prng_;
  Network network_;
  ControlNet control_net_;
  ControllerHost controller_;
  std::map<VolumeId, OneLineage> lineages_;
  Process::Recoveries recoveries_;
  AtMostOnce at_most_once_{verdict_};
  Bounded bounded_{verdict_};
  std::uint64_t looks_ = 0;
  std::uint64_t wishes_granted_ = 0;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::map<Owner, NodeNumber> owners_;
  std::vector<std::unique_ptr<VolumeClient>> volumes_;
  bool may_crash_ = true;
  std::uint64_t last_address_ = 0;
};

}  // namespace seawall::sim
