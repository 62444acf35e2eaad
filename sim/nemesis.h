// Nemesis: what breaks, when, and that it is mended.
//
// Purpose: draws faults at the rates of the options and ends each of them by itself. Within
// tolerance it lets no second machine lose power before the first one's replicas are proven again,
// so that no completed write may be lost; a run `beyond_tolerance` may, and then a loss must be
// loud. Life cycle: start() once; heal() ends all faults and starts nothing new. Thread: the run's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "engine/base/prng.h"
#include "sim/cluster.h"
#include "sim/options.h"

namespace seawall::sim {

struct NemesisStats {
  std::uint64_t crashes = 0, power_losses = 0, partitions = 0, moves = 0, wishes = 0;
  std::uint64_t retries = 0;  // of replicas that were given up, by the operator's word
};

class Nemesis {
 public:
  Nemesis(Scheduler& scheduler, Cluster& cluster, Prng prng, const FaultOptions& options);

  void start();
  void heal();
  // Data has just been promised to be durable: all power may go at this very moment.
  void strike_after_flush();
  // Told when a process begins to stand still for long: the run waits for it.
  void set_on_long_pause(std::function<void(Micros)> told) { on_long_pause_ = std::move(told); }
  // Somebody stands still for long: nothing else breaks meanwhile.
  [[nodiscard]] bool quiet() const { return scheduler_.now() < quiet_until_; }
  [[nodiscard]] const NemesisStats& stats() const { return stats_; }

 private:
  void arm(Micros mean, void (Nemesis::*strike)());
  NodeNumber draw_node();
  void crash();
  void crash_client();
  void lose_power();
  void lose_all_power();
  void pause();
  void partition();
  void one_way();
  void reset();
  void cut_control();
  void crash_controller();
  void pause_long();
  void rival();
  void move_primary();
  void change_members();
  void swap_disks();
  void swap_back();
  void clone_disk();
  void restore_old_copy();
  void operate();
  void later(Micros delay, std::function<void()> mend);

  Scheduler& scheduler_;
  Cluster& cluster_;
  Prng prng_;
  FaultOptions options_;
  bool active_ = false;
  std::uint64_t next_strike_ = 0;
  Micros quiet_until_ = 0;  // nothing else breaks while somebody stands still for long
  std::function<void(Micros)> on_long_pause_;
  std::optional<std::pair<NodeNumber, NodeNumber>> swapped_;
  struct Kept {
    NodeNumber node = 0;
    ReplicaId replica;
    std::unique_ptr<wal::MemDisk> files;
  };
  std::optional<Kept> kept_;
  bool cloned_ = false;
  bool moving_ = false;  // an operator waits for the answer to a planned move
  NemesisStats stats_;
};

}  // namespace seawall::sim
