// Executor: carries out the commands of one Core, in order. It takes no decision.
//
// Purpose: the only place where a command becomes I/O. Life cycle: one a replica, from the moment
// its Store is open until close() has ended. Thread: the shard's. Ownership: references to ports
// and Store; every slot that it passes on gets a reference of its own until the pass is over.
// Bounds: those of its lanes; reads wait in a queue when the pool has no memory.
// Work that needs the Store for itself (rewind, rebuild preparation, closing) waits until the Store
// is idle, runs on the Blocking port, and meanwhile every command that touches the Store is held.
// Errors: told as events; a command that names what is not there (a link that ended) does nothing.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/object_pool.h"
#include "node/runtime/base_lane.h"
#include "node/runtime/link_table.h"
#include "node/runtime/log_lane.h"
#include "node/runtime/peer_dialer.h"
#include "node/runtime/repair_lane.h"
#include "node/runtime/scrub.h"
#include "node/runtime/shard.h"
#include "node/runtime/stream_lane.h"

namespace seawall::runtime {

class Executor {
 public:
  static constexpr std::size_t reads_max = 128;         // with the Store
  static constexpr std::size_t reads_waiting_max = 1024;

  struct Self {
    VolumeId volume;
    ReplicaId replica;
    ScrubOptions scrub = {};
  };

  Executor(Shard& shard, Self self, wal::Store& store, LinkTable& links, PeerDialer& dialer,
           EventSink& sink);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void run(const Commands& commands, Instant now);
  // Everything that became possible since: once a loop turn, after the callbacks of that turn.
  void turn(Instant now);
  // Closes the Store; `done` runs in a later turn, and nothing else after it.
  void close(bool clean, std::function<void(Status)> done);

  void on_written(Lsn upto) { log_.on_written(upto); }
  // A peer or client sends faster than this replica can take it.
  [[nodiscard]] bool log_crowded() const { return log_.crowded(); }
  [[nodiscard]] bool base_crowded() const { return base_.crowded(); }
  [[nodiscard]] Scrub& scrub() { return scrub_; }
  // The earliest moment at which turn() is wanted besides for events.
  [[nodiscard]] std::optional<Instant> wake_at(Instant now) const;
  // The time of the earliest WakeAt command; cleared when it has come.
  [[nodiscard]] bool take_tick(Instant now);

 private:
  struct Read {
    Executor* executor = nullptr;
    std::uint64_t token = 0;
    wal::ReadOp op;
    SlotRef slot;
    bool done = false;
  };
  struct Held {  // a command that waits for the Store; its slot and table are kept with it
    Command command;
    SlotRef slot;
    std::unique_ptr<TermTable> terms;
    std::unique_ptr<RequestTables> requests;
    std::vector<SlotRef> pieces;  // of a RepairLog
  };
  struct Exclusive {
    enum class Stage : std::uint8_t { quiescing, running, done };
    Stage stage = Stage::quiescing;
    std::function<Status()> work;
    std::function<void(Status)> then;
    Status status;
  };

  // One overload a command: a forgotten one does not compile.
  void on(const command::AppendLog& c);
  void on(const command::FlushLog& c);
  void on(const command::SetFoldLimit& c);
  void on(const command::PinLog& c);
  void on(const command::UnpinLog& c);
  void on(const command::WriteSuper& c);
  void on(const command::RewindLog& c);
  void on(const command::DialPeer& c);
  void on(const command::HangUp& c);
  void on(const command::StopDialling& c);
  void on(const command::Send& c);
  void on(const command::StreamLog& c);
  void on(const command::FreezeBase& c);
  void on(const command::CompareBase& c);
  void on(const command::SendBase& c);
  void on(const command::ThawBase& c);
  void on(const command::PrepareRebuild& c);
  void on(const command::ReadBaseMap& c);
  void on(const command::WriteBase& c);
  void on(const command::FlushBase& c);
  void on(const command::ServeRecord& c) { repair_.serve(c); }
  void on(const command::ServeBlocks& c) { repair_.serve(c); }
  void on(const command::RepairLog& c);
  void on(const command::RepairBlocks& c);
  void on(const command::DistrustBase&) { store_.distrust_base(); }
  void on(const command::AttachReply& c);
  void on(const command::Complete& c);
  void on(const command::ReadData& c);
  void on(const command::DropSlot& c);
  void on(const command::ReportFence& c);
  void on(const command::RefuseFence& c);
  void on(const command::RefuseAssignment& c);
  void on(const command::Propose& c);
  void on(const command::RequestFailover& c);
  void on(const command::WakeAt& c);

  void carry_out(const Command& command);
  void hold(const Command& command);
  std::vector<SlotRef> references(const command::RepairLog& repair);
  void begin_exclusive(std::function<Status()> work, std::function<void(Status)> then);
  void turn_exclusive();
  void release_held();
  [[nodiscard]] bool store_rests() const;
  bool begin_read(const command::ReadData& c);
  void finish_reads();

  Shard& shard_;
  const Self self_;
  wal::Store& store_;
  LinkTable& links_;
  PeerDialer& dialer_;
  EventSink& sink_;
  LogLane log_;
  StreamLane stream_;
  BaseLane base_;
  RepairLane repair_;
  Scrub scrub_;
  std::unique_ptr<ObjectPool<Read, reads_max>> reads_;
  GrowingRing<Read*> reads_done_{16, reads_max};
  GrowingRing<command::ReadData> reads_waiting_{16, reads_waiting_max};
  std::shared_ptr<Exclusive> exclusive_;  // shared with the Blocking port while it runs
  bool closed_ = false;  // nothing is started any more
  std::vector<Held> held_;
  std::optional<Instant> tick_at_;
  Instant now_;
};

}  // namespace seawall::runtime
