#include "tests/script/cluster.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/invariants.h"
#include "engine/trace.h"
#include "tests/script/carrier.h"
#include "tests/script/oracle.h"

namespace seawall::script {

std::string way(ReplicaId from, ReplicaId to) {
  return fmt::format("{}->{}", from.value(), to.value());
}

std::string name_of(const Cluster& cluster, Stamp stamp) {
  if (stamp == 0) return "-";
  const auto found = cluster.names.find(stamp);
  return found == cluster.names.end() ? fmt::format("#{}", stamp) : found->second;
}

void Cluster::create(std::size_t replicas, std::uint64_t blocks) {
  for (std::size_t i = 1; i <= replicas; ++i) {
    const ReplicaId id{i};
    nodes_[id] = std::make_unique<Node>(id, incarnation, BlockCount{blocks});
    nodes_[id]->store.names = &names;
    start(id);
  }
}

std::vector<std::string> Cluster::take_output() { return std::exchange(output_, {}); }

void Cluster::broken(const std::string& what) {
  failed = true;
  say("BROKEN " + what);
}

// --- life ---

void Cluster::start(ReplicaId id) {
  Node& node = this->node(id);
  CHECK(node.core == nullptr);
  CoreOptions own = options;
  own.volume = volume;
  node.memory.assign(Core::memory_bytes(), std::byte{});
  node.core = std::make_unique<Core>(own, std::span<std::byte>(node.memory));
  node.start = ProcessStart{100 + ++starts_};
  node.counters = CoreCounters{};
  node.plan_lines = 0;
  const ReplicaFacts facts = node.store.facts(node.start);
  const RequestTables requests = node.store.requests();
  const std::vector<RecordHeader> unknown = node.store.unknown();
  step(node, event::Opened{&facts, &requests, unknown});
}

void Cluster::crash(ReplicaId id) {
  Node& node = this->node(id);
  node.core.reset();
  node.ops.clear();
  node.held.clear();
  node.slots.clear();
  node.loans.clear();
  node.dials.clear();
  node.lanes.clear();
  node.maps.clear();
  node.wake.reset();
  node.paused = false;
  node.store.process_dies();
  for (auto& link : links_) {
    if (link->ends[0] == id || link->ends[1] == id) {
      link->open[side_of(*link, id)] = false;
    }
  }
}

void Cluster::power_loss(ReplicaId id, std::optional<Lsn> keep) {
  if (node(id).core) crash(id);
  node(id).store.power_fails(keep);
}

// --- one step ---

void Cluster::step(Node& node, const Event& event) {
  static Commands commands;  // large; a step never nests
  if (node.core == nullptr) return;
  const CoreSnapshot before = snapshot(*node.core);
  const bool opened = !std::holds_alternative<event::Opened>(event);
  node.core->step(now, event, commands);
  if (trace) {
    char buffer[1024];
    TraceWriter out(buffer);
    render(out, event);
    say(fmt::format("    {} < {}", node.id.value(), out.text()));
    for (const Command& command : commands) {
      TraceWriter words(buffer);
      render(words, command);
      say(fmt::format("    {} > {}", node.id.value(), words.text()));
    }
  }
  if (const char* why = check_state(*node.core)) broken(why);
  if (const char* why = check_commands(*node.core, commands)) broken(why);
  if (opened) {
    if (const char* why = check_delta(before, snapshot(*node.core))) broken(why);
  }
  const std::vector<Command> todo(commands.begin(), commands.end());
  Carrier carrier{*this, node};
  for (const Command& command : todo) {
    std::visit([&](const auto& what) { carrier.on(what); }, command);
  }
  ask_oracle(*this, node);
  if (after_step && node.core != nullptr) after_step(node, now);
}

Slot Cluster::lend(Node& node, const Stamps& payload) {
  const Slot slot{next_slot_++};
  node.slots[slot] = payload;
  node.loans[slot] = 1;
  return slot;
}

// --- time and order ---

bool Cluster::run_op(ReplicaId id, const std::string& kind) {
  Node& node = this->node(id);
  for (std::size_t i = 0; i < node.ops.size(); ++i) {
    if (node.ops[i].kind != kind || !node.ops[i].ready()) continue;
    const Op op = node.ops[i];
    node.ops.erase(node.ops.begin() + static_cast<std::ptrdiff_t>(i));
    op.run();
    return true;
  }
  return false;
}

bool Cluster::settle_once() {
  bool moved = false;
  for (auto& [id, node] : nodes_) {
    if (node->core == nullptr || node->paused) continue;
    for (const Op& op : node->ops) {
      if (node->held.contains(op.kind) || !op.ready()) continue;
      moved = run_op(id, std::string(op.kind));
      break;
    }
  }
  for (std::size_t i = 0; i < links_.size(); ++i) {
    for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
      const ReplicaId from = links_[i]->ends[side];
      const ReplicaId to = links_[i]->ends[1 - side];
      if (held_links.contains(way(from, to)) || links_[i].get() != link_between(from, to)) continue;
      if (node(to).paused || cuts_.contains(std::minmax(from, to))) continue;
      moved = deliver(from, to) || moved;
    }
  }
  return connect() || moved;
}

bool Cluster::connect() {
  // A link of which one end is gone is noticed by the other one.
  for (auto& link : links_) {
    if (link->open[0] == link->open[1]) continue;
    const std::size_t left = link->open[0] ? 0 : 1;
    Node& rest = node(link->ends[left]);
    if (rest.paused || cuts_.contains(std::minmax(link->ends[0], link->ends[1]))) continue;
    if (!link->queue[1 - left].empty()) continue;  // what came before the end is read first
    link->open[left] = false;
    if (left == 0) step(rest, event::PeerDown{link->ends[1], link->id});
    else step(rest, event::LinkClosed{link->id});
    return true;
  }
  for (auto& [id, node] : nodes_) {
    if (node->core == nullptr || node->paused) continue;
    for (const auto& [peer, version] : node->dials) {
      Node& other = this->node(peer);
      if (other.core == nullptr || other.paused || link_between(id, peer) != nullptr) continue;
      if (cuts_.contains(std::minmax(id, peer))) continue;
      auto link = std::make_unique<Link>();
      link->id = LinkId{next_link_++};
      link->ends[0] = id;
      link->ends[1] = peer;
      links_.push_back(std::move(link));
      step(*node, event::PeerUp{peer, links_.back()->id});
      return true;
    }
  }
  return false;
}

bool Cluster::fire_tick() {
  for (auto& [id, node] : nodes_) {
    if (node->core == nullptr || node->paused || !node->wake || *node->wake > now) continue;
    node->wake.reset();
    step(*node, event::Tick{});
    return true;
  }
  return false;
}

// Completions and messages go before timers.
void Cluster::settle() {
  for (int rounds = 0; rounds < 20'000; ++rounds) {
    if (settle_once()) continue;
    if (fire_tick()) continue;
    return;
  }
  broken("the cluster does not come to rest");
}

void Cluster::advance(Duration by) {
  const Instant end = now + by;
  for (;;) {
    if (!manual) settle();
    std::optional<Instant> next;
    for (const auto& [id, node] : nodes_) {
      if (node->core == nullptr || node->paused || !node->wake) continue;
      if (!next || *node->wake < *next) next = node->wake;
    }
    if (failed || !next || *next > end) break;
    now = std::max(now, *next);
    if (manual) {
      while (fire_tick()) {
      }
    }
  }
  now = end;
  if (!manual) settle();
}

// --- network ---

Link* Cluster::link_between(ReplicaId from, ReplicaId to) {
  for (auto at = links_.rbegin(); at != links_.rend(); ++at) {
    Link& link = **at;
    const bool ours = (link.ends[0] == from && link.ends[1] == to) ||
                      (link.ends[0] == to && link.ends[1] == from);
    // What was sent before one end was gone still arrives.
    const std::size_t side = side_of(link, from);
    if (ours && link.open[1 - side] && (link.open[side] || !link.queue[side].empty())) return &link;
  }
  return nullptr;
}

std::deque<Packet>* Cluster::queue(ReplicaId from, ReplicaId to) {
  Link* link = link_between(from, to);
  return link == nullptr ? nullptr : &link->queue[side_of(*link, from)];
}

bool Cluster::deliver(ReplicaId from, ReplicaId to) {
  Link* link = link_between(from, to);
  if (link == nullptr) return false;
  std::deque<Packet>& waiting = link->queue[side_of(*link, from)];
  if (waiting.empty()) return false;
  Packet packet = std::move(waiting.front());
  waiting.pop_front();
  receive(*link, to, std::move(packet));
  return true;
}

void Cluster::receive(Link& link, ReplicaId to, Packet packet) {
  Node& node = this->node(to);
  if (node.core == nullptr) return;
  if (auto* reply = std::get_if<message::HelloReply>(&packet.message)) {
    reply->facts = &packet.facts;
  }
  if (auto* start = std::get_if<message::StartRebuild>(&packet.message)) {
    start->terms = &packet.terms;
  }
  if (auto* base = std::get_if<message::BaseRequests>(&packet.message)) {
    base->tables = &packet.requests;
  }
  if (!packet.payload.empty()) {
    const Slot slot = lend(node, packet.payload);
    if (auto* append = std::get_if<message::Append>(&packet.message)) append->slot = slot;
    if (auto* base = std::get_if<message::BaseBlocks>(&packet.message)) base->slot = slot;
    if (auto* m = std::get_if<message::RecordPayload>(&packet.message)) m->slot = slot;
    if (auto* m = std::get_if<message::BlocksPayload>(&packet.message)) m->slot = slot;
  }
  if (auto* map = std::get_if<message::BaseMap>(&packet.message); map && !packet.lines.empty()) {
    map->slot = lend(node, {});
    node.maps[map->slot] = packet.lines;
  }
  const bool greets = std::holds_alternative<message::Hello>(packet.message);
  if (greets && tells && newest && packet.envelope.epoch == newest->epoch &&
      node.core->facts().promised < newest->epoch) {
    const Assignment assignment = *newest;
    assign(assignment, to);
  }
  step(node, event::Received{link.id, &packet.envelope, &packet.message});
}

void Cluster::dial_again(ReplicaId from, ReplicaId to) {
  if (Link* old = link_between(from, to)) {
    old->queue[side_of(*old, from)].clear();
    old->open[side_of(*old, from)] = false;
  }
  auto link = std::make_unique<Link>();
  link->id = LinkId{next_link_++};
  link->ends[0] = from;
  link->ends[1] = to;
  links_.push_back(std::move(link));
  step(node(from), event::PeerUp{to, links_.back()->id});
}

void Cluster::break_link(Link& link) {
  link.queue[0].clear();
  link.queue[1].clear();
  const bool open[2] = {std::exchange(link.open[0], false), std::exchange(link.open[1], false)};
  if (open[0]) step(node(link.ends[0]), event::PeerDown{link.ends[1], link.id});
  if (open[1]) step(node(link.ends[1]), event::LinkClosed{link.id});
}

// --- controller's desk ---

void Cluster::assign(const Assignment& assignment, ReplicaId to) {
  Node& node = this->node(to);
  if (node.core == nullptr) return;
  if (!node.assignment || node.assignment->epoch < assignment.epoch ||
      (node.assignment->epoch == assignment.epoch &&
       node.assignment->revision <= assignment.revision)) {
    node.assignment = assignment;
  }
  const Assignment copy = assignment;
  step(node, event::Assigned{&copy});
}

void Cluster::fence(Epoch epoch, ReplicaId to) {
  Node& node = this->node(to);
  if (node.core == nullptr) return;
  step(node, event::Fence{FenceRequest{volume, to, epoch, Revision{}}});
}

// --- clients ---

ClientRow* Cluster::client_by(LinkId link) {
  for (auto& [id, row] : clients_) {
    if (row.link == link) return &row;
  }
  return nullptr;
}

ClientRow& Cluster::client(AttachmentId id) {
  ClientRow& row = clients_[id];
  row.attachment = id;
  return row;
}

void Cluster::attach(ClientRow& client, ReplicaId to) {
  client.node = to;
  client.link = LinkId{next_link_++};
  ClientAttach words;
  words.volume = volume;
  words.incarnation = incarnation;
  words.attachment = client.attachment;
  words.connection = client.connection;
  words.seen = client.seen;
  words.proved_by = client.proved_by;
  step(node(to), event::ClientOpened{client.link, words});
}

void Cluster::ask(ClientRow& client, const ClientRequest& request) {
  Node& node = this->node(client.node);
  if (node.core == nullptr) {
    say(fmt::format("  r{} not sent: {} is down", request.request.value(), client.node.value()));
    return;
  }
  ClientRequest copy = request;
  copy.connection = client.connection;
  copy.low_mark = RequestNumber{client.open.empty() ? request.request.value()
                                                    : std::min(*client.open.begin(),
                                                               request.request.value())};
  if (request.low_mark > copy.low_mark) copy.low_mark = request.low_mark;
  const Stamps& payload = client.payloads[request.request.value()];
  if (!payload.empty()) {
    copy.slot = lend(node, payload);
    copy.payload_digest = digest_of(payload);
  }
  client.open.insert(request.request.value());
  client.told_before.try_emplace(request.request.value(), told.size());
  step(node, event::ClientAsked{client.link, copy});
}

}  // namespace seawall::script
