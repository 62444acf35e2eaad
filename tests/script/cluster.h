// Cluster: several real engine::Core objects with model stores, links, clients, a controller's desk
// and one manual clock, for golden scripts.
//
// Purpose: a script holds back what it wants to see late (an own write, a flush, a super block, one
// direction of a link) and everything else runs to rest by itself, in one fixed order. After every
// step of a Core its invariants and the oracle (oracle.h) are asked. Thread: the test's. Units:
// milliseconds, blocks of 4 KiB. Errors: a broken invariant is a line of output that begins with
// "BROKEN" and a failure of the script; a broken contract of the engine fails a CHECK.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/core.h"
#include "engine/promotion.h"
#include "tests/script/model_store.h"

namespace seawall::script {

// A message on its way; what its pointers point to travels with it.
struct Packet {
  message::Envelope envelope;
  message::PeerMessage message;
  ReplicaFacts facts;
  TermTable terms;
  RequestTables requests;
  Stamps payload;
  std::vector<MapLine> lines;  // of a BaseMap
};

struct Link {
  LinkId id;
  ReplicaId ends[2];  // dialler, acceptor
  bool open[2] = {true, true};
  std::deque<Packet> queue[2];  // by sender
};

// What a store was asked to do and has not answered yet.
struct Op {
  std::string kind;  // log flush super rewind stream base read
  std::function<bool()> ready;
  std::function<void()> run;
};

// The base lane of a rebuild, source side: a frozen base and how far it was compared.
struct SourceLane {
  SessionId session;
  std::vector<BaseExtent> base;
  std::vector<MapLine> ours, theirs;  // of the range that is compared
  MapCursor at;
  Lba upto;                           // end of that range
  std::uint64_t sequence = 0, digest = 0;
  std::uint64_t compared = 0, map_digest = map_digest_start;
};

struct Node {
  Node(ReplicaId replica, Incarnation incarnation, BlockCount size)
      : id(replica), store(incarnation, replica, size) {}
  ReplicaId id;
  ModelStore store;
  std::vector<std::byte> memory;
  std::unique_ptr<Core> core;
  ProcessStart start;
  bool paused = false;
  std::deque<Op> ops;
  std::set<std::string> held;
  std::set<std::string> failing;  // freeze, send-base, write-base ...: the next one fails
  std::map<Slot, Stamps> slots;
  std::map<Slot, int> loans;
  std::map<ReplicaId, EndpointVersion> dials;
  std::optional<Instant> wake;
  CoreCounters counters;       // as printed last
  std::uint64_t base_digest = 0, base_written = 0;    // target of a rebuild
  std::map<ReplicaId, SourceLane> lanes;
  std::map<Slot, std::vector<MapLine>> maps;  // slots that hold lines
  std::optional<Assignment> assignment;  // last delivered
  std::uint64_t plan_lines = 0;          // of the journal, as printed last
};

struct ClientRow {
  AttachmentId attachment;
  ConnectionNumber connection;
  ReplicaId node;
  LinkId link;
  std::uint64_t next_request = 1;
  std::optional<Position> seen;
  Epoch proved_by;  // of the last attach that was taken
  std::map<std::uint64_t, ClientRequest> requests;   // every one ever asked
  std::map<std::uint64_t, Stamps> payloads;
  std::set<std::uint64_t> open;
  std::map<std::uint64_t, std::size_t> told_before;  // a flush: what had completed when asked
};

class Cluster {
 public:
  void create(std::size_t replicas, std::uint64_t blocks);
  void say(std::string line) { output_.push_back(std::move(line)); }
  std::vector<std::string> take_output();

  // --- life ---
  void start(ReplicaId id);
  void crash(ReplicaId id);
  void power_loss(ReplicaId id, std::optional<Lsn> keep);

  // --- time and order ---
  void settle();             // until nothing that is not held can move
  void advance(Duration by);
  bool run_op(ReplicaId id, const std::string& kind);

  // --- controller's desk ---
  void assign(const Assignment& assignment, ReplicaId to);
  void fence(Epoch epoch, ReplicaId to);

  // --- clients ---
  ClientRow& client(AttachmentId id);
  ClientRow* client_by(LinkId link);
  void attach(ClientRow& client, ReplicaId to);
  void ask(ClientRow& client, const ClientRequest& request);

  // --- network ---
  Link* link_between(ReplicaId from, ReplicaId to);
  static std::size_t side_of(const Link& link, ReplicaId from) {
    return link.ends[0] == from ? 0 : 1;
  }
  std::deque<Packet>* queue(ReplicaId from, ReplicaId to);
  bool deliver(ReplicaId from, ReplicaId to);
  void receive(Link& link, ReplicaId to, Packet packet);
  void break_link(Link& link);  // both sides notice
  void dial_again(ReplicaId from, ReplicaId to);  // the dialler's end of the old one is gone
  void cut(ReplicaId a, ReplicaId b) { cuts_.insert(std::minmax(a, b)); }
  bool heal(ReplicaId a, ReplicaId b) { return cuts_.erase(std::minmax(a, b)) > 0; }

  Node& node(ReplicaId id) { return *nodes_.at(id); }
  std::map<ReplicaId, std::unique_ptr<Node>>& nodes() { return nodes_; }
  void step(Node& node, const Event& event);
  Slot lend(Node& node, const Stamps& payload);
  void broken(const std::string& what);

  VolumeId volume{1, 1};
  Incarnation incarnation{7, 7};
  CoreOptions options;
  Instant now{10'000};
  bool manual = false;
  bool trace = false;
  bool loss_expected = false;  // the script breaks the contract on purpose
  // The controller reaches a node before a primary's Hello does: it is told the newest assignment.
  bool tells = true;
  std::optional<Assignment> newest;
  std::set<std::string> held_links;                    // "1->2"
  std::map<std::string, std::vector<Packet>> sent;     // by "1->2", since it was asked for
  std::map<std::string, std::vector<Packet>> history;  // by "1->2", everything
  std::map<ReplicaId, FenceReport> reports;
  std::map<ReplicaId, ReplicaFacts> report_facts;
  std::optional<ConfigProposal> proposal;
  std::map<Stamp, std::string> names;
  std::map<std::string, Stamp> stamps;
  bool failed = false;
  std::function<void(const Node& node, Instant now)> after_step;  // of a Core; may look

 private:
  friend struct Carrier;
  bool settle_once();
  bool connect();
  bool fire_tick();
  void carry_out(Node& node, const Commands& commands);
  void check(Node& node, const Commands& commands);

  std::map<ReplicaId, std::unique_ptr<Node>> nodes_;
  std::deque<std::unique_ptr<Link>> links_;
  std::map<AttachmentId, ClientRow> clients_;
  std::set<std::pair<ReplicaId, ReplicaId>> cuts_;
  std::vector<std::string> output_;
  std::uint64_t next_link_ = 1;
  std::uint32_t next_slot_ = 1;
  std::uint64_t starts_ = 0;

 public:
  // Of the oracle: what clients were told.
  struct Told {
    Position at;
    std::uint64_t chain = 0;
    bool flushed = false;
  };
  std::vector<Told> told;
  std::map<Position, std::uint64_t> chains;  // (term, lsn) names one record for ever
  Epoch served;                              // the greatest epoch that has answered a client
  std::set<std::pair<ReplicaId, Epoch>> seen_serving;
};

std::string name_of(const Cluster& cluster, Stamp stamp);
std::string way(ReplicaId from, ReplicaId to);

}  // namespace seawall::script
