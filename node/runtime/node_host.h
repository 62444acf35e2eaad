// NodeHost: the replicas and attachments of one shard.
//
// Purpose: brings links and control messages to their volume, creates, opens and deletes replicas,
// and says every 250 ms how they are. One a shard in production; one a node in the simulator.
// Life cycle: construct, start(); stop() closes everything, stopped() tells when; a simulated crash
// just destroys it. Thread: the shard's. Ownership: owns its VolumeHosts and Attachments.
// The loop that owns it calls turn() once after every batch of callbacks (frames, disk completions,
// timers, mailbox), before it sends what is queued and sleeps.
// Bounds: `replicas_max` replicas, `attachments_max` attachments, `fresh_max` links that have only
// asked a question. Errors: garbage closes its link and is counted; a message for an unknown
// replica is dropped (the controller repeats what matters with every registration).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/bounded_vector.h"
#include "node/runtime/attachment.h"
#include "node/runtime/replica_directory.h"
#include "node/runtime/shard.h"
#include "node/runtime/volume_host.h"

namespace seawall::runtime {

struct NodeHostOptions {
  NodeId node;
  std::string name;
  std::string pool_id;
  std::string data_address;
  ProcessStart process_start;
  Id128<wal::BootTag> boot;
  CoreOptions core;
  ScrubOptions scrub;
  std::uint8_t keep_log_percent = limits::log_kept_percent;  // wal/store.h
  // Register at start and Heartbeat by timer through the ControlPort. A daemon whose control edge
  // makes these itself says false.
  bool heartbeats = true;
  Duration heartbeat{250};
  // Which volumes are this shard's; empty: all.
  std::function<bool(VolumeId)> owns;
};

struct NodeCounters {
  std::uint64_t malformed = 0;   // first frames that decode to nothing
  std::uint64_t unadmitted = 0;  // first frames of a type that opens no link
  std::uint64_t unknown = 0;     // of volumes or replicas that are not here, or not open
  std::uint64_t crowded = 0;
  std::uint64_t dropped_control = 0;
};

class NodeHost final : public LinkUser, public TimerUser, public LocalReplicas {
 public:
  static constexpr std::size_t replicas_max = 4096;
  static constexpr std::size_t attachments_max = 1024;
  static constexpr std::size_t fresh_max = 64;

  NodeHost(Shard& shard, ReplicaDirectory& directory, const NodeHostOptions& options);
  ~NodeHost() override;
  NodeHost(const NodeHost&) = delete;
  NodeHost& operator=(const NodeHost&) = delete;

  // Lists the pool and opens what it holds.
  void start();
  // Every replica of the pool is open, or failed and says so.
  [[nodiscard]] bool ready() const;
  void stop(bool clean);
  [[nodiscard]] bool stopped() const;

  void turn(Instant now);
  void on_control(const control::ToNode& message);
  // A link that the transport accepted, with its first frame: adopted here, or closed.
  void on_accepted(LinkId link, const Frame& first);

  // nullptr: too many, one of that volume is here already, or (without a state that remembers) this
  // generation belongs to another process or has lived here before: ask the controller for a new
  // one.
  Attachment* attach(const control::AttachmentView& view, Attachment::Done done,
                     std::unique_ptr<AttachmentState> state = nullptr);
  // Its open requests fail in the next turn, then it goes.
  void detach(VolumeId volume);
  [[nodiscard]] Attachment* find_attachment(VolumeId volume);
  [[nodiscard]] std::size_t attachments() const { return attachments_.size(); }

  VolumeHost* find_replica(VolumeId volume, ReplicaId replica) override;
  [[nodiscard]] VolumeHost* find_volume(VolumeId volume);
  [[nodiscard]] std::vector<ReplicaStatus> statuses() const;  // sorted by volume, replica
  [[nodiscard]] const NodeCounters& counters() const { return counters_; }
  void for_each_replica(const std::function<void(VolumeHost&)>& visit);

  // --- LinkUser: links that have asked a question and nothing else ---
  void on_connected(LinkId link) override;
  [[nodiscard]] bool admits(LinkId link, FrameType type) const override;
  void on_frame(LinkId link, const Frame& frame) override;
  void on_closed(LinkId link) override;
  // --- TimerUser ---
  void on_timer(Instant now) override;

 private:
  struct Replica {
    ReplicaRecord record;
    std::unique_ptr<VolumeHost> host;
    std::vector<std::uint64_t> deletions;  // operations that wait for its end
    bool removing = false;                 // the directory is at it
  };
  struct Attached {
    std::unique_ptr<AttachmentState> state;
    std::unique_ptr<Attachment> attachment;
    bool detaching = false;
  };
  // Outlives the NodeHost inside jobs of the Blocking port.
  struct Alive {
    NodeHost* node = nullptr;
  };

  void on(const control::CreateReplica& m);
  void on(const control::DeleteReplica& m);
  void on(const control::Assign& m);
  void on(const control::Fence& m);
  void on(const control::Refuse& m);
  void on(const control::AttachmentView& m);
  void on(const control::Probe& m);

  void add_replica(const ReplicaRecord& record);
  void created(const control::CreateReplica& m, const Status& status);
  void end_removed();
  void removed(ReplicaId replica, const Status& status);
  void say_created(const control::CreateReplica& m, bool ok, const std::string& error);
  void route(LinkId link, const Frame& frame);
  void keep_fresh(LinkId link);
  void forget_fresh(LinkId link);
  void beat(Instant now);
  void send_register();

  Shard& shard_;
  ReplicaDirectory& directory_;
  const NodeHostOptions options_;
  std::shared_ptr<Alive> alive_;
  bool listed_ = false;
  bool stopping_ = false;
  std::map<ReplicaId, Replica> replicas_;
  std::map<ReplicaId, std::uint64_t> creating_;  // replica -> operation
  std::map<VolumeId, Attached> attachments_;
  std::map<VolumeId, AttachmentId> newest_attachment_;  // greatest generation that lived here
  BoundedVector<LinkId, fresh_max> fresh_;
  std::uint64_t beats_ = 0;
  std::optional<Instant> next_beat_;
  NodeCounters counters_;
};

}  // namespace seawall::runtime
