// What of a World decides what it does next, under a renaming of its replicas.
#include <algorithm>

#include "engine/digest.h"
#include "engine/engine.h"
#include "tests/explore/world.h"

namespace seawall::explore {
namespace {

using Renaming = std::array<std::uint8_t, World::nodes_max + 1>;

struct Meaning {
  const Renaming* renaming = nullptr;
  const std::map<std::uint64_t, walk::LinkState>* links = nullptr;
  std::optional<LinkId> client;
  const std::vector<walk::ModelNode>* nodes = nullptr;
};

const Meaning& meaning(const void* context) { return *static_cast<const Meaning*>(context); }

std::uint64_t replica_name(const void* context, ReplicaId id) {
  return meaning(context).renaming->at(id.value());
}

// The ends of a link that is there; all that have ended are alike: nothing comes from them.
std::uint64_t link_name(const void* context, LinkId id) {
  const Meaning& m = meaning(context);
  if (m.client == id) return 1;
  const auto found = m.links->find(id.value());
  if (found == m.links->end()) return 0;
  return 16 + m.renaming->at(found->second.dialler.value()) * 4u +
         m.renaming->at(found->second.acceptor.value());
}

std::uint64_t slot_name(const void* context, ReplicaId owner, Slot slot) {
  const walk::ModelNode& node = meaning(context).nodes->at(owner.value() - 1);
  return node.slots.holds(slot) ? 2 + node.slots.at(slot).value : 1;
}

void add_disk(Digest& d, const walk::ModelNode& node) {
  const walk::ModelDisk& disk = node.disk;
  d.add(disk.promised, disk.seen_epoch, disk.seen_revision, disk.intact, disk.floor, disk.marker,
        disk.damage, disk.old_terms, disk.start_requests, disk.start, disk.start_chain,
        disk.start_term, disk.written, disk.durable, disk.applied, disk.trimmed);
  for (const walk::ModelRecord& record : disk.records) d.add(record.header, record.value);
  for (const auto& [block, content] : disk.base) d.add(block, content.last_lsn, content.value);
}

std::uint64_t digest_node(Digest d, const walk::ModelNode& node) {
  d.add(node.alive, node.process);
  add_disk(d, node);
  if (!node.alive) return d.value();
  for (const command::WriteSuper& super : node.supers) {
    d.add(super.promise, super.seen_epoch, super.seen_revision, super.intact, super.clear_floor,
          super.clear_marker);
  }
  d.add(node.flush, node.fold_limit, node.base_open, node.wake);
  d.word(static_cast<std::uint64_t>(node.frozen));
  std::uint64_t pins = 0;
  for (const auto& [pin, from] : node.pins) pins += mix64(0x917, from.value());
  d.word(pins);
  d.add(node.core->engine());
  return d.value();
}

void add_wire(Digest& d, const walk::Wire& wire) {
  d.add(wire.link, wire.envelope, wire.message, wire.has_payload, wire.payload.value);
  if (wire.facts) d.add(*wire.facts);
  if (wire.terms) d.add(*wire.terms);
  if (wire.requests) d.add(*wire.requests);
}

}  // namespace

std::uint64_t World::digest_as(const Renaming& renaming) const {
  const Meaning m{&renaming, &links_, client_.link, &nodes()};
  const DigestNames names{&m, replica_name, link_name, slot_name};
  Digest all(names, now_, ReplicaId{});
  std::uint64_t sum = 0;
  for (const walk::ModelNode& node : nodes()) {
    const Digest own(names, now_, node.id);
    sum += mix64(renaming.at(node.id.value()), digest_node(own, node));
  }
  for (const auto& [direction, queue] : frames_) {
    if (queue.empty()) continue;
    Digest d = all.fresh();
    for (const walk::Wire& wire : queue) add_wire(d, wire);
    const std::uint64_t name = renaming.at(direction.first) * 4u + renaming.at(direction.second);
    sum += mix64(100 + name, d.value());
  }
  for (const auto& [from, to] : dialling_) {
    sum += mix64(200, renaming.at(from) * 4u + renaming.at(to));
  }
  for (const auto& [from, to] : broken_links_) {
    sum += mix64(300, renaming.at(from) * 4u + renaming.at(to));
  }
  all.word(sum);
  all.add(record_, client_.link.has_value(), client_.connection, client_.seen);
  all.word(client_.node == 0 ? 0 : renaming.at(client_.node));
  for (const std::uint64_t request : client_.open) all.word(request);
  for (const auto& [from, proposal] : proposals_) {
    all.add(ReplicaId{from}, proposal.epoch, proposal.base, proposal.wanted);
  }
  for (const FenceReport& report : reports_) {
    all.add(report.epoch, report.facts);  // in their order: at most a few
  }
  const Budget& b = own_.budget;
  all.add(b.writes, b.faults, b.elections, b.passes, b.reads, own_.epoch, own_.next_request,
          own_.floor, own_.pending, own_.failed);
  std::uint64_t assigned = 0;
  for (std::uint64_t id = 1; id <= nodes_max; ++id) {
    if (((own_.assigned >> id) & 1) != 0) assigned |= 1u << renaming.at(id);
  }
  all.word(assigned);
  return all.value();
}

std::uint64_t World::digest() const {
  return std::min(digest_as({0, 1, 2, 3}), digest_as({0, 1, 3, 2}));
}

}  // namespace seawall::explore
