// DiskNemesis: what goes wrong with disks.
//
// Purpose: read, write and flush errors (a flush that failed has dropped what it covered, as the
// kernel does, and the next one succeeds), flipped bits, lost and misdirected writes, stale reads,
// flushes that lie; disks that are slow or hang. Whatever leaves wrong bytes behind counts as
// damage in the fault atlas: at no time are more copies in doubt than the configuration tolerates,
// unless the run goes beyond.
// Life cycle: start() once; heal() ends all and starts nothing new. Thread: the run's.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "engine/base/prng.h"
#include "sim/cluster.h"
#include "sim/options.h"

namespace seawall::sim {

class DiskNemesis {
 public:
  DiskNemesis(Scheduler& scheduler, Cluster& cluster, Prng prng, const DiskFaultOptions& options)
      : scheduler_(scheduler), cluster_(cluster), prng_(prng), options_(options) {}

  void start();
  void heal();
  // Asked before each strike: true, and it does not happen.
  void set_quiet(std::function<bool()> quiet) { quiet_ = std::move(quiet); }
  [[nodiscard]] std::uint64_t strikes() const { return strikes_; }

 private:
  using Strike = void (DiskNemesis::*)(NodeNumber node, wal::MemDisk& disk);
  void arm(Micros mean, Strike strike);
  void strike_one(Strike strike);
  std::string draw_file(bool also_map);
  void inject(NodeNumber node, wal::MemDisk& disk, const wal::MemDisk::Fault& fault);

  void read_error(NodeNumber node, wal::MemDisk& disk);
  void write_error(NodeNumber node, wal::MemDisk& disk);
  void flush_error(NodeNumber node, wal::MemDisk& disk);
  void bit_flip(NodeNumber node, wal::MemDisk& disk);
  void lost_write(NodeNumber node, wal::MemDisk& disk);
  void misdirected_write(NodeNumber node, wal::MemDisk& disk);
  void stale_read(NodeNumber node, wal::MemDisk& disk);
  void lying_flush(NodeNumber node, wal::MemDisk& disk);
  void slow_disk(NodeNumber node, wal::MemDisk& disk);
  void hung_disk(NodeNumber node, wal::MemDisk& disk);

  Scheduler& scheduler_;
  Cluster& cluster_;
  Prng prng_;
  DiskFaultOptions options_;
  bool active_ = false;
  std::function<bool()> quiet_;
  std::uint64_t next_strike_ = StrikePlan::first_of_disks;
  std::uint64_t strikes_ = 0;
};

}  // namespace seawall::sim
