// Nemesis: what breaks, when, and that it is mended.
//
// Purpose: draws faults at the rates of the options and ends each of them by itself. Within
// tolerance it lets no second machine lose power before the first one's replicas are proven again,
// so that no completed write may be lost; a run `beyond_tolerance` may, and then a loss must be
// loud. Life cycle: start() once; heal() ends all faults and starts nothing new. Thread: the run's.
#pragma once

#include <functional>

#include "engine/base/prng.h"
#include "sim/cluster.h"
#include "sim/options.h"

namespace seawall::sim {

struct NemesisStats {
  std::uint64_t crashes = 0, power_losses = 0, partitions = 0;
};

class Nemesis {
 public:
  Nemesis(Scheduler& scheduler, Cluster& cluster, Prng prng, const FaultOptions& options);

  void start();
  void heal();
  // Data has just been promised to be durable: all power may go at this very moment.
  void strike_after_flush();
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
  void later(Micros delay, std::function<void()> mend);

  Scheduler& scheduler_;
  Cluster& cluster_;
  Prng prng_;
  FaultOptions options_;
  bool active_ = false;
  NemesisStats stats_;
};

}  // namespace seawall::sim
