// World: a controller's Core with a store that survives it, and model nodes that speak its
// language.
//
// Purpose: the tests of controller/. Time is simulated and moves by 50 ms; nothing runs beside the
// test. Every commit and every delivery is one numbered step, before and after which the controller
// can be made to die; it starts again from the store and nothing else.
// What World itself checks at every step: no epoch has two primaries, no (epoch, revision) two
// contents, no node is told of anything that is not in the store, and no primary is assigned that
// lacks a record which the set of its configuration had completed.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/core.h"
#include "controller/store/memory_store.h"

namespace seawall::controller {

struct ModelReplica {
  ReplicaFacts facts;
  Opening opening;  // as its store says it
  Assignment assignment;  // the newest one taken
  Role role = Role::none;
  bool serving = false;
  bool log_failed = false;
  std::optional<bool> grants;
  // As primary: who is level with it, and the step to the wish that it has proposed.
  std::vector<ReplicaId> level;
  std::optional<Configuration> proposed;
  bool never_rests = false;  // a primary that is asked to drain does not come to an end
  // What its primary says of its recoveries; forgotten when the operator's word is above `word`.
  std::vector<FailureStatus> failures;
  std::uint32_t word = 0;
  bool given_up = false;  // what its own node says of its store
};

struct ModelNode {
  NodeId id;
  std::string name;
  std::string address;
  ProcessStart process_start{1};
  bool alive = true;    // the process runs
  bool reaches = true;  // the controller
  bool fails_create = false;
  bool mute_fences = false;  // takes fences and does not report
  bool lags = false;         // takes no records
  std::uint64_t session = 0;
  std::uint64_t free_bytes = 100 * limits::GiB;
  std::map<VolumeId, ModelReplica> replicas;
  std::map<AttachmentId, control::AttachmentView> views;
};

class World {
 public:
  explicit World(std::size_t nodes, std::uint64_t seed = 1);

  // Time. run() moves the clock by 50 ms at a time; run_until() gives up after 60 s.
  void run(std::uint64_t milliseconds);
  template <class Condition>
  bool run_until(Condition condition, std::uint64_t limit_ms = 60'000) {
    for (std::uint64_t spent = 0; spent < limit_ms; spent += 50) {
      if (condition()) return true;
      run(50);
    }
    return condition();
  }

  // Users.
  std::uint64_t ask(Request request, std::uint64_t deadline_ms = 15'000);
  const Answer* answer_of(std::uint64_t id) const;
  Answer ask_and_wait(Request request);
  VolumeId create(const std::string& name, std::uint32_t replicas, const std::string& policy);

  // Faults.
  void kill(std::size_t node);  // the process; its disk stays
  void start(std::size_t node, bool after_power_loss = false);
  void cut(std::size_t node);  // from the controller only
  void heal(std::size_t node);
  void crash_controller();  // and start it again
  void crash_at_step(std::uint64_t step) { crash_at_ = step; }
  void fail_loads(std::size_t count) {
    failing_loads_ = count;
  }  // of the store, when it is read back
  void duplicate_messages(bool yes) { duplicating_ = yes; }

  // A write by the primary: completed (and remembered as such) when its required set takes it.
  bool write(VolumeId volume);
  // A write that reaches only the primary.
  void write_privately(VolumeId volume);
  // An operator gives up what completed: World no longer asks for it.
  void expect_loss(VolumeId volume) { completed_.erase(volume); }

  ModelNode& node(std::size_t index) { return nodes_[index]; }
  // A process that is down finds these files at its next start.
  void put_back(std::size_t index, VolumeId volume, const ModelReplica& copy) {
    nodes_[index].replicas.at(volume) = copy;
  }
  ModelReplica& replica(std::size_t index, VolumeId volume) {
    return nodes_[index].replicas.at(volume);
  }
  std::size_t index_of(NodeId id) const;
  std::optional<VolumeRecord> record(VolumeId volume);
  bool is_serving(VolumeId volume);
  // Everything is quiet: serving, nothing pending, all living members have the assignment.
  bool is_settled(VolumeId volume);
  std::size_t primary_index(VolumeId volume);
  const Core& core() const { return *core_; }
  MemoryStore& store() { return store_; }
  Instant now() const { return now_; }
  std::uint64_t steps() const { return steps_; }
  std::uint64_t said_to(std::size_t node) const { return said_.at(node); }
  // Every message that was delivered, newest last, as it was.
  const std::vector<std::pair<NodeId, control::ToNode>>& history() const { return history_; }
  void say(std::size_t node, control::FromNode message);  // as if the node had said it

 private:
  void input(Input input);
  void carry_out(Core::Outputs outputs);
  bool count_step();  // true: the controller dies here
  void restart_core();
  void connect_nodes();
  void deliver(const output::Deliver& delivery);
  void drain();
  void beat();
  void beat(std::size_t index);
  std::vector<ReplicaStatus> statuses(const ModelNode& node) const;
  void tell_failures(VolumeId volume, const ModelReplica& primary, PeerStatus& peer) const;
  void fill_peers(const ModelNode& node, const ModelReplica& primary, ReplicaStatus& status) const;
  void on(ModelNode& node, const control::CreateReplica& message);
  void on(ModelNode& node, const control::DeleteReplica& message);
  void on(ModelNode& node, const control::Assign& message);
  void on(ModelNode& node, const control::Fence& message);
  void on(ModelNode& node, const control::Refuse& message);
  void on(ModelNode& node, const control::AttachmentView& message);
  void on(ModelNode& node, const control::Probe& message);
  void check_assign(const control::Assign& message);
  void propose(ModelNode& node, ModelReplica& primary);
  void replicate();

  MemoryStore store_;
  std::unique_ptr<Core> core_;
  std::vector<ModelNode> nodes_;
  std::vector<std::uint64_t> said_;
  Instant now_{1'000'000};
  std::uint64_t next_session_ = 1;
  std::uint64_t next_request_ = 1;
  std::uint64_t next_start_ = 100;
  std::uint64_t random_ = 1;
  std::uint64_t steps_ = 0;
  std::uint64_t crash_at_ = 0;
  bool crashed_ = false;
  bool duplicating_ = false;
  std::size_t failing_loads_ = 0;
  std::deque<std::pair<std::uint64_t, control::FromNode>> to_controller_;
  std::deque<output::Deliver> to_nodes_;
  std::map<std::uint64_t, Answer> answers_;
  std::map<std::uint64_t, std::pair<Request, Instant>> unanswered_;
  std::map<VolumeId, Position> completed_;
  std::map<std::pair<VolumeId, Epoch>, ReplicaId> primaries_;
  std::map<std::pair<VolumeId, std::pair<Epoch, Revision>>, Assignment> assigned_;
  std::vector<std::pair<NodeId, control::ToNode>> history_;
};

}  // namespace seawall::controller
