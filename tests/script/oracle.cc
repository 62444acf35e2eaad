#include "tests/script/oracle.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/quorum.h"

namespace seawall::script {
namespace {

std::string text(const Position& at) {
  return fmt::format("{}@{}", at.lsn.value(), at.term.value());
}

bool holds(const ModelStore& store, const Position& at, std::uint64_t chain, bool durable) {
  if (store.has_marker() || at.lsn > (durable ? store.durable() : store.written())) return false;
  const StoredRecord* record = store.record(at.lsn);
  if (record == nullptr) return at.lsn <= store.trimmed();  // folded; its chain is gone
  return record->header.term == at.term && record->header.chain == chain;
}

template <class Message>
constexpr bool acknowledges =
    std::is_same_v<Message, message::Ack> || std::is_same_v<Message, message::BarrierDone> ||
    std::is_same_v<Message, message::HeartbeatReply> ||
    std::is_same_v<Message, message::HelloReply> ||
    std::is_same_v<Message, message::RebuildComplete>;

}  // namespace

void note_record(Cluster& cluster, const RecordHeader& header) {
  const Position at{header.term, header.lsn};
  const auto [place, fresh] = cluster.chains.try_emplace(at, header.chain);
  if (!fresh && place->second != header.chain) {
    cluster.broken(text(at) + " names two different records");
  }
}

void check_sent(Cluster& cluster, Node& node, const Packet& packet) {
  const bool answers = std::visit(
      [](const auto& what) { return acknowledges<std::decay_t<decltype(what)>>; }, packet.message);
  if (!answers) return;
  if (packet.envelope.epoch != node.store.promised()) {
    cluster.broken(fmt::format("{} answers epoch {}, durably promised {}", node.id.value(),
                               packet.envelope.epoch.value(), node.store.promised().value()));
  }
  const auto* ack = std::get_if<message::Ack>(&packet.message);
  if (ack != nullptr && (ack->written > node.store.written() ||
                         ack->durable > node.store.durable())) {
    cluster.broken(fmt::format("{} acknowledges what its disk does not have", node.id.value()));
  }
  const auto* done = std::get_if<message::BarrierDone>(&packet.message);
  if (done != nullptr && done->ok && done->durable > node.store.durable()) {
    cluster.broken(fmt::format("{} proves what is not durable", node.id.value()));
  }
}

bool held_by_required(Cluster& cluster, const Configuration& config, const Position& at,
                      std::uint64_t chain, bool durable) {
  const ReplicaSet& set = config.policy == Policy::quorum ? config.members : config.in_sync;
  std::size_t count = 0;
  for (const ReplicaId member : set) {
    if (holds(cluster.node(member).store, at, chain, durable)) ++count;
  }
  return count >= (config.policy == Policy::quorum ? write_quorum(set.size()) : set.size());
}

// Only stable records reach the base, or what some replica has folded already.
void check_fold_limit(Cluster& cluster, Node& node, Lsn upto) {
  if (!node.assignment || cluster.loss_expected || upto <= node.store.trimmed()) return;
  const StoredRecord* record = node.store.record(upto);
  if (record == nullptr) {
    cluster.broken(fmt::format("{} may fold {}, which it has not", node.id.value(), upto.value()));
    return;
  }
  for (const auto& [id, other] : cluster.nodes()) {
    if (other->store.applied() >= upto) return;
  }
  const Position at{record->header.term, upto};
  // A replica may know less of the configuration than its primary: any delivered one will do.
  for (const auto& [id, other] : cluster.nodes()) {
    if (other->assignment &&
        held_by_required(cluster, other->assignment->config, at, record->header.chain, true)) {
      return;
    }
  }
  cluster.broken(fmt::format("{} may fold {}, which is not stable", node.id.value(), text(at)));
}

void check_completion(Cluster& cluster, Node& node, const ClientRequest& request,
                      const ClientDone& done, const Stamps&) {
  if (done.epoch < cluster.served) {
    cluster.broken(fmt::format("{} answers in epoch {} after epoch {} has", node.id.value(),
                               done.epoch.value(), cluster.served.value()));
  }
  cluster.served = std::max(cluster.served, done.epoch);
  if (!node.assignment || cluster.loss_expected) return;
  const Configuration& config = node.assignment->config;
  if (request.op == ClientOp::flush) {
    const std::size_t before =
        cluster.client(request.attachment).told_before[request.request.value()];
    for (std::size_t i = 0; i < before; ++i) {
      Cluster::Told& told = cluster.told[i];
      if (!told.flushed && !held_by_required(cluster, config, told.at, told.chain, true)) {
        cluster.broken("a flush completed, " + text(told.at) + " is not durable where it must be");
      }
      told.flushed = true;
    }
    return;
  }
  if (request.op == ClientOp::read) return;
  const std::optional<RecordHeader> header = node.store.find(request.attachment, request.request);
  if (!header) return;  // folded and forgotten
  const bool durable = request.fua || config.write_cache == WriteCache::none;
  const Position at{header->term, header->lsn};
  if (!held_by_required(cluster, config, at, header->chain, durable)) {
    cluster.broken(text(at) + " completed and is not where it must be");
  }
  cluster.told.push_back({at, header->chain, durable});
}

void ask_oracle(Cluster& cluster, Node& node) {
  const ReplicaStatus status = node.core->status();
  if (!status.serving || cluster.loss_expected) return;
  if (!cluster.seen_serving.insert({node.id, status.epoch}).second) return;
  for (const Cluster::Told& told : cluster.told) {
    if (!holds(node.store, told.at, told.chain, false)) {
      cluster.broken(fmt::format("{} serves epoch {} without {}, which was completed",
                                 node.id.value(), status.epoch.value(), text(told.at)));
    }
  }
}

}  // namespace seawall::script
