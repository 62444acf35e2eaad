// VolumeHost: one replica of one volume in this process: its Core, its Store, its links.
//
// Purpose: turns frames, Store callbacks, timers and control messages into events, steps the Core,
// and has its commands carried out. It takes no decision of the protocol.
// Life cycle: construct, open(); the Store opens on the Blocking port (opening -> open | failed);
// close() ends it (closed), and only then it may be destroyed; a simulated crash just destroys it.
// A Store that fails while open is put away (withdrawing), and after a pause opened anew with full
// verification and a new Core: to everybody else this replica has restarted (reopen.h).
// Control messages that come while it opens wait. Thread: the shard's. Ownership: owns Core, Store
// and its links; the Disk outlives it. Bounds: links and queues have caps; a peer beyond them loses
// its link. Errors: garbage on a link is counted and closes that link; a Store that does not open
// makes the host failed, with a reason, until the next try, and the process lives.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/core.h"
#include "node/runtime/executor.h"
#include "node/runtime/link_table.h"
#include "node/runtime/peer_dialer.h"
#include "node/runtime/reopen.h"
#include "node/runtime/shard.h"
#include "wal/store.h"

namespace seawall::runtime {

struct VolumeHostOptions {
  VolumeId volume;
  Incarnation incarnation;
  ReplicaId replica;
  ProcessStart process_start;
  Id128<wal::BootTag> boot;
  CoreOptions core;  // `volume` is filled in
  ScrubOptions scrub;
  std::uint8_t keep_log_percent = limits::log_kept_percent;
};

struct HostCounters {
  std::uint64_t malformed = 0;      // frames that decode to nothing
  std::uint64_t foreign = 0;        // frames of another volume
  std::uint64_t unadmitted = 0;     // types that the link's state does not admit
  std::uint64_t crowded = 0;        // links refused or ended by a cap
};

class VolumeHost final : public LinkUser, public wal::Sink, public TimerUser, public EventSink {
 public:
  enum class State : std::uint8_t { idle, opening, open, withdrawing, failed, closing, closed };

  VolumeHost(Shard& shard, const VolumeHostOptions& options, wal::Disk& disk);
  ~VolumeHost() override;
  VolumeHost(const VolumeHost&) = delete;
  VolumeHost& operator=(const VolumeHost&) = delete;

  void open();
  // Ends all links, then the Store. state() == closed tells when it is over.
  void close(bool clean);
  // Once after every batch of callbacks: finishes what they made possible, writes one log batch.
  void turn(Instant now);

  // --- control, in the controller's order ---
  void assign(const control::Assign& assign);
  void fence(const FenceRequest& request);
  void refuse(const ConfigRefusal& refusal);
  // An operator's word to a primary: what no replica that is there can give is lost. How many
  // records were missing; nullopt: no primary.
  std::optional<std::uint64_t> accept_loss();
  void remove();  // no longer a member; close() follows

  // --- links that somebody else accepted; false: the link is not wanted, close it ---
  [[nodiscard]] bool adopt_peer(LinkId link, const Frame& hello);
  [[nodiscard]] bool adopt_client(LinkId link, const Frame& attach);

  // --- a front end in this process ---
  // nullopt: not open, or too many links.
  std::optional<LinkId> open_local(LocalClient& client, const ClientAttach& attach);
  // The request's slot stays the caller's; the host takes a reference of its own.
  void ask_local(LinkId link, const ClientRequest& request);
  void close_local(LinkId link);

  [[nodiscard]] bool awaits_opening() const {
    return state_ == State::opening || state_ == State::idle || state_ == State::withdrawing ||
           (state_ == State::failed && !reopen_.spent());
  }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const char* reason() const { return reason_; }
  [[nodiscard]] const ReopenPlan& reopening() const { return reopen_; }
  [[nodiscard]] VolumeId volume() const { return options_.volume; }
  [[nodiscard]] ReplicaId replica() const { return options_.replica; }
  [[nodiscard]] Incarnation incarnation() const { return options_.incarnation; }
  [[nodiscard]] ReplicaStatus status() const;
  [[nodiscard]] PrimaryIs primary_is() const;
  [[nodiscard]] const HostCounters& counters() const { return counters_; }
  [[nodiscard]] const Core* core() const { return core_.get(); }    // null: not open
  [[nodiscard]] wal::Store* store() { return store_.get(); }
  [[nodiscard]] Scrub* scrub() { return executor_ ? &executor_->scrub() : nullptr; }

  // --- LinkUser ---
  void on_connected(LinkId link) override;
  [[nodiscard]] bool admits(LinkId link, FrameType type) const override;
  void on_frame(LinkId link, const Frame& frame) override;
  void on_closed(LinkId link) override;
  // --- wal::Sink ---
  void on_written(Lsn upto) override;
  void on_durable(Lsn upto) override;
  void on_failed(Error error) override;
  void on_super_written(std::uint64_t token) override;
  void on_checkpointed(Lsn applied, Lsn trimmed) override;
  void on_trim(Lsn applied, Lsn trimmed) override;
  void on_log_space(std::uint8_t fill_percent) override;
  // --- TimerUser ---
  void on_timer(Instant now) override;
  // --- EventSink ---
  void feed(const Event& event) override;

 private:
  struct Opening;  // shared with the Blocking port

  void on_opened();
  void begin_opening();
  void withdraw();
  void maybe_reopen(Instant now);
  void take_early_control();
  void take_assignment(const control::Assign& assign);
  void note_word(const Assignment& fresh);
  void step(const Event& event);
  void end_loan(const Event& event);
  void end_link(LinkId link, std::uint64_t HostCounters::*why);
  void tell_closed(LinkId link, const Link& link_entry);
  void receive_client(LinkId link, Link& entry, const Frame& frame, SlotRef& payload);
  void receive_peer(LinkId link, const Frame& frame, SlotRef& payload);
  void end_all_links();
  void arm_timer(Instant now);
  void release();

  Shard& shard_;
  ForegroundWatch foreground_;
  const VolumeHostOptions options_;
  wal::Disk& disk_;
  State state_ = State::idle;
  const char* reason_ = "";
  std::shared_ptr<Opening> opening_;

  std::unique_ptr<std::byte[]> core_memory_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<wal::Store> store_;
  LinkTable links_;
  PeerDialer dialer_;
  std::unique_ptr<Executor> executor_;

  bool stepping_ = false;
  GrowingRing<Event> pending_{4, 1024};  // events that a local front end caused inside a step
  std::optional<control::Assign> assignment_;       // the newest one
  std::optional<control::Assign> early_assignment_;  // came while opening
  std::optional<FenceRequest> early_fence_;
  std::optional<Instant> armed_;
  bool remove_wanted_ = false;
  std::optional<bool> close_wanted_;  // clean?
  ReopenPlan reopen_;
  Epoch epoch_heard_;       // greatest of an assignment
  std::uint32_t word_ = 0;  // greatest of an operator's, for this replica
  std::uint64_t openings_ = 0;
  bool withdrawn_ = false;  // the failed Store is closed: it goes with the next turn
  HostCounters counters_;
};

}  // namespace seawall::runtime
