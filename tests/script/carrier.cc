#include "tests/script/carrier.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/config_change.h"
#include "engine/trace.h"
#include "tests/script/oracle.h"

namespace seawall::script {

void Carrier::later(const char* kind, std::function<void()> run, std::function<bool()> ready) {
  node.ops.push_back(Op{kind, std::move(ready), std::move(run)});
}

// --- the log ---

void Carrier::on(const command::AppendLog& c) {
  Stamps payload;
  if (c.slot != no_slot) payload = node.slots.at(c.slot);
  const bool lost = (c.header.flags & record_flag_lost) != 0;
  if (has_payload(c.header) && !lost) CHECK(digest_of(payload) == c.header.payload_digest);
  node.store.append(c.header, payload);
  note_record(cluster, c.header);
  later("log", [cluster = &cluster, node = &node] {
    const Lsn upto = node->store.write_next();
    cluster->step(*node, event::LogWritten{upto});
  });
}

// Covers everything appended so far; what is on the disk earlier becomes durable earlier.
void Carrier::on(const command::FlushLog&) { flush(node.store.appended()); }

void Carrier::flush(Lsn upto) {
  later(
      "flush",
      [cluster = &cluster, node = &node, upto] {
        node->store.flush_to(upto);
        if (node->store.durable() < upto) Carrier{*cluster, *node}.flush(upto);
        cluster->step(*node, event::LogDurable{node->store.durable()});
      },
      [node = &node, upto] {
        return node->store.written() >= upto || node->store.written() > node->store.durable();
      });
}

void Carrier::on(const command::SetFoldLimit& c) {
  node.store.set_fold_limit(c.upto);
  check_fold_limit(cluster, node, c.upto);
}

void Carrier::on(const command::PinLog& c) {
  if (c.from <= node.store.trimmed()) {
    cluster.broken(fmt::format("{} pins {} but trimmed {}", node.id.value(), c.from.value(),
                               node.store.trimmed().value()));
  }
  node.store.pin(c.pin, c.from);
}
void Carrier::on(const command::UnpinLog& c) { node.store.unpin(c.pin); }

void Carrier::on(const command::WriteSuper& c) {
  later("super", [cluster = &cluster, node = &node, c] {
    node->store.update(c);
    cluster->step(*node, event::SuperWritten{c.token});
  });
}

void Carrier::on(const command::RewindLog& c) {
  later("rewind", [cluster = &cluster, node = &node, to = c.to] {
    node->store.rewind(to);
    const ReplicaFacts facts = node->store.facts(node->start);
    cluster->step(*node, event::RewindDone{true, &facts});
  });
}

// --- peers ---

void Carrier::on(const command::DialPeer& c) { node.dials[c.peer] = c.version; }
void Carrier::on(const command::StopDialling& c) { node.dials.erase(c.peer); }

void Carrier::on(const command::HangUp& c) {
  for (const auto& [id, other] : cluster.nodes()) {
    Link* link = cluster.link_between(node.id, id);
    if (link != nullptr && link->id == c.link) {
      link->open[Cluster::side_of(*link, node.id)] = false;
    }
  }
}

void Carrier::on(const command::Send& c) {
  Packet packet;
  packet.envelope = c.envelope;
  packet.message = c.message;
  if (auto* reply = std::get_if<message::HelloReply>(&packet.message)) packet.facts = *reply->facts;
  if (auto* start = std::get_if<message::StartRebuild>(&packet.message)) {
    packet.terms = *start->terms;
  }
  if (auto* base = std::get_if<message::BaseRequests>(&packet.message)) {
    packet.requests = *base->tables;
  }
  if (auto* append = std::get_if<message::Append>(&packet.message)) {
    if (append->slot != no_slot) packet.payload = node.slots.at(append->slot);
  }
  send(c.link, std::move(packet));
}

void Carrier::send(LinkId id, Packet packet) {
  check_sent(cluster, node, packet);
  const std::string key = way(node.id, packet.envelope.to);
  cluster.sent[key].push_back(packet);
  cluster.history[key].push_back(packet);
  Link* link = cluster.link_between(node.id, packet.envelope.to);
  if (link == nullptr || link->id != id || !link->open[Cluster::side_of(*link, node.id)]) return;
  link->queue[Cluster::side_of(*link, node.id)].push_back(std::move(packet));
}

void Carrier::on(const command::StreamLog& c) {
  later(
      "stream",
      [cluster = &cluster, node = &node, c] {
        Lsn at = c.from;
        std::uint64_t bytes = 0;
        for (; at <= c.upto && bytes < c.max_bytes; at = at.next()) {
          const StoredRecord* record = node->store.record(at);
          if (record == nullptr) break;
          if (node->store.rotten(at)) break;
          Packet packet;
          packet.envelope = c.envelope;
          packet.message = message::Append{record->header, no_slot, c.committed, c.stable,
                                           cluster->now};
          packet.payload = record->payload;
          bytes += payload_bytes(record->header).value();
          Carrier{*cluster, *node}.send(c.link, std::move(packet));
        }
        const bool ok = at > c.from;
        if (!ok && node->store.rotten(at)) {
          cluster->step(*node, event::RecordUnknown{node->store.record(at)->header});
        }
        cluster->step(*node, event::LogStreamed{c.peer, c.session, ok ? at.prev() : c.from, ok});
      },
      [node = &node, from = c.from] { return node->store.written() >= from; });
}

// --- rebuild, source ---

void Carrier::on(const command::FreezeBase& c) {
  ++node.store.frozen;
  node.lanes[c.peer] = SourceLane{};
  node.lanes[c.peer].session = c.session;
  later("base", [cluster = &cluster, node = &node, c] {
    const auto found = node->lanes.find(c.peer);
    if (found == node->lanes.end() || found->second.session != c.session) return;
    const ModelStore& store = node->store;
    if (node->failing.erase("freeze") > 0) {
      cluster->step(*node, event::BaseFrozen{c.peer, c.session});
      return;
    }
    SourceLane& lane = found->second;
    lane.base = store.extents();
    const Lsn cut = store.applied();
    cluster->step(*node, event::BaseFrozen{c.peer, c.session, true, cut,
                                           store.term_of(cut).value_or(Term{}),
                                           store.chain_at(cut), lane.base.size()});
  });
}

void Carrier::on(const command::ThawBase& c) {
  --node.store.frozen;
  const auto lane = node.lanes.find(c.peer);
  if (lane != node.lanes.end() && lane->second.session == c.session) node.lanes.erase(lane);
}

void Carrier::on(const command::CompareBase& c) {
  SourceLane& lane = node.lanes.at(c.peer);
  lane.theirs.clear();
  if (c.map.slot != no_slot) lane.theirs = node.maps.at(c.map.slot);
  lane.ours = lines_of(lane.base, c.map.from, c.map.upto, c.since);
  lane.at = MapCursor{};
  lane.upto = c.map.upto;
  lane.compared += lane.ours.size();
  for (const MapLine& line : lane.ours) lane.map_digest = map_digest_next(lane.map_digest, line);
}

// A column that the source has no entry of empties the extent over there.
void Carrier::send_column(const command::SendBase& c, SourceLane& lane, Lba lba) {
  BaseExtent extent{lba, Lsn{}, 0, {}};
  for (const BaseExtent& known : lane.base) {
    if (known.lba == lba) extent = known;
  }
  lane.digest = digest_of(lane.digest, extent);
  Packet packet;
  packet.envelope = c.envelope;
  packet.message = message::BaseBlocks{++lane.sequence, extent.lba, extent.last_lsn,
                                       extent.present, no_slot};
  packet.payload = extent.blocks;
  send(c.link, std::move(packet));
}

void Carrier::on(const command::SendBase& c) {
  later("base", [cluster = &cluster, node = &node, c] {
    const auto found = node->lanes.find(c.peer);
    if (found == node->lanes.end() || found->second.session != c.session) return;
    if (node->failing.erase("send-base") > 0) {
      cluster->step(*node, event::BaseSent{c.peer, c.session});
      return;
    }
    SourceLane& lane = found->second;
    Lba upto = lane.upto;
    bool done = true;
    for (std::uint32_t i = 0; i < c.extents_max; ++i) {
      const auto next = next_difference(lane.ours, lane.theirs, lane.upto, lane.at);
      done = !next.has_value();
      if (done) break;
      upto = *next + BlockCount{extent_blocks};
      Carrier{*cluster, *node}.send_column(c, lane, *next);
    }
    if (done) upto = lane.upto;
    cluster->step(*node, event::BaseSent{c.peer, c.session, true, lane.sequence, done,
                                         std::min(upto, lane.upto), lane.digest, lane.compared,
                                         lane.map_digest});
  });
}

// --- rebuild, target ---

void Carrier::on(const command::PrepareRebuild& c) {
  later("base", [cluster = &cluster, node = &node, c, terms = *c.terms, requests = *c.requests] {
    if (node->failing.erase("prepare") > 0) {
      const ReplicaFacts same = node->store.facts(node->start);
      cluster->step(*node, event::RebuildPrepared{c.marker.session, false, &same});
      return;
    }
    node->store.prepare_rebuild(c, terms, requests);
    node->base_digest = node->base_written = 0;
    const ReplicaFacts facts = node->store.facts(node->start);
    const RequestTables stored = node->store.requests();
    cluster->step(*node, event::RebuildPrepared{c.marker.session, true, &facts, &stored});
  });
}

void Carrier::on(const command::ReadBaseMap& c) {
  later("map", [cluster = &cluster, node = &node, c] {
    const bool ok = node->failing.erase("map") == 0;
    if (ok) {
      Packet packet;
      packet.envelope = c.envelope;
      const Lba end{node->store.size().value()};
      packet.lines = lines_of(node->store.extents(), c.from, end, c.since);
      packet.message = message::BaseMap{c.from, end,
                                        static_cast<std::uint32_t>(packet.lines.size()), no_slot};
      Carrier{*cluster, *node}.send(c.link, std::move(packet));
    }
    cluster->step(*node, event::BaseMapRead{c.session, ok});
  });
}

void Carrier::on(const command::WriteBase& c) {
  BaseExtent extent{c.blocks.lba, c.blocks.last_lsn, c.blocks.present, {}};
  if (c.blocks.slot != no_slot) extent.blocks = node.slots.at(c.blocks.slot);
  later("base", [cluster = &cluster, node = &node, c, extent] {
    if (node->failing.erase("write-base") > 0) {
      cluster->step(*node, event::BaseWritten{c.session, c.blocks.sequence});
      return;
    }
    node->store.write_extent(extent);
    node->base_digest = digest_of(node->base_digest, extent);
    CHECK(c.blocks.sequence == ++node->base_written);
    cluster->step(*node, event::BaseWritten{c.session, c.blocks.sequence, true,
                                            node->base_digest});
  });
}

void Carrier::on(const command::FlushBase& c) {
  later("base", [cluster = &cluster, node = &node, c] {
    const bool ok = node->failing.erase("flush-base") == 0;
    const std::vector<MapLine> lines =
        lines_of(node->store.extents(), Lba{0}, Lba{node->store.size().value()}, c.since);
    std::uint64_t digest = map_digest_start;
    for (const MapLine& line : lines) digest = map_digest_next(digest, line);
    cluster->step(*node, event::BaseFlushed{c.session, ok, lines.size(), digest});
  });
}

// --- damage ---

void Carrier::on(const command::ServeRecord& c) {
  later("repair", [cluster = &cluster, node = &node, c] {
    const StoredRecord* record = node->store.record(c.header.lsn);
    const bool same = record != nullptr && record->header.chain == c.header.chain;
    Packet packet;
    packet.envelope = c.envelope;
    message::RecordPayload answer{c.header, message::FetchResult::none, c.to_primary, no_slot};
    if (same && (record->header.flags & record_flag_lost) != 0) {
      answer.result = message::FetchResult::lost;
    } else if (same && !node->store.rotten(c.header.lsn)) {
      answer.result = message::FetchResult::found;
      packet.payload = record->payload;
    } else if (record == nullptr && node->store.readable(c.header.lba, c.header.blocks)) {
      const Stamps content = node->store.read(c.header.lba, c.header.blocks);
      if (digest_of(content) == c.header.payload_digest) {
        answer.result = message::FetchResult::found;
        packet.payload = content;
      }
    }
    packet.message = answer;
    Carrier{*cluster, *node}.send(c.link, std::move(packet));
  });
}

void Carrier::on(const command::ServeBlocks& c) {
  later("repair", [cluster = &cluster, node = &node, c] {
    Packet packet;
    packet.envelope = c.envelope;
    packet.message = message::BlocksPayload{c.id, no_slot, c.to_primary};
    if (node->store.readable(c.lba, c.blocks)) packet.payload = node->store.read(c.lba, c.blocks);
    Carrier{*cluster, *node}.send(c.link, std::move(packet));
  });
}

void Carrier::on(const command::RepairLog& c) {
  std::vector<std::pair<Lsn, Stamps>> pieces;
  for (const command::RepairPiece& piece : c.pieces) {
    pieces.emplace_back(piece.lsn,
                        piece.slot == no_slot ? Stamps{} : node.slots.at(piece.slot));
  }
  later("repair", [cluster = &cluster, node = &node, pieces] {
    for (const auto& [lsn, payload] : pieces) node->store.repair(lsn, payload);
    const std::vector<RecordHeader> unknown = node->store.unknown();
    const Damage damage = node->store.facts(node->start).damage;
    cluster->step(*node, event::LogRepaired{true, damage, unknown});
  });
}

void Carrier::on(const command::RepairBlocks& c) {
  later("repair", [cluster = &cluster, node = &node, c, content = node.slots.at(c.slot)] {
    const bool any = node->store.repair_blocks(c.lba, content) > 0;
    cluster->step(*node, event::BlocksRepaired{c.id, any});
  });
}

void Carrier::on(const command::DistrustBase&) {
  UNREACHABLE("the model's map never rots");
}

// --- clients ---

void Carrier::on(const command::AttachReply& c) {
  std::string line = fmt::format("attach at {}: {}", node.id.value(),
                                 client_status_name(c.reply.status));
  if (c.reply.status == ClientStatus::ok) line += fmt::format(" epoch={}", c.reply.epoch.value());
  else if (c.reply.known_primary != ReplicaId{}) {
    line += fmt::format(" hint={} epoch={}", c.reply.known_primary.value(),
                        c.reply.known_epoch.value());
  }
  cluster.say("  " + line);
  if (c.reply.status != ClientStatus::ok) return;
  if (ClientRow* client = cluster.client_by(c.link)) client->proved_by = c.reply.epoch;
}

void Carrier::on(const command::Complete& c) {
  ClientRow& client = cluster.client(c.done.attachment);
  const std::uint64_t number = c.done.request.value();
  const ClientRequest request = client.requests[number];
  std::string line = fmt::format("  {} r{} {}", client_op_name(request.op), number,
                                 client_status_name(c.done.status));
  Stamps data;
  if (c.done.slot != no_slot) {
    data = node.slots.at(c.done.slot);
    for (const Stamp stamp : data) line += " " + name_of(cluster, stamp);
  }
  if (c.done.status == ClientStatus::ok) {
    line += fmt::format(" seen={}@{}", c.done.seen.lsn.value(), c.done.seen.term.value());
    client.seen = std::max(client.seen.value_or(Position{}), c.done.seen);
  }
  const bool again = c.done.status == ClientStatus::not_primary ||
                     c.done.status == ClientStatus::not_serving ||
                     c.done.status == ClientStatus::stale_connection;
  if (!again) client.open.erase(number);
  const bool current = c.link == client.link && c.done.connection == client.connection;
  cluster.say(line + (current ? "" : " (on an older connection)"));
  if (c.done.status == ClientStatus::ok) check_completion(cluster, node, request, c.done, data);
}

void Carrier::on(const command::ReadData& c) {
  later("read", [cluster = &cluster, node = &node, c] {
    if (!node->store.readable(c.lba, c.blocks)) {
      cluster->step(*node, event::ReadDone{c.token, Errc::corrupt, no_slot});
      return;
    }
    const Slot slot = cluster->lend(*node, node->store.read(c.lba, c.blocks));
    cluster->step(*node, event::ReadDone{c.token, Errc::ok, slot});
  });
}

void Carrier::on(const command::DropSlot& c) {
  const auto loan = node.loans.find(c.slot);
  if (loan == node.loans.end() || loan->second != 1) {
    cluster.broken(fmt::format("{} drops slot {} that it does not hold", node.id.value(),
                               c.slot.value()));
    return;
  }
  node.loans.erase(loan);
}

// --- control ---

void Carrier::on(const command::ReportFence& c) {
  const ReplicaFacts& facts = c.report->facts;
  if (node.store.promised() < c.report->epoch) {
    cluster.broken("a report before its promise is durable");
  }
  cluster.reports[node.id] = *c.report;
  std::string line = fmt::format("  {} reports epoch={} last={}@{} durable={}", node.id.value(),
                                 c.report->epoch.value(), facts.marks.written.value(),
                                 facts.last_term.value(), facts.marks.durable.value());
  if (facts.floor) {
    line += fmt::format(" floor={}@{}", facts.floor->lsn.value(), facts.floor->term.value());
  }
  if (facts.marker) line += " marker";
  if (!facts.intact) line += " not_intact";
  cluster.say(line);
}

void Carrier::on(const command::RefuseFence& c) {
  cluster.say(fmt::format("  {} refuses fence {}, promised {}", node.id.value(), c.asked.value(),
                          c.promised.value()));
}

void Carrier::on(const command::RefuseAssignment& c) {
  cluster.say(fmt::format("  {} refuses assignment {}.{}: {}", node.id.value(), c.epoch.value(),
                          c.revision.value(), c.reason));
}

void Carrier::on(const command::Propose& c) {
  cluster.proposal = c.proposal;
  const auto list = [](const char* name, const ReplicaSet& set) {
    std::string text;
    for (const ReplicaId id : set) text += (text.empty() ? "" : ",") + std::to_string(id.value());
    return text.empty() ? text : fmt::format(" {}={}", name, text);
  };
  const Configuration& wanted = c.proposal.wanted;
  const std::optional<Assignment>& known = node.assignment;
  std::string text;
  const bool same_rules = known && fulfils(wanted, known->config);
  if (!same_rules) {
    text = list("members", wanted.members) +
           (wanted.policy == Policy::quorum ? " quorum" : " in-sync") +
           (wanted.write_cache == WriteCache::none ? " cache=none" : "");
  }
  cluster.say(fmt::format("  {} proposes{}{} base={} because of {}", node.id.value(), text,
                          list("in_sync", wanted.in_sync), c.proposal.base.value(),
                          c.proposal.cause.value()));
}

void Carrier::on(const command::RequestFailover& c) {
  cluster.say(fmt::format("  {} requests a failover of epoch {}: {}", node.id.value(),
                          c.epoch.value(), c.reason));
}

void Carrier::on(const command::WakeAt& c) {
  if (!node.wake || c.at < *node.wake) node.wake = c.at;
}

}  // namespace seawall::script
