// ReplicaDisks: the pool of one machine, a MemDisk a replica.
//
// Purpose: what node/io's directory of files is in production. A replica's disk survives processes;
// completions of its operations are drawn by the scheduler. A replica is in the list only when its
// creation has ended and was made durable; a crash before that leaves an orphan that the next
// create() replaces.
// Life cycle: as the machine's; plug() and crash() with each process. Thread: the run's. Units:
// bytes.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "engine/base/prng.h"
#include "node/runtime/replica_directory.h"
#include "sim/options.h"
#include "sim/scheduler.h"
#include "sim/trace.h"
#include "wal/testing/mem_disk.h"

namespace seawall::sim {

class ReplicaDisks final : public runtime::ReplicaDirectory {
 public:
  ReplicaDisks(Scheduler& scheduler, Trace& trace, std::uint32_t node, const RunOptions& options,
               Prng prng);

  // Completions run as tasks of this process from now on.
  void plug(Owner owner) { owner_ = owner; }
  // The process died, or the machine lost power; before the process is destroyed.
  void crash(bool power_lost);
  // Every write and flush takes so much longer; 0: as drawn.
  void set_slow(Micros extra) { extra_ = extra; }
  // Nothing of what is in flight at the next crash has reached the disk.
  void lose_in_flight() { loses_in_flight_ = true; }
  // From the n-th change on, nothing reaches any of the disks; a crash must follow.
  void stop_after(std::uint64_t changes);

  // Both pools are idle: nothing of them is open. `back`: everything goes where it was made.
  void swap_with(ReplicaDisks& other, bool back);
  // A copy of that replica as it is; false: it is not there, or one of that name is here.
  bool take_copy(const ReplicaDisks& from, ReplicaId replica);

  // The files as they are now, to be put back some day, over what they have become.
  [[nodiscard]] std::unique_ptr<wal::MemDisk> copy_of(ReplicaId replica) const;
  void restore(ReplicaId replica, std::unique_ptr<wal::MemDisk> copy);
  // The process is dead from here on, although its code still runs: nothing reaches the disks.
  void halt();

  // While it hangs no operation comes back; then all do, in their order.
  void set_hung(bool hung);

  // --- ReplicaDirectory ---
  std::vector<runtime::ReplicaRecord> list() override;
  wal::Disk& disk(ReplicaId replica) override;
  Status create(const runtime::ReplicaRecord& record, const wal::CreateOptions& options) override;
  void close(ReplicaId replica) override;
  Status remove(ReplicaId replica) override;

  struct Entry {
    runtime::ReplicaRecord record;
    std::unique_ptr<wal::MemDisk> disk;
    bool complete = false;
    std::uint32_t home = 0;  // the machine in whose pool it was made
  };
  [[nodiscard]] const std::map<ReplicaId, Entry>& entries() const { return entries_; }

 private:
  struct Held {
    wal::MemDisk* disk;
    wal::Op* op;
    std::uint64_t number;
  };
  void plug_disk(wal::MemDisk& disk);
  void submitted(wal::MemDisk& disk, wal::Op& op);
  void changed(wal::MemDisk::Moment moment, const wal::Op* op);
  void run_later(const Held& operation);
  Micros draw_latency(const wal::Op& op);

  Scheduler& scheduler_;
  Trace& trace_;
  std::uint32_t node_;
  const RunOptions& options_;
  Prng prng_;
  Owner owner_;
  Micros extra_ = 0;
  bool loses_in_flight_ = false;
  std::map<ReplicaId, Entry> entries_;
  bool halted_ = false;
  std::uint64_t ops_ = 0;
  bool hung_ = false;
  std::vector<Held> held_;  // while it hangs
};

}  // namespace seawall::sim
