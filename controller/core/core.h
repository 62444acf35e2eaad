// Core: the controller's state machine. Inputs in, outputs out; no I/O, no clock, no randomness.
//
// Purpose: decides everything that the controller decides; the daemon and the simulator run this
// same class. Every volume is driven by plan.h from its record and what was heard; a change of a
// record is a Commit output whose outcome comes back as an input, and until then nothing of that
// volume is decided or told to anybody: what was not committed was never said.
// Life cycle: start() once with what the store holds, then step() for ever. A crash at any moment
// is a new Core started from the store.
// Thread: one. Ownership: owns its state; outputs are values. Order: outputs in the order in which
// they must take effect, the same for the same inputs.
// Errors: a user's request ends in an Answer with a Refusal; a store that fails is read back.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "controller/core/observed.h"
#include "controller/core/placement.h"
#include "controller/core/plan.h"
#include "controller/core/request.h"
#include "node/runtime/control_port.h"

namespace seawall::controller {

enum class StoreOutcome : std::uint8_t {
  committed,
  conflict,  // somebody else's record is there
  unknown,   // it may or may not have been committed: read back before anything is said
};

namespace input {
// A message of one session of a node; numbers of sessions are never reused. Register opens a
// session and ends every older one of that node.
struct NodeSaid {
  std::uint64_t session = 0;
  control::FromNode message;
};
struct NodeGone {
  std::uint64_t session = 0;
};
struct Asked {
  std::uint64_t id = 0;
  Request request;
  Instant deadline;
};
struct Stored {
  std::uint64_t token = 0;
  StoreOutcome outcome = StoreOutcome::unknown;
};
struct Loaded {
  std::uint64_t token = 0;
  bool ok = false;
  std::optional<VolumeRecord> record;
};
struct Surveyed {
  bool ok = false;
  std::map<VolumeId, Version> versions;  // of every record in the store
};
struct Tick {};
}  // namespace input
using Input = std::variant<input::NodeSaid, input::NodeGone, input::Asked, input::Stored,
                           input::Loaded, input::Surveyed, input::Tick>;

namespace output {
struct Deliver {
  std::uint64_t session = 0;
  NodeId node;
  control::ToNode message;
};
struct Reject {
  std::uint64_t session = 0;
  Refusal refusal;
};  // the session is closed
// Compare-and-set of one record, and its event, in one step. `expected` absent: must not exist;
// `next` absent: the record goes. Answered by input::Stored.
struct Commit {
  std::uint64_t token = 0;
  VolumeId volume;
  std::optional<Version> expected;
  std::optional<VolumeRecord> next;
  ChangeEvent event;
};
struct Load {
  std::uint64_t token = 0;
  VolumeId volume;
};  // answered by input::Loaded
struct Survey {};  // answered by input::Surveyed, or not: it is asked again
struct RememberNode {
  NodeRecord record;
};  // no answer; said again when it changes
struct Answered {
  std::uint64_t id = 0;
  Answer answer;
};
}  // namespace output
using Output = std::variant<output::Deliver, output::Reject, output::Commit, output::Load,
                            output::Survey, output::RememberNode, output::Answered>;

class Core {
 public:
  using Outputs = std::vector<Output>;

  explicit Core(const Options& options = {}) : options_(options) {}

  void start(const std::vector<VolumeRecord>& volumes, const std::vector<NodeRecord>& nodes,
             Instant now, Outputs& out);
  void step(const Input& input, Instant now, Outputs& out);

  // For projections and tests; never an input.
  struct VolumeNow {
    const VolumeRecord* record = nullptr;
    const VolumeSeen* seen = nullptr;
    const char* waiting = "";
  };
  [[nodiscard]] std::vector<VolumeNow> volumes() const;  // committed ones, by id
  [[nodiscard]] const NodesSeen& nodes() const { return nodes_; }
  [[nodiscard]] const Options& options() const { return options_; }

 private:
  struct Asker {
    std::uint64_t id = 0;
    Request request;
    Instant deadline;
  };
  enum class Until : std::uint8_t { made, gone, acknowledged, assigned, committed, moved, forced };
  struct Waiter {
    Asker asker;
    Until until = Until::acknowledged;
    Version version;  // of the change that was committed for it
    AttachmentId generation;
    ReplicaId replica{};  // moved: to here
  };
  struct InFlight {
    std::uint64_t token = 0;
    std::optional<Version> expected;
    std::optional<VolumeRecord> next;
    std::optional<Waiter> waiter;  // of the request that caused it
    bool loading = false;
    Instant retry_at;
  };
  struct Volume {
    VolumeRecord record;
    bool exists = false;  // in the store
    VolumeSeen seen;
    std::optional<InFlight> in_flight;
    std::deque<Asker> queue;      // not yet looked at
    std::vector<Waiter> waiters;  // committed, not yet effective
    Instant commit_not_before;    // the store has just failed
    const char* waiting = "";
  };

  // core.cc
  void on(const input::NodeSaid& input, Instant now, Outputs& out);
  void on(const input::NodeGone& input, Instant now, Outputs& out);
  void on(const input::Asked& input, Instant now, Outputs& out);
  void on(const input::Stored& input, Instant now, Outputs& out);
  void on(const input::Loaded& input, Instant now, Outputs& out);
  void on(const input::Surveyed& input, Instant now, Outputs& out);
  void on(const input::Tick& input, Instant now, Outputs& out);
  void advance(Volume& volume, Instant now, Outputs& out);
  void advance_all(Instant now, Outputs& out);
  void note_cut_off(Volume& volume, Instant now) const;
  void read_again(VolumeId id, Instant now, Outputs& out);
  void commit(Volume& volume, Change change, std::optional<Waiter> waiter, Outputs& out);
  void finish_commit(Volume& volume, Instant now, Outputs& out);
  void adopt(Volume& volume, const std::optional<VolumeRecord>& record, Instant now, Outputs& out);
  void note_change(Volume& volume, const VolumeRecord& before, Instant now, Outputs& out);
  void drop_if_gone(VolumeId id, Instant now, Outputs& out);

  // sessions.cc: what nodes say
  void hear(std::uint64_t session, const control::Register& message, Instant now, Outputs& out);
  void hear(const control::Heartbeat& message, NodeSeen& node, Instant now, Outputs& out);
  void hear(const control::Fenced& message, NodeSeen& node, Instant now, Outputs& out);
  void hear(const control::FenceRefused& message, NodeSeen& node, Instant now, Outputs& out);
  void hear(const control::ReplicaCreated& message, NodeSeen& node, Instant now, Outputs& out);
  void hear(const control::ReplicaDeleted& message, NodeSeen& node, Instant now, Outputs& out);
  void hear(const control::Proposed& message, NodeSeen& node, Instant now, Outputs& out);
  void hear(const control::FailoverWanted& message, NodeSeen& node, Instant now, Outputs& out);
  void hear(const control::AssignRefused& message, NodeSeen& node, Instant now, Outputs& out);
  void hear_statuses(NodeSeen& node, const std::vector<ReplicaStatus>& replicas, Instant now);
  ReplicaSeen* replica_of(VolumeId volume, ReplicaId replica, NodeId node);
  [[nodiscard]] bool is_foreign(const control::Register& message) const;
  bool name_is_taken(const control::Register& message, Instant now, Outputs& out);

  // requests.cc: what users ask
  void take(const Asker& asker, const CreateVolume& request, Instant now, Outputs& out);
  void serve_queue(Volume& volume, Instant now, Outputs& out);
  bool serve(Volume& volume, Asker& asker, Instant now, Outputs& out);  // true: a commit is out
  bool serve_attach(Volume& volume, Asker& asker, const AttachVolume& request, Instant now,
                    Outputs& out);
  bool serve_detach(Volume& volume, Asker& asker, const DetachVolume& request, Outputs& out);
  bool serve_delete(Volume& volume, Asker& asker, Outputs& out);
  bool serve_change(Volume& volume, Asker& asker, const ChangeVolume& request, Instant now,
                    Outputs& out);
  bool serve_retry(Volume& volume, Asker& asker, const ChangeVolume& request, Outputs& out);
  [[nodiscard]] std::vector<PlacementNode> free_places(Instant now,
                                                       const VolumeRecord* volume) const;
  // orders.cc: what they ask of its primary
  bool serve_move(Volume& volume, Asker& asker, const MoveVolume& request, Instant now,
                  Outputs& out);
  bool serve_force(Volume& volume, Asker& asker, const ForceVolume& request, Instant now,
                   Outputs& out);
  bool is_move_settled(const Volume& volume, const Waiter& waiter, Answer& result) const;
  bool is_force_settled(const Volume& volume, const Waiter& waiter, Answer& result) const;
  void settle_waiters(Volume& volume, Outputs& out);
  void expire(Volume& volume, Instant now, Outputs& out);
  bool is_settled(const Volume& volume, const Waiter& waiter, Answer& answer) const;
  Volume* find_named(const std::string& name);
  const NodeSeen* find_node(const std::string& name, NodeId id) const;
  [[nodiscard]] std::string node_name(NodeId id) const;

  static void answer(std::uint64_t id, Answer answer, Outputs& out);
  static void answer(std::uint64_t id, Refusal refusal, Outputs& out);

  // After a start, requests wait until the nodes of the store have come back or had the time to.
  [[nodiscard]] bool is_settling(Instant now) const;
  void serve_early(Instant now, Outputs& out);

  const Options options_;
  Instant started_at_;
  Instant surveyed_at_;
  std::deque<Asker> early_;
  std::map<VolumeId, Volume> volumes_;
  NodesSeen nodes_;
  std::map<std::uint64_t, NodeId> sessions_;  // open ones
  std::uint64_t next_token_ = 1;
};

}  // namespace seawall::controller
