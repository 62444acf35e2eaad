#include "tests/explore/world.h"

#include <cstring>

#include "engine/base/check.h"
#include "engine/digest.h"
#include "engine/engine.h"

namespace seawall::explore {
namespace {

constexpr std::uint64_t short_pass = 500;    // heartbeats, own barriers
constexpr std::uint64_t long_pass = 10'000;  // every lease and every time-out is over

std::uint64_t next_serial() {
  static std::uint64_t serial = 0;
  return ++serial;
}

}  // namespace

const std::vector<walk::ModelNode>& World::nodes() const {
  return const_cast<World*>(this)->walk::Cluster::nodes();
}

World::World(const WorldOptions& options) : options_(options) {
  Configuration config;
  for (std::uint64_t id = 1; id <= nodes_max; ++id) config.members.push_back(ReplicaId{id});
  config.in_sync = config.members;
  config.policy = options.policy;
  config.min_in_sync = 1;
  create(nodes_max, config);
  on_done = [this](const ClientDone& done, const std::vector<std::uint64_t>&) {
    if (done.status != ClientStatus::ok) return;
    own_.floor = std::max(own_.floor, done.request.value());
  };
  own_.budget = options.budget;
  own_.epoch = 1;
  stabilize();
  fence(1, {1, 2, 3});
  stabilize();
  Assignment first = make_assignment(1, 1);
  record() = first;
  assign(first, {1, 2, 3});
  own_.assigned = 0b1110;
  stabilize();
  advance(2000);
  walk::Cluster::attach(1, false);
  stabilize();
  if (options.start == Start::stale_tail) begin_stale_tail();
  if (options.start == Start::rebuilding) begin_rebuilding();
  own_.budget = options.budget;
  reports().clear();
  take_output();
}

void World::begin_stale_tail() {
  own_.budget = Budget{};
  for (const std::uint64_t peer : {2u, 3u}) break_link(1, peer);
  for (int i = 0; i < 3; ++i) take(encode(Kind::write, 0));
  while (has_disk_work(at(1))) take(encode(Kind::disk, 1));
  take(encode(Kind::elect, 0b1100));
  for (int i = 0; i < 8 && own_.pending; ++i) {
    stabilize();
    if (decision().kind == PromotionKind::promote) decide_now();
  }
  client_.open.clear();  // that client is gone; the next one knows nothing
  assign(record(), {3});
  own_.assigned = 0b1100;
  stabilize();
  walk::Cluster::attach(2, false);
  stabilize();
  own_.floor = 0;  // the links to 1 stay broken: healing them is a step
}

void World::begin_rebuilding() {
  own_.budget = Budget{};
  walk::Cluster::crash(2, false);
  for (int i = 0; i < 2; ++i) take(encode(Kind::write, 0));
  stabilize();
  advance(2000);
  for (const std::uint64_t id : {1u, 3u}) {
    walk::ModelNode& source = walk::Cluster::node(id);
    feed(source, source.checkpoint());
    feed(source, event::LogSpace{95});  // the absent one's place in the log is given up
    feed(source, event::LogSpace{5});
    feed(source, source.trim());
  }
  restart(2);
  assign(record(), {2});
  for (int i = 0; i < 100 && !at(2).disk.marker; ++i) {
    settle();
    std::vector<Step> next;
    steps(next);
    if (next.empty() || (next.front() >> 4) > static_cast<unsigned>(Kind::disk)) {
      let_pass(200);
    } else {
      take(next.front());
    }
  }
}

// --- what may happen ---

bool World::has_disk_work(const walk::ModelNode& node) const {
  if (!node.alive) return false;
  const Lsn written = node.disk.written;
  if (options_.lazy_super && !node.supers.empty()) return true;
  return written < node.disk.head() || node.flush.has_value() || !node.reads.empty();
}

bool World::readable(const walk::ModelNode& node) const {
  if (!node.alive) return false;
  const Primary& primary = node.core->engine().primary();
  return primary.serving() && primary.has_lease() && primary.requests().open() == 0 &&
         !node.core->engine().context().log_failed;
}

void World::steps(std::vector<Step>& out) const {
  out.clear();
  if (own_.failed) return;
  bool moving = false;
  for (const auto& [direction, queue] : frames_) {
    if (queue.empty()) continue;
    out.push_back(encode(Kind::deliver, direction.first * 4 + direction.second));
    moving = true;
  }
  for (const walk::ModelNode& node : nodes()) {
    const std::uint64_t id = node.id.value();
    if (has_disk_work(node)) out.push_back(encode(Kind::disk, id));
    moving = moving || has_disk_work(node);
    if (!node.alive) out.push_back(encode(Kind::restart, id));
    if (node.alive && ((own_.assigned >> id) & 1) == 0) out.push_back(encode(Kind::assign, id));
    const bool serves = node.alive && node.core->engine().primary().serving();
    const bool here = client_.link.has_value() && client_.node == id;
    if (serves && !here) out.push_back(encode(Kind::attach, id));
    if (own_.budget.reads > 0 && readable(node)) out.push_back(encode(Kind::read, id));
  }
  if (own_.budget.writes > 0 && client_.link && at(client_.node).alive) {
    out.push_back(encode(Kind::write, 0));
  }
  if (own_.pending && decision().kind == PromotionKind::promote) {
    out.push_back(encode(Kind::decide, 0));
  }
  if (!broken_links_.empty()) out.push_back(encode(Kind::heal, 0));
  if (moving) out.push_back(encode(Kind::rest, 0));  // all of it: what is deep becomes near
  fault_steps(out);
}

void World::fault_steps(std::vector<Step>& out) const {
  if (own_.budget.elections > 0) {
    for (const std::uint64_t set : {0b0110u, 0b1010u, 0b1100u, 0b1110u}) {
      bool alive = true;
      for (std::uint64_t id = 1; id <= nodes_max; ++id) {
        if (((set >> id) & 1) != 0) alive = alive && at(id).alive;
      }
      if (alive) out.push_back(encode(Kind::elect, set));
    }
  }
  if (own_.budget.faults > 0) {
    for (const walk::ModelNode& node : nodes()) {
      if (!node.alive) continue;
      out.push_back(encode(Kind::crash, node.id.value()));
      bool others = options_.power;  // one machine at a time, and the others proven again
      for (const walk::ModelNode& other : nodes()) {
        if (other.id != node.id && (!other.alive || !other.disk.intact)) others = false;
      }
      if (others) out.push_back(encode(Kind::power, node.id.value()));
    }
    for (const std::uint64_t pair : {0b0110u, 0b1010u, 0b1100u}) {
      out.push_back(encode(Kind::cut, pair));
    }
  }
  if (own_.budget.passes > 0) {
    out.push_back(encode(Kind::pass_short, 0));
    out.push_back(encode(Kind::pass_long, 0));
  }
}

std::string World::name(Step step) {
  static constexpr std::array names = {"deliver", "disk",    "write",      "attach",
                                       "elect",   "assign",  "crash",      "power-loss",
                                       "restart", "cut",     "pass_short", "pass_long",
                                       "read",    "rest",    "decide",  "heal"};
  const unsigned argument = step & 15u;
  std::string text = names.at(step >> 4);
  const auto kind = static_cast<Kind>(step >> 4);
  if (kind == Kind::deliver) {
    return text + " " + std::to_string(argument / 4) + "->" + std::to_string(argument % 4);
  }
  if (kind == Kind::elect || kind == Kind::cut) {
    for (unsigned id = 1; id <= nodes_max; ++id) {
      if (((argument >> id) & 1) != 0) text += " " + std::to_string(id);
    }
    return text;
  }
  return argument == 0 ? text : text + " " + std::to_string(argument);
}

// --- what happens ---

// What has no order worth trying: super blocks, rebuilds and rewinds, dialling.
void World::settle() {
  for (bool moved = true; moved;) {
    moved = dial_pending();
    for (walk::ModelNode& node : walk::Cluster::nodes()) {
      while (node.alive && (!node.completions.empty() ||
                            (!node.supers.empty() && !options_.lazy_super))) {
        feed(node, *node.next_completion());
        moved = true;
      }
    }
  }
}

// Everybody's clock has gone on, also of those who wait for nothing.
void World::let_pass(std::uint64_t milliseconds) {
  pass(milliseconds);
  for (walk::ModelNode& node : walk::Cluster::nodes()) {
    if (node.alive) feed(node, event::Tick{});
  }
}

// Fences reach this set; leases run out meanwhile; whoever wins is told.
void World::elect(std::uint64_t set) {
  --own_.budget.elections;
  ++own_.epoch;
  reports().clear();
  std::vector<std::uint64_t> reached;
  for (std::uint64_t id = 1; id <= nodes_max; ++id) {
    if (((set >> id) & 1) != 0) reached.push_back(id);
  }
  fence(own_.epoch, reached);
  settle();
  let_pass(limits::lease_ms + 1);
  settle();
  own_.pending = true;
  if (decision().kind == PromotionKind::promote) decide_now();
}

PromotionDecision World::decision() const {
  return const_cast<World*>(this)->decide(own_.epoch, limits::settle_time_ms,
                                          limits::choice_wait_ms_max);
}

void World::decide_now() {
  const PromotionDecision decision = this->decision();
  own_.pending = false;
  Assignment next = make_assignment(own_.epoch, decision.winner.value());
  next.config = decision.config;
  next.winner_start = decision.winner_start;
  next.winner_position = decision.winner_position;
  record() = next;
  proposals().clear();
  assign(next, {decision.winner.value()});
  own_.assigned = static_cast<std::uint8_t>(1u << decision.winner.value());
}

void World::attach(std::uint64_t id) {
  const std::set<std::uint64_t> open = client_.open;
  walk::Cluster::attach(id, true);
  for (const std::uint64_t request : open) {
    if (client_.link) ask(ClientOp::write, request, 0, 1, false);
  }
}

void World::read(std::uint64_t id) {
  --own_.budget.reads;
  const walk::ModelDisk& disk = at(id).disk;
  own_.floor = std::max(own_.floor, disk.read(0, disk.head()));
}

void World::take(Step step) {
  const std::uint64_t argument = step & 15u;
  walk::ModelNode* node =
      argument >= 1 && argument <= nodes_max ? &walk::Cluster::node(argument) : nullptr;
  switch (static_cast<Kind>(step >> 4)) {
    case Kind::deliver: {
      const ReplicaId from{argument / 4};
      const ReplicaId to{argument % 4};
      for (std::size_t left = frames_[{from.value(), to.value()}].size(); left > 0; --left) {
        next_frame(from, to, Fate::deliver);
      }
      break;
    }
    case Kind::disk: feed(*node, *node->next_completion()); break;
    case Kind::write:
      --own_.budget.writes;
      ask(ClientOp::write, own_.next_request++, 0, 1, false);
      break;
    case Kind::attach: attach(argument); break;
    case Kind::elect: elect(argument); break;
    case Kind::assign:
      own_.assigned |= static_cast<std::uint8_t>(1u << argument);
      assign(record(), {argument});
      break;
    case Kind::crash:
    case Kind::power:
      --own_.budget.faults;
      own_.assigned &= static_cast<std::uint8_t>(~(1u << argument));
      walk::Cluster::crash(argument, static_cast<Kind>(step >> 4) == Kind::power);
      break;
    case Kind::restart: restart(argument); break;
    case Kind::cut: {
      --own_.budget.faults;
      const std::uint64_t a = (argument & 2) != 0 ? 1 : 2;
      const std::uint64_t b = (argument & 8) != 0 ? 3 : 2;
      break_link(a, b);
      break;
    }
    case Kind::pass_short:
    case Kind::pass_long:
      --own_.budget.passes;
      let_pass(static_cast<Kind>(step >> 4) == Kind::pass_short ? short_pass : long_pass);
      break;
    case Kind::read: read(argument); break;
    case Kind::rest: stabilize(); break;
    case Kind::decide: decide_now(); break;
    case Kind::heal:
      for (std::uint64_t id = 1; id < nodes_max; ++id) {
        for (std::uint64_t other = id + 1; other <= nodes_max; ++other) heal(id, other);
      }
      break;
  }
  settle();
  own_.failed = own_.failed || broken();
}

// --- rules ---

// If these replicas were asked now, would whoever wins hold all that was completed or seen?
std::string World::wrong_election(std::uint64_t set) {
  std::vector<FenceReport> asked;
  for (const walk::ModelNode& node : nodes()) {
    if (((set >> node.id.value()) & 1) == 0) continue;
    FenceReport report;
    report.epoch = Epoch{own_.epoch + 1};
    report.facts = node.disk.facts(node.process);
    asked.push_back(report);
  }
  PromotionFacts facts;
  facts.config = &record().config;
  facts.pending = Epoch{own_.epoch + 1};
  facts.record_epoch = Epoch{own_.epoch};
  facts.record_revision = Revision{record().revision.value() + 100};
  facts.reports = asked;
  facts.since_fence = Duration{limits::settle_time_ms};
  facts.since_enough = Duration{limits::choice_wait_ms_max};
  const PromotionDecision decision = decide_promotion(facts);
  if (decision.kind != PromotionKind::promote) return "";
  const walk::ModelDisk& disk = at(decision.winner.value()).disk;
  const std::uint64_t shows = disk.read(0, disk.written);
  if (shows >= own_.floor || decision.after_power_loss) return "";
  return "replica " + std::to_string(decision.winner.value()) + " would win and show " +
         std::to_string(shows) + ", and " + std::to_string(own_.floor) + " was completed";
}

std::string World::wrong() {
  if (broken()) {
    const std::string said = take_output();
    return said.substr(std::min(said.find("BROKEN"), said.size()));
  }
  std::uint64_t serving = 0;
  for (const walk::ModelNode& node : nodes()) {
    if (node.alive && node.core->facts().promised > node.disk.promised) {
      return "replica " + std::to_string(node.id.value()) + " stands on a promise that its disk "
             "does not hold";
    }
    if (!readable(node)) continue;
    const std::uint64_t shows = node.disk.read(0, node.disk.head());
    if (shows < own_.floor) {
      return "replica " + std::to_string(node.id.value()) + " would answer a read with " +
             std::to_string(shows) + ", and " + std::to_string(own_.floor) + " was completed";
    }
    ++serving;
  }
  if (serving > 1) return "two primaries may answer";
  for (const std::uint64_t set : {0b0010u, 0b0100u, 0b1000u, 0b0110u, 0b1010u, 0b1100u, 0b1110u}) {
    const std::string bad = wrong_election(set);
    if (!bad.empty()) return bad;
  }
  return "";
}

// --- states ---

void World::save(Saved& saved) {
  saved.serial = next_serial();
  saved.nodes.resize(nodes_max);
  for (std::size_t i = 0; i < nodes_max; ++i) {
    const walk::ModelNode& node = nodes()[i];
    saved.nodes[i] = node;
    if (node.alive) saved.engines[i].assign(node.memory.begin(), node.memory.end());
  }
  saved.cluster = *this;
  saved.own = own_;
  take_touched();
  restored_from_ = saved.serial;
}

// An Engine allocates nothing and stays in its place, so its bytes are all of it.
void World::restore(const Saved& saved) {
  const std::uint32_t touched = restored_from_ == saved.serial ? take_touched() : ~0u;
  for (std::size_t i = 0; i < nodes_max; ++i) {
    if (((touched >> (i + 1)) & 1) == 0) continue;
    walk::ModelNode& node = walk::Cluster::nodes()[i];
    static_cast<walk::ModelNodeState&>(node) = saved.nodes[i];
    if (!node.alive) {
      node.core.reset();
      continue;
    }
    if (node.core == nullptr) node.core = std::make_unique<Core>(core_options(), node.memory);
    CHECK(saved.engines[i].size() == node.memory.size());
    std::memcpy(node.memory.data(), saved.engines[i].data(), node.memory.size());
  }
  static_cast<walk::ClusterState&>(*this) = saved.cluster;
  own_ = saved.own;
  take_touched();
  take_output();
  restored_from_ = saved.serial;
}

}  // namespace seawall::explore
