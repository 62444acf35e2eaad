// What nodes say: registrations, heartbeats, reports, proposals.
#include <algorithm>
#include <utility>

#include "controller/core/core.h"
#include "controller/core/openings.h"

namespace seawall::controller {
namespace {

NodeRecord record_of(const control::Register& message) {
  return NodeRecord{message.node,         message.name,         message.pool_id,
                    message.data_address, message.http_address, message.process_start,
                    message.pool_bytes};
}

void note_version(VolumeSeen& seen, Version version) {
  if (!seen.newer) {
    seen.newer = version;
    return;
  }
  seen.newer->epoch = std::max(seen.newer->epoch, version.epoch);
  seen.newer->revision = std::max(seen.newer->revision, version.revision);
}

}  // namespace

// A name belongs to one node. One whose holder is alive is refused; a dead holder keeps its
// replicas and its id, and gives up the name.
bool Core::name_is_taken(const control::Register& message, Instant now, Outputs& out) {
  for (auto& [id, node] : nodes_) {
    if (id == message.node || node.record.name != message.name) continue;
    if (node.session != 0 && is_alive(nodes_, id, now, options_)) return true;
    node.record.name += "-was-" + std::to_string(id.value());
    out.push_back(output::RememberNode{node.record});
  }
  return false;
}

// Replicas exist only where a record of this cluster placed them. A node that was never heard of
// and holds nothing but strangers has the pool of another cluster: it gets no work from this one.
bool Core::is_foreign(const control::Register& message) const {
  if (message.replicas.empty() || nodes_.contains(message.node)) return false;
  return std::none_of(
      message.replicas.begin(), message.replicas.end(),
      [this](const ReplicaStatus& status) { return volumes_.contains(status.volume); });
}

void Core::hear(std::uint64_t session, const control::Register& message, Instant now,
                Outputs& out) {
  if (session == 0 || sessions_.contains(session)) return;  // registers once a session
  if (message.node == NodeId(0) || message.name.empty()) {
    out.push_back(output::Reject{
        session, refuse(RefusalCode::invalid_argument, "node", std::to_string(message.node.value()),
                        "give the id of the pool and a name that is not empty")});
    return;
  }
  if (is_foreign(message)) {
    out.push_back(output::Reject{
        session,
        refuse(RefusalCode::invalid_argument, "pool", message.pool_id,
               "it holds " + std::to_string(message.replicas.size()) +
                   " replicas of another cluster; give an empty pool, or one of this cluster")});
    return;
  }
  if (name_is_taken(message, now, out)) {
    out.push_back(output::Reject{
        session, refuse(RefusalCode::already_exists, "name", message.name,
                        "another node of that name is alive, start this one with another name")});
    return;
  }
  NodeSeen& node = nodes_[message.node];
  if (node.session != 0) {
    sessions_.erase(node.session);
    out.push_back(
        output::Reject{node.session, refuse(RefusalCode::already_exists, "node", message.name,
                                            "a newer session of this node has begun")});
  }
  const NodeRecord record = record_of(message);
  const bool restarted = node.record.process_start != record.process_start;
  if (!(node.record == record)) out.push_back(output::RememberNode{record});
  node.record = record;
  node.session = session;
  node.session_since = now;
  node.heard = true;
  node.heard_at = now;
  node.free_bytes = message.pool_free_bytes;
  sessions_[session] = message.node;
  for (auto& [id, volume] : volumes_) {
    for (const ReplicaRecord& replica : volume.record.replicas) {
      if (replica.node != message.node) continue;
      ReplicaSeen& heard = volume.seen.replicas[replica.id];
      heard.create_error.clear();
      if (!restarted) continue;
      // What the old process said of itself is void: it may have lost what it reported (trap 66).
      heard.report.reset();
      heard.status.reset();
      heard.sent = SentMark{};
    }
  }
  hear_statuses(node, message.replicas, now);
  advance_all(now, out);
  serve_early(now, out);
}

void Core::hear(const control::Heartbeat& message, NodeSeen& node, Instant now, Outputs& out) {
  node.free_bytes = message.pool_free_bytes;
  hear_statuses(node, message.replicas, now);
  for (const ReplicaStatus& status : message.replicas) {
    const auto at = volumes_.find(status.volume);
    if (at != volumes_.end()) advance(at->second, now, out);
  }
}

ReplicaSeen* Core::replica_of(VolumeId volume, ReplicaId replica, NodeId node) {
  const auto at = volumes_.find(volume);
  if (at == volumes_.end() || !at->second.exists) return nullptr;
  const ReplicaRecord* record = at->second.record.replica(replica);
  if (record == nullptr) record = at->second.record.retired_replica(replica);
  if (record == nullptr || record->node != node) return nullptr;  // a stranger changes nothing
  return &at->second.seen.replicas[replica];
}

void Core::hear_statuses(NodeSeen& node, const std::vector<ReplicaStatus>& replicas, Instant now) {
  for (const ReplicaStatus& status : replicas) {
    ReplicaSeen* heard = replica_of(status.volume, status.replica, node.record.id);
    if (heard == nullptr) continue;
    heard->status = status;
    heard->status_session = node.session;
    heard->status_at = now;
    Volume& volume = volumes_.at(status.volume);
    if (const ReplicaRecord* replica = volume.record.replica(status.replica)) {
      if (options_.doubt_older_copies) hear_opening(*replica, *heard, status);
      hear_proofs(volume.record, volume.seen, status);
    }
    note_version(volume.seen, Version{std::max(status.epoch, status.promised), status.revision});
  }
}

void Core::hear(const control::Fenced& message, NodeSeen& node, Instant now, Outputs& out) {
  const FenceReport& report = message.report;
  ReplicaSeen* heard = replica_of(report.volume, message.replica, node.record.id);
  if (heard == nullptr) return;
  Volume& volume = volumes_.at(report.volume);
  const ReplicaFacts& facts = report.facts;
  if (facts.incarnation != volume.record.incarnation || facts.replica != message.replica) return;
  note_version(volume.seen,
               Version{std::max(facts.seen_epoch, facts.promised), facts.seen_revision});
  // Only reports of the present pending epoch stand on its promise.
  if (!volume.record.pending || report.epoch != *volume.record.pending) return;
  heard->report = report;
  heard->report_node_start = node.record.process_start;
  advance(volume, now, out);
}

void Core::hear(const control::FenceRefused& message, NodeSeen& node, Instant now, Outputs& out) {
  if (replica_of(message.volume, message.replica, node.record.id) == nullptr) return;
  Volume& volume = volumes_.at(message.volume);
  note_version(volume.seen, Version{message.promised, Revision(0)});
  advance(volume, now, out);
}

void Core::hear(const control::ReplicaCreated& message, NodeSeen& node, Instant now, Outputs& out) {
  ReplicaSeen* heard = replica_of(message.volume, message.replica, node.record.id);
  if (heard == nullptr) return;
  Volume& volume = volumes_.at(message.volume);
  if (message.operation != operation_of(volume.record, message.replica, true)) return;
  if (message.ok) {
    heard->created = true;
  } else {
    heard->create_error = message.error.empty() ? "it gave no reason" : message.error;
  }
  advance(volume, now, out);
}

void Core::hear(const control::ReplicaDeleted& message, NodeSeen& node, Instant now, Outputs& out) {
  ReplicaSeen* heard = replica_of(message.volume, message.replica, node.record.id);
  if (heard == nullptr || !message.ok) return;  // not deleted: it is asked again
  Volume& volume = volumes_.at(message.volume);
  if (message.operation != operation_of(volume.record, message.replica, false)) return;
  heard->deleted = true;
  advance(volume, now, out);
}

void Core::hear(const control::Proposed& message, NodeSeen& node, Instant now, Outputs& out) {
  const ConfigProposal& proposal = message.proposal;
  if (replica_of(proposal.volume, message.from, node.record.id) == nullptr) return;
  Volume& volume = volumes_.at(proposal.volume);
  volume.seen.proposal = proposal;  // one at a time: a newer one replaces it
  volume.seen.proposal_from = message.from;
  advance(volume, now, out);
}

void Core::hear(const control::FailoverWanted& message, NodeSeen& node, Instant now, Outputs& out) {
  if (replica_of(message.volume, message.from, node.record.id) == nullptr) return;
  Volume& volume = volumes_.at(message.volume);
  if (message.from != volume.record.primary || message.epoch != volume.record.epoch) return;
  volume.seen.failover_epoch = message.epoch;
  volume.seen.failover_reason = message.reason;
  advance(volume, now, out);
}

void Core::hear(const control::AssignRefused& message, NodeSeen& node, Instant now, Outputs& out) {
  // Of the winner it means: restarted since its report, or without that position. A higher epoch.
  hear(control::FailoverWanted{message.volume, message.from, message.epoch, message.reason}, node,
       now, out);
}

}  // namespace seawall::controller
