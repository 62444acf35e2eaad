// Commands that show: status, logs, contents, queues.
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "engine/engine.h"
#include "engine/trace.h"
#include "tests/script/runner.h"

namespace seawall::script {
namespace {

std::string text(const std::optional<Lsn>& lsn) {
  return lsn ? std::to_string(lsn->value()) : "?";
}

std::string kind_text(const Packet& packet) {
  if (const auto* append = std::get_if<message::Append>(&packet.message)) {
    return fmt::format("Append {}@{}", append->header.lsn.value(), append->header.term.value());
  }
  if (std::holds_alternative<message::HelloReply>(packet.message)) {
    return fmt::format("HelloReply last={}@{}", packet.facts.marks.written.value(),
                       packet.facts.last_term.value());
  }
  char buffer[512];
  TraceWriter out(buffer);
  render(out, packet.message);
  return std::string(out.text());
}

bool is_heartbeat(const Packet& packet) {
  return std::holds_alternative<message::Heartbeat>(packet.message) ||
         std::holds_alternative<message::HeartbeatReply>(packet.message);
}

}  // namespace

std::string brief(const Packet& packet) { return kind_text(packet); }

// Runs of records are one word; heartbeats are left out.
std::string brief(const std::vector<Packet>& packets) {
  std::string out;
  for (std::size_t i = 0; i < packets.size();) {
    if (is_heartbeat(packets[i])) {
      ++i;
      continue;
    }
    out += out.empty() ? "" : "; ";
    const auto* first = std::get_if<message::Append>(&packets[i].message);
    if (first == nullptr) {
      out += kind_text(packets[i++]);
      continue;
    }
    Lsn last = first->header.lsn;
    const Term term = first->header.term;
    for (++i; i < packets.size(); ++i) {
      const auto* next = std::get_if<message::Append>(&packets[i].message);
      if (next == nullptr || next->header.lsn != last.next() || next->header.term != term) break;
      last = next->header.lsn;
    }
    out += first->header.lsn == last
               ? fmt::format("Append {}@{}", last.value(), term.value())
               : fmt::format("Append {}..{}@{}", first->header.lsn.value(), last.value(),
                             term.value());
  }
  return out.empty() ? "nothing" : out;
}

std::string status_line(Cluster& cluster, Node& node) {
  if (!node.core) return fmt::format("{} down", node.id.value());
  const ReplicaStatus status = node.core->status();
  const ReplicaFacts& facts = node.core->facts();
  std::string out = fmt::format("{} {} epoch={} last={}@{} durable={} committed={} stable={}",
                                node.id.value(), role_name(status.role), status.epoch.value(),
                                facts.marks.written.value(), facts.last_term.value(),
                                facts.marks.durable.value(), text(status.committed),
                                text(status.stable));
  if (facts.promised != status.epoch) out += fmt::format(" promised={}", facts.promised.value());
  if (facts.floor) {
    out += fmt::format(" floor={}@{}", facts.floor->lsn.value(), facts.floor->term.value());
  }
  if (facts.marker) out += fmt::format(" marker(cut={})", facts.marker->cut.value());
  if (!facts.intact) out += " not_intact";
  if (status.log_failed) out += " log_failed";
  if (status.drained) out += " drained";
  if (*status.reason != '\0') out += fmt::format(" ({})", status.reason);
  for (const PeerStatus& peer : status.peers) {
    out += fmt::format(" | {} {}", peer.replica.value(), replica_state_name(peer.state));
    if (peer.written) out += fmt::format(" w={} d={}", text(peer.written), text(peer.durable));
    if (*peer.reason != '\0') out += fmt::format(" ({})", peer.reason);
  }
  static_cast<void>(cluster);
  return out;
}

void Script::status(const Line& line) {
  cluster.settle();
  if (line.words.size() > 1) {
    for (const ReplicaId id : targets(line, 1)) {
      cluster.say(status_line(cluster, cluster.node(id)));
    }
    return;
  }
  for (const auto& [id, node] : cluster.nodes()) cluster.say(status_line(cluster, *node));
}

void Script::log(const Line& line) {
  for (const auto& [id, node] : cluster.nodes()) {
    if (line.words.size() > 1 && id.value() != line.number_at(1)) continue;
    cluster.say(fmt::format("{}:{}", id.value(), node->store.history()));
  }
}

void Script::data(const Line& line) {
  for (const auto& [id, node] : cluster.nodes()) {
    if (line.words.size() > 1 && id.value() != line.number_at(1)) continue;
    cluster.say(fmt::format("{}:{}", id.value(), node->store.content()));
  }
}

// equal [NODE ...]: same history to the same end, same blocks
void Script::equal(const Line& line) {
  const std::vector<ReplicaId> all = targets(line, 1);
  const ModelStore& first = cluster.node(all.front()).store;
  for (const ReplicaId id : all) {
    const ModelStore& other = cluster.node(id).store;
    if (other.written() != first.written() ||
        other.chain_at(other.written()) != first.chain_at(first.written())) {
      cluster.say(fmt::format("{} and {} differ in their logs", all.front().value(), id.value()));
    } else if (other.content() != first.content()) {
      cluster.say(fmt::format("{} and {} differ in their blocks", all.front().value(), id.value()));
    }
  }
  cluster.say(fmt::format("compared {} at {}", all.size(), first.written().value()));
}

void Script::queue(const Line& line) {
  const std::string& text = line.word(1);
  const std::size_t at = text.find("->");
  const std::deque<Packet>* waiting = cluster.queue(
      ReplicaId{parse_number(text.substr(0, at))}, ReplicaId{parse_number(text.substr(at + 2))});
  if (waiting == nullptr) throw std::runtime_error("no link");
  cluster.say(text + ": " + brief(std::vector<Packet>(waiting->begin(), waiting->end())));
}

// sent 1->2: since it was asked for last
void Script::sent(const Line& line) {
  for (std::size_t i = 1; i < line.words.size(); ++i) {
    cluster.say(line.words[i] + ": " + brief(std::exchange(cluster.sent[line.words[i]], {})));
  }
}

// progress NODE: of the recoveries that it runs
void Script::progress(const Line& line) {
  const Node& node = cluster.node(ReplicaId{line.number_at(1)});
  for (const PeerStatus& peer : node.core->status(cluster.now).peers) {
    cluster.say(fmt::format("{} {} kind={} KiB total={} left={}", peer.replica.value(),
                            replica_state_name(peer.state), recovery_kind_name(peer.kind),
                            peer.bytes_total / limits::KiB, peer.bytes_left / limits::KiB));
  }
}

// plans NODE [kinds]: what its journal has got since it was asked for last; or only how many plans
// of each kind that was
void Script::plans(const Line& line) {
  Node& node = cluster.node(ReplicaId{line.number_at(1)});
  const PlanJournal& journal = node.core->engine().primary().journal();
  const std::uint64_t fresh = std::min<std::uint64_t>(journal.written() - node.plan_lines,
                                                      journal.size());
  node.plan_lines = journal.written();
  std::map<PlanKind, int> kinds;
  for (std::size_t i = journal.size() - fresh; i < journal.size(); ++i) {
    const PlanLine& entry = journal[i];
    if (line.words.size() > 2) {
      if (entry.stage == PlanStage::planned) ++kinds[entry.kind];
      continue;
    }
    std::string text = fmt::format("{} session {}.{} {} {}", entry.replica.value(),
                                   entry.session.epoch.value(), entry.session.counter,
                                   plan_name(entry.kind), plan_stage_name(entry.stage));
    switch (entry.stage) {
      case PlanStage::planned:
        text += fmt::format(": {} | it: last={} applied={} | here: head={} trimmed={} common={}",
                            entry.reason, entry.replica_marks.written.value(),
                            entry.replica_marks.applied.value(), entry.head.value(),
                            entry.trimmed.value(), entry.common.value());
        break;
      case PlanStage::step: text += fmt::format(": {}", peer_state_name(entry.state)); break;
      case PlanStage::complete: break;
      case PlanStage::ended: text += fmt::format(": {}", session_end_name(entry.end)); break;
    }
    cluster.say(text);
  }
  for (const auto& [kind, count] : kinds) cluster.say(fmt::format("{} {}", plan_name(kind), count));
}

void Script::pins(const Line& line) {
  const Node& node = cluster.node(ReplicaId{line.number_at(1)});
  cluster.say(fmt::format("{} pins:{} frozen={}", node.id.value(), node.store.pin_text(),
                          node.store.frozen));
}

}  // namespace seawall::script
