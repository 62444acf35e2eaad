// RepairLane: reads records and blocks for peers that lack them, and queues the answers.
//
// Purpose: carries out ServeRecord and ServeBlocks. A record is read from the log; what the log no
// longer has is read from the base, and given only if it fits the record's digest. Life cycle: one
// a replica, with its Store. Thread: the shard's. Ownership: a buffer a job until its frame has
// left. Bounds: `jobs_max` jobs; whoever asks beyond them hears that this replica is busy. Errors:
// what cannot be read is said to the peer; nothing ends here.
#pragma once

#include <array>
#include <cstdint>

#include "engine/command.h"
#include "node/runtime/link_table.h"
#include "node/runtime/shard.h"
#include "wal/store.h"

namespace seawall::runtime {

class RepairLane {
 public:
  static constexpr std::size_t jobs_max = 8;

  RepairLane(Shard& shard, LinkTable& links, wal::Store& store);
  RepairLane(const RepairLane&) = delete;
  RepairLane& operator=(const RepairLane&) = delete;

  void serve(const command::ServeRecord& command);
  void serve(const command::ServeBlocks& command);
  // Begins what waits for memory and answers what has been read. Once a loop turn.
  void turn();
  [[nodiscard]] bool reading() const;
  [[nodiscard]] bool waiting() const;

 private:
  enum class Stage : std::uint8_t { idle, waiting, log, base, read_log, read_base };
  struct Job {
    Stage stage = Stage::idle;
    bool of_record = false;
    command::ServeRecord record;
    command::ServeBlocks blocks;
    SlotRef slot;
    wal::LogReadOp log_op;
    RecordHeader found;
    wal::ReadOp base_op;
  };

  Job* free_job();
  void begin(Job& job);
  void begin_base(Job& job);
  void on_log(Job& job);
  void on_base(Job& job);
  void answer(const command::ServeRecord& record, message::FetchResult result, Slot slot);
  void answer(const command::ServeBlocks& blocks, Slot slot);

  Shard& shard_;
  LinkTable& links_;
  wal::Store& store_;
  std::array<Job, jobs_max> jobs_;
};

}  // namespace seawall::runtime
