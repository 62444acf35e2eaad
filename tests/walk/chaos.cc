#include "tests/walk/chaos.h"

#include "engine/config_change.h"
#include "engine/engine.h"
#include "engine/trace.h"

namespace seawall::walk {
namespace {

constexpr std::uint64_t blocks = 6;
constexpr std::size_t open_max = 12;

}  // namespace

Chaos::Chaos(std::uint64_t seed, const ChaosOptions& options) : options_(options), random_(seed) {
  Configuration config;
  for (std::uint64_t id = 1; id <= options.replicas; ++id) config.members.push_back(ReplicaId{id});
  if (options.policy == Policy::in_sync) config.in_sync = config.members;
  config.policy = options.policy;
  config.write_cache = options.cache;
  config.min_in_sync = options.power && options.changes ? 2 : 1;
  cluster_.create(nodes(), config);
  for (ModelNode& node : cluster_.nodes()) node.log_records = options.log_records;
  cluster_.on_done = [this](const ClientDone& done, const std::vector<std::uint64_t>& data) {
    on_done(done, data);
  };
}

void Chaos::fail(const std::string& why) {
  if (failure_.empty()) failure_ = why;
}

std::uint64_t Chaos::leader() const {
  std::uint64_t best = 0;
  Epoch epoch;
  for (const ModelNode& node : const_cast<Cluster&>(cluster_).nodes()) {
    if (!node.alive) continue;
    const Primary& primary = node.core->engine().primary();
    if (primary.serving() && primary.epoch() > epoch) {
      best = node.id.value();
      epoch = primary.epoch();
    }
  }
  return best;
}

// --- client ---

void Chaos::on_done(const ClientDone& done, const std::vector<std::uint64_t>& data) {
  const std::uint64_t number = done.request.value();
  const auto found = open_.find(number);
  if (done.status != ClientStatus::ok) {
    const bool retry = done.status == ClientStatus::not_primary ||
                       done.status == ClientStatus::not_serving ||
                       done.status == ClientStatus::busy ||
                       done.status == ClientStatus::stale_connection;
    if (!retry) fail(std::string("a request ended in ") + std::to_string(int(done.status)));
    attached_ = false;
    return;
  }
  if (found == open_.end()) {
    fail("r" + std::to_string(number) + " completed twice");
    return;
  }
  const Request request = found->second;
  open_.erase(found);
  if (request.op == ClientOp::read) {
    const std::uint64_t value = data.at(0);
    if (value < request.floor || value > newest_[request.block]) {
      fail("block " + std::to_string(request.block) + " read " + std::to_string(value) +
           ", at least " + std::to_string(request.floor) + " was due");
    }
    floor_[request.block] = std::max(floor_[request.block], value);
  } else if (request.op != ClientOp::flush) {
    for (std::uint64_t i = 0; i < request.blocks; ++i) {
      floor_[request.block + i] = std::max(floor_[request.block + i], number);
    }
  }
}

void Chaos::send(std::uint64_t number) {
  const Request& request = open_.at(number);
  cluster_.ask(request.op, number, request.block, request.blocks, request.fua);
}

void Chaos::reattach() {
  const std::uint64_t target = random_.chance(one_in(4))
                                   ? random_.range(1, nodes())
                                   : leader();
  if (target == 0 || !cluster_.node(target).alive) return;
  cluster_.attach(target, true);
  if (!cluster_.client().link) return;
  attached_ = true;
  const std::map<std::uint64_t, Request> resend = open_;
  for (const auto& [number, request] : resend) {
    if (attached_ && open_.contains(number)) send(number);
  }
}

void Chaos::client_step() {
  if (!attached_ || !cluster_.client().link || !cluster_.node(cluster_.client().node).alive) {
    attached_ = false;
    reattach();
    return;
  }
  if (random_.chance(one_in(200))) {
    attached_ = false;
    return;
  }
  if (open_.size() >= open_max || healed_) return;
  const std::uint64_t number = next_request_++;
  Request request;
  request.block = random_.below(blocks);
  const std::uint64_t kind = random_.below(10);
  request.op = kind < 5 ? ClientOp::write : kind < 9 ? ClientOp::read : ClientOp::flush;
  if (request.op == ClientOp::write) {
    request.blocks = random_.range(1, blocks - request.block);
    request.fua = random_.chance(one_in(8));
    for (std::uint64_t i = 0; i < request.blocks; ++i) newest_[request.block + i] = number;
  }
  request.floor = floor_[request.block];
  open_[number] = request;
  send(number);
}

// --- faults ---

void Chaos::fault_step() {
  const std::uint64_t id = random_.range(1, nodes());
  const std::uint64_t other = random_.range(1, nodes());
  ModelNode& node = cluster_.node(id);
  switch (random_.below(12)) {
    case 0:
    case 1:
      if (!node.alive) {
        cluster_.restart(id);
        if (cluster_.record().epoch > Epoch{0} && random_.coin()) {
          cluster_.assign(cluster_.record(), {id});
        }
      } else {
        bool others_intact = true;
        for (const ModelNode& each : cluster_.nodes()) {
          if (each.id != node.id && (!each.alive || !each.disk.intact)) others_intact = false;
        }
        cluster_.crash(id, options_.power && others_intact && random_.coin());
      }
      break;
    case 2:
    case 3:
      if (id != other) cluster_.hold(id, other, random_.coin());
      break;
    case 4:
      if (id != other) cluster_.break_link(id, other);
      break;
    case 5:
    case 6:
      if (id != other) cluster_.heal(id, other);
      break;
    case 7: node.hold_write = random_.coin(); break;
    case 8: node.hold_flush = random_.coin(); break;
    case 9: node.hold_super = random_.chance(one_in(4)); break;
    case 10:
      if (node.alive) cluster_.feed(node, node.checkpoint());
      if (node.alive && random_.coin()) cluster_.feed(node, node.trim());
      break;
    case 11: node.hold_read = random_.chance(one_in(3)); break;
    default: break;
  }
}

// --- controller ---

void Chaos::fence_all() {
  pending_epoch_ = ++epoch_;
  fenced_for_ = 0;
  cluster_.reports().clear();
  for (const ModelNode& node : cluster_.nodes()) {
    if (!cluster_.record().config.members.contains(node.id)) continue;
    if (node.alive && (healed_ || random_.chance(percent(80)))) {
      cluster_.fence(pending_epoch_, {node.id.value()});
    }
  }
}

bool Chaos::primary_leaves() {
  const Assignment& record = cluster_.record();
  return record.wish && !record.wish->members.contains(record.primary);
}

// A primary that leaves is the last to be chosen.
PromotionDecision Chaos::choose() {
  if (primary_leaves()) {
    const std::vector<FenceReport> all = cluster_.reports();
    std::erase_if(cluster_.reports(), [this](const FenceReport& report) {
      return report.facts.replica == cluster_.record().primary;
    });
    const PromotionDecision decision = cluster_.decide(pending_epoch_, fenced_for_, 200);
    cluster_.reports() = all;
    if (decision.kind == PromotionKind::promote) return decision;
  }
  return cluster_.decide(pending_epoch_, fenced_for_, 200);
}

// Other members, another policy, another write cache: any of them, all at once.
void Chaos::wish_step() {
  Assignment& record = cluster_.record();
  if (record.epoch == Epoch{0}) return;
  if (record.wish) {
    if (!random_.chance(one_in(12))) return;
    record.wish.reset();  // cancelled
  } else {
    const std::size_t least = options_.power ? 2 : 1;
    Configuration wish;
    while (wish.members.size() < least) {
      wish.members.clear();
      for (std::uint64_t id = 1; id <= nodes(); ++id) {
        if (random_.coin()) wish.members.push_back(ReplicaId{id});
      }
    }
    wish.policy = random_.coin() ? Policy::quorum : Policy::in_sync;
    wish.write_cache = random_.coin() ? WriteCache::writeback : WriteCache::none;
    if (wish.policy == Policy::in_sync) {
      wish.min_in_sync = static_cast<std::uint8_t>(random_.range(least, wish.members.size()));
    }
    if (fulfils(record.config, wish)) return;  // as it is already
    record.wish = wish;
  }
  record.revision = Revision{record.revision.value() + 1};
  if (pending_epoch_ != 0) return;
  for (std::uint64_t id = 1; id <= nodes(); ++id) {
    if (random_.coin()) cluster_.assign(record, {id});
  }
}

void Chaos::try_elect() {
  const PromotionDecision decision = choose();
  if (decision.kind != PromotionKind::promote) {
    fenced_for_ += 500;
    if (random_.chance(one_in(10)) || decision.kind == PromotionKind::impossible) fence_all();
    return;
  }
  Assignment next = cluster_.make_assignment(pending_epoch_, decision.winner.value());
  next.drains = false;
  next.config = decision.config;
  next.winner_start = decision.winner_start;
  next.winner_position = decision.winner_position;
  cluster_.record() = next;
  cluster_.proposals().clear();
  pending_epoch_ = 0;
  for (const ModelNode& node : cluster_.nodes()) {
    if (node.alive && (healed_ || random_.chance(percent(80)))) {
      cluster_.assign(next, {node.id.value()});
    }
  }
}

// A planned move begins, or is given up: the primary is asked to rest, or no more.
void Chaos::order_drain() {
  Assignment& record = cluster_.record();
  record.revision = Revision{record.revision.value() + 1};
  record.drains = !record.drains && !healed_;
  for (const ModelNode& node : cluster_.nodes()) {
    if (node.alive && random_.chance(percent(80))) cluster_.assign(record, {node.id.value()});
  }
}

void Chaos::controller_step() {
  if (!cluster_.proposals().empty() && random_.chance(one_in(3))) {
    const std::uint64_t how = random_.below(4);
    if (how == 0 && !healed_) cluster_.proposals().clear();  // lost
    else if (how == 1) cluster_.refuse_proposal();
    else cluster_.accept_proposal(healed_ || how == 2);
  }
  if (options_.changes && !healed_ && random_.chance(one_in(40))) wish_step();
  if (pending_epoch_ != 0) {
    if (random_.chance(one_in(5))) try_elect();
    return;
  }
  leaderless_ = leader() == 0 ? leaderless_ + 1 : 0;
  const Assignment& record = cluster_.record();
  const bool hands_over =
      primary_leaves() && leader() == record.primary.value() && random_.chance(one_in(30)) &&
      record.config.members == members_of_step(*record.wish, record.primary);
  if (hands_over || leaderless_ > 60 || (!healed_ && random_.chance(one_in(400)))) {
    leaderless_ = 0;
    fence_all();
  } else if (random_.chance(one_in(80)) && cluster_.record().epoch > Epoch{0}) {
    order_drain();
  } else if (random_.chance(one_in(20))) {
    const std::uint64_t id = random_.range(1, nodes());
    if (cluster_.record().epoch > Epoch{0}) cluster_.assign(cluster_.record(), {id});
  }
}

// --- the walk ---

void Chaos::one_step() {
  for (std::uint64_t left = random_.below(12); left > 0; --left) {
    cluster_.one_of_many(random_.next());
  }
  if (random_.chance(percent(30))) cluster_.pass(random_.below(healed_ ? 200 : 60));
  if (random_.chance(percent(40))) client_step();
  if (!healed_ && random_.chance(percent(4))) fault_step();
  if (random_.chance(percent(25))) controller_step();
}

void Chaos::heal_everything() {
  healed_ = true;
  for (ModelNode& node : cluster_.nodes()) {
    node.hold_write = node.hold_flush = node.hold_super = node.hold_read = false;
    for (const ModelNode& other : cluster_.nodes()) {
      if (node.id == other.id) continue;
      cluster_.heal(node.id.value(), other.id.value());
      cluster_.hold(node.id.value(), other.id.value(), false);
    }
    if (!node.alive) cluster_.restart(node.id.value());
  }
}

std::string Chaos::describe() {
  std::vector<char> buffer(8192);
  TraceWriter out(buffer);
  out << open_.size() << " open, pending epoch " << pending_epoch_ << "\n";
  render(out, Event(event::Assigned{&cluster_.record()}));
  for (const ModelNode& node : cluster_.nodes()) {
    out << "\n" << node.id << " ";
    if (node.alive) render(out, node.core->status(cluster_.now()));
  }
  return std::string(out.text());
}

bool Chaos::is_complete(const Primary& primary) {
  const Assignment& record = cluster_.record();
  const Configuration& config = record.config;
  if (record.wish || primary.peers().size() + 1 != config.members.size()) return false;
  if (config.policy == Policy::in_sync && !(config.in_sync == config.members)) return false;
  for (const Peer& peer : primary.peers()) {
    if (!peer.in_sync) return false;
  }
  return true;
}

bool Chaos::settle() {
  for (int round = 0; round < 6000; ++round) {
    one_step();
    if (!failure_.empty() || cluster_.broken()) return true;
    const std::uint64_t head = leader();
    if (head == 0 || !open_.empty() || pending_epoch_ != 0) continue;
    if (is_complete(cluster_.node(head).core->engine().primary())) return true;
  }
  return false;
}

// The volume goes: no pin and no frozen base outlives it.
std::string Chaos::release_everything() {
  for (ModelNode& node : cluster_.nodes()) {
    plans_ += node.core->engine().primary().journal().written();
    cluster_.feed(node, event::Removed{});
    if (!node.pins.empty()) return "pins are left";
    if (node.frozen != 0) return "a frozen base is left";
  }
  return cluster_.broken() ? cluster_.take_output() : "";
}

std::string Chaos::final_checks() {
  cluster_.stabilize();
  std::vector<std::uint64_t> all;
  for (const ModelNode& node : cluster_.nodes()) {
    if (cluster_.record().config.members.contains(node.id)) all.push_back(node.id.value());
    if (node.slots.in_use() != 0) return "slots are left";
  }
  const std::string equal = cluster_.compare(all);
  if (equal != "equal") return equal;
  const ModelDisk& disk = cluster_.node(all.front()).disk;
  for (const auto& [block, least] : floor_) {
    if (disk.read(block, disk.head()) < least) return "a completed write is gone";
  }
  return release_everything();
}

std::string Chaos::run() {
  fence_all();
  for (std::uint64_t step = 0; step < options_.steps; ++step) {
    one_step();
    if (cluster_.broken()) return cluster_.take_output();
    if (!failure_.empty()) return failure_;
    if (!cluster_.trace) cluster_.take_output();
  }
  heal_everything();
  const bool settled = settle();
  if (cluster_.broken()) return cluster_.take_output();
  if (!failure_.empty()) return failure_;
  if (!settled) return "it does not come to rest: " + describe();
  return final_checks();
}

}  // namespace seawall::walk
