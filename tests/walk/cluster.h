// Cluster: several ModelNodes, the links between them, clients, and a controller by hand.
//
// Everything is explicit and ordered: time moves by advance(), messages and completions by
// stabilize(), in the order of node numbers. What is said to the outside (completions, reports,
// proposals) is collected as text. After every step the invariants of that Core are checked; a
// broken one becomes a line that starts with BROKEN and fails the script.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/promotion.h"
#include "tests/walk/model_node.h"

namespace seawall::walk {

struct Wire {  // one frame on its way
  LinkId link;
  message::Envelope envelope;
  message::PeerMessage message;
  std::shared_ptr<const ReplicaFacts> facts;      // what a HelloReply points to
  std::shared_ptr<const TermTable> terms;         // what a StartRebuild points to
  std::shared_ptr<const RequestTables> requests;  // what a BaseRequests points to
  Payload payload;      // what a slot held
  bool has_payload = false;
  std::vector<MapLine> lines;  // of a BaseMap
};

struct LinkState {
  ReplicaId dialler, acceptor;
};

struct ClientView {
  std::uint64_t node = 0;       // where it is attached
  AttachmentId attachment{1};
  ConnectionNumber connection;
  std::optional<LinkId> link;
  RequestNumber low_mark{1};
  std::optional<Position> seen;
  Epoch proved_by;  // of the last attach that was taken
  std::set<std::uint64_t> open;
};

// The world between the nodes: a value that can be put aside and taken back.
struct ClusterState {
  using Direction = std::pair<std::uint64_t, std::uint64_t>;
  Instant now_{1000};
  std::map<std::uint64_t, LinkState> links_;
  std::uint64_t next_link_ = 1;
  std::map<Direction, std::deque<Wire>> frames_;
  std::set<Direction> held_, broken_links_;
  std::set<Direction> dialling_;
  ClientView client_;
  Assignment record_;
  std::vector<FenceReport> reports_;
  std::map<std::uint64_t, ConfigProposal> proposals_;
};

class Cluster : protected ClusterState {
 public:
  using ClusterState::Direction;
  void create(std::size_t replicas, const Configuration& config);

  // --- events by hand ---
  void feed(ModelNode& node, const Event& event);
  void advance(std::uint64_t milliseconds);
  void stabilize();
  // One thing that could happen now, chosen by `choice` among all; false: nothing can.
  bool one_of_many(std::uint64_t choice);
  void pass(std::uint64_t milliseconds);  // time alone, and the ticks that are due
  // One frame of a link direction: delivered, dropped or delivered twice.
  enum class Fate { deliver, drop, twice, swap };
  bool next_frame(ReplicaId from, ReplicaId to, Fate fate);

  void crash(std::uint64_t id, bool power);
  void restart(std::uint64_t id);
  void break_link(std::uint64_t a, std::uint64_t b);
  void heal(std::uint64_t a, std::uint64_t b);
  void hold(std::uint64_t from, std::uint64_t to, bool on);
  void drop_frames(std::uint64_t from, std::uint64_t to);

  // --- the controller ---
  void fence(std::uint64_t epoch, const std::vector<std::uint64_t>& to);
  PromotionDecision decide(std::uint64_t epoch, std::uint64_t since_fence,
                           std::uint64_t since_enough);
  void assign(const Assignment& assignment, const std::vector<std::uint64_t>& to);
  Assignment make_assignment(std::uint64_t epoch, std::uint64_t primary);
  bool accept_proposal(bool deliver);
  bool refuse_proposal();

  // --- clients ---
  void attach(std::uint64_t node, bool with_position);
  void ask(ClientOp op, std::uint64_t request, std::uint64_t lba, std::uint64_t blocks, bool fua);

  ModelNode& node(std::uint64_t id) { return nodes_.at(id - 1); }
  std::vector<ModelNode>& nodes() { return nodes_; }
  ClientView& client() { return client_; }
  Assignment& record() { return record_; }   // as committed
  std::vector<FenceReport>& reports() { return reports_; }
  std::map<std::uint64_t, ConfigProposal>& proposals() { return proposals_; }
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] std::uint64_t fulfilled() const { return fulfilled_; }  // wishes
  bool trace = false;
  // Told of every completion of the client's current link, with the data of a read.
  std::function<void(const ClientDone&, const std::vector<std::uint64_t>&)> on_done;
  std::string take_output() { return std::exchange(output_, {}); }
  [[nodiscard]] bool broken() const { return broken_; }
  std::string compare(const std::vector<std::uint64_t>& ids);
  void say(const std::string& line) { output_ += line + "\n"; }

 protected:
  bool dial_pending();
  [[nodiscard]] CoreOptions core_options() const { return options(); }
  void touch(const ModelNode& node) { touched_ |= 1u << node.id.value(); }
  std::uint32_t take_touched() { return std::exchange(touched_, 0); }

 private:
  void obey(ModelNode& node, const Commands& commands);
  void run(ModelNode& node, const Command& command);
  void on_log_command(ModelNode& node, const Command& command);
  void on_base_command(ModelNode& node, const Command& command);
  void on_client_command(ModelNode& node, const Command& command);
  void send(ModelNode& node, const command::Send& send);
  void stream(ModelNode& node, const command::StreamLog& stream);
  void read_base_map(ModelNode& node, const command::ReadBaseMap& read);
  void send_base(ModelNode& node, const command::SendBase& send);
  void deliver(Wire wire);
  void close_link(LinkId link, ReplicaId except);
  void tell(const ModelNode& node, const Command& command);
  void say_completion(const ModelNode& node, const command::Complete& complete);
  CoreOptions options() const;

  std::vector<ModelNode> nodes_;
  std::uint32_t touched_ = 0;  // bit n: node n has changed; for whoever wants to know
  std::vector<std::unique_ptr<Commands>> spare_commands_;  // they are large
  std::string output_;
  bool broken_ = false;
  std::uint64_t fulfilled_ = 0;
};

}  // namespace seawall::walk
