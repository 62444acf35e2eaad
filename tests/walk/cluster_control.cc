// Time, crashes, the controller by hand and the client of a script's cluster.
#include <algorithm>

#include "engine/base/check.h"
#include "engine/config_change.h"
#include "tests/walk/cluster.h"

namespace seawall::walk {

// --- time and progress ---

// Everything that can complete does, in a fixed order, until nothing is left.
void Cluster::stabilize() {
  for (int guard = 0; guard < 100'000; ++guard) {
    bool moved = dial_pending();
    for (ModelNode& node : nodes_) {
      if (!node.alive) continue;
      if (const std::optional<Event> event = node.next_completion()) {
        feed(node, *event);
        moved = true;
      }
    }
    for (std::uint64_t from = 1; from <= nodes_.size(); ++from) {
      for (std::uint64_t to = 1; to <= nodes_.size(); ++to) {
        if (from == to || held_.contains({from, to})) continue;
        moved = next_frame(ReplicaId{from}, ReplicaId{to}, Fate::deliver) || moved;
      }
    }
    if (!moved) return;
  }
  broken_ = true;
  say("BROKEN: it never comes to rest");
}

void Cluster::advance(std::uint64_t milliseconds) {
  const Instant end = now_ + Duration{milliseconds};
  for (int guard = 0; guard < 100'000; ++guard) {
    Instant next = end;
    for (const ModelNode& node : nodes_) {
      if (node.alive && node.wake && *node.wake < next) next = *node.wake;
    }
    now_ = std::max(now_, next);
    for (ModelNode& node : nodes_) {
      if (!node.alive || !node.wake || *node.wake > now_) continue;
      node.wake.reset();
      feed(node, event::Tick{});
    }
    stabilize();
    bool due = false;
    for (const ModelNode& node : nodes_) {
      due = due || (node.alive && node.wake && *node.wake <= now_);
    }
    if (now_ >= end && !due) return;
  }
  broken_ = true;
  say("BROKEN: ticks without end");
}

void Cluster::pass(std::uint64_t milliseconds) {
  now_ += Duration{milliseconds};
  for (ModelNode& node : nodes_) {
    if (!node.alive || !node.wake || *node.wake > now_) continue;
    node.wake.reset();
    feed(node, event::Tick{});
  }
}

bool Cluster::one_of_many(std::uint64_t choice) {
  std::vector<Direction> directions;
  for (const auto& [direction, queue] : frames_) {
    if (!queue.empty() && !held_.contains(direction)) directions.push_back(direction);
  }
  const std::size_t count = nodes_.size() + directions.size() + 1;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t pick = (choice + i) % count;
    if (pick < nodes_.size()) {
      if (!nodes_[pick].alive) continue;
      const std::optional<Event> event = nodes_[pick].next_completion();
      if (!event) continue;
      feed(nodes_[pick], *event);
      return true;
    }
    if (pick == count - 1) {
      if (dial_pending()) return true;
      continue;
    }
    const auto [from, to] = directions[pick - nodes_.size()];
    if (next_frame(ReplicaId{from}, ReplicaId{to}, Fate::deliver)) return true;
  }
  return false;
}

// --- nodes ---

void Cluster::crash(std::uint64_t id, bool power) {
  ModelNode& gone = node(id);
  touch(gone);
  if (power) gone.lose_power();
  else gone.crash();
  for (std::uint64_t other = 1; other <= nodes_.size(); ++other) drop_frames(id, other);
  for (const auto& [link, state] : std::map<std::uint64_t, LinkState>(links_)) {
    if (state.dialler == gone.id || state.acceptor == gone.id) close_link(LinkId{link}, gone.id);
  }
  if (client_.node == id) client_.link.reset();
}

void Cluster::restart(std::uint64_t id) {
  ModelNode& back = node(id);
  back.start(options());
  const ReplicaFacts facts = back.disk.facts(back.process);
  const RequestTables requests = back.disk.requests();
  feed(back, event::Opened{&facts, &requests});
}

// --- controller ---

void Cluster::fence(std::uint64_t epoch, const std::vector<std::uint64_t>& to) {
  record_.revision = Revision{record_.revision.value() + 1};
  for (const std::uint64_t id : to) {
    feed(node(id), event::Fence{FenceRequest{record_.volume, ReplicaId{id}, Epoch{epoch},
                                             record_.revision}});
  }
}

PromotionDecision Cluster::decide(std::uint64_t epoch, std::uint64_t since_fence,
                                  std::uint64_t since_enough) {
  PromotionFacts facts;
  facts.config = &record_.config;
  facts.pending = Epoch{epoch};
  facts.record_epoch = record_.epoch;
  facts.record_revision = record_.revision;
  facts.reports = reports_;
  facts.since_fence = Duration{since_fence};
  facts.since_enough = Duration{since_enough};
  return decide_promotion(facts);
}

Assignment Cluster::make_assignment(std::uint64_t epoch, std::uint64_t primary) {
  Assignment assignment = record_;
  assignment.epoch = Epoch{epoch};
  assignment.revision = Revision{record_.revision.value() + 1};
  assignment.primary = ReplicaId{primary};
  const ModelNode& winner = node(primary);
  assignment.winner_start = winner.process;
  assignment.winner_position =
      Position{winner.disk.term_at(winner.disk.written), winner.disk.written};
  return assignment;
}

void Cluster::assign(const Assignment& assignment, const std::vector<std::uint64_t>& to) {
  for (const std::uint64_t id : to) feed(node(id), event::Assigned{&assignment});
}

bool Cluster::accept_proposal(bool deliver) {
  if (proposals_.empty()) return false;
  const ConfigProposal proposal = proposals_.begin()->second;
  proposals_.clear();
  if (proposal.epoch != record_.epoch || proposal.base != record_.revision) return false;
  if (!is_step(record_.config, record_.wish, proposal.wanted, record_.primary)) {
    broken_ = true;
    say("BROKEN: a proposal that is no step");
    return false;
  }
  record_.revision = Revision{record_.revision.value() + 1};
  record_.config = proposal.wanted;
  if (record_.wish && fulfils(record_.config, *record_.wish)) {
    record_.wish.reset();
    ++fulfilled_;
  }
  if (!deliver) return true;
  for (std::uint64_t id = 1; id <= nodes_.size(); ++id) assign(record_, {id});
  return true;
}

bool Cluster::refuse_proposal() {
  if (proposals_.empty()) return false;
  const auto [id, proposal] = *proposals_.begin();
  proposals_.clear();
  feed(node(id), event::ProposalRefused{ConfigRefusal{proposal.volume, proposal.epoch,
                                                      proposal.base, record_.revision}});
  return true;
}

// --- client ---

void Cluster::attach(std::uint64_t id, bool with_position) {
  if (client_.link && node(client_.node).alive) {
    feed(node(client_.node), event::ClientClosed{*client_.link});
  }
  client_.node = id;
  client_.connection = ConnectionNumber{client_.connection.value() + 1};
  client_.link = LinkId{next_link_++ + 1'000'000};
  ClientAttach attach;
  attach.volume = record_.volume;
  attach.incarnation = record_.incarnation;
  attach.attachment = client_.attachment;
  attach.connection = client_.connection;
  if (with_position) attach.seen = client_.seen;
  attach.proved_by = client_.proved_by;
  feed(node(id), event::ClientOpened{*client_.link, attach});
}

void Cluster::ask(ClientOp op, std::uint64_t request, std::uint64_t lba, std::uint64_t blocks,
                  bool fua) {
  if (!client_.link || !node(client_.node).alive) {
    say("not attached");
    return;
  }
  client_.open.insert(request);
  ClientRequest asked;
  asked.op = op;
  asked.fua = fua;
  asked.attachment = client_.attachment;
  asked.connection = client_.connection;
  asked.request = RequestNumber{request};
  asked.low_mark = RequestNumber{*client_.open.begin()};
  asked.lba = Lba{lba};
  asked.blocks = BlockCount{blocks};
  ModelNode& target = node(client_.node);
  if (op == ClientOp::write) {
    asked.slot = target.slots.lend(Payload{request, {}, 0});
    asked.payload_digest = request + 1;
  }
  feed(target, event::ClientAsked{*client_.link, asked});
}

// --- comparing ---

std::string Cluster::compare(const std::vector<std::uint64_t>& ids) {
  const ModelDisk& first = node(ids.front()).disk;
  for (const std::uint64_t id : ids) {
    const ModelDisk& other = node(id).disk;
    const std::string name = "replica " + std::to_string(id);
    if (other.head() != first.head()) return name + " ends elsewhere";
    if (other.chain_at(other.head()) != first.chain_at(first.head())) {
      return name + " has another history";
    }
    if (other.marker) return name + " carries a marker";
    for (std::uint64_t block = 0; block < first.size.value(); ++block) {
      if (other.read(block, other.head()) != first.read(block, first.head())) {
        return name + " differs in block " + std::to_string(block);
      }
    }
  }
  return "equal";
}

}  // namespace seawall::walk
