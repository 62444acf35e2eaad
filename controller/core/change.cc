#include "controller/core/change.h"

#include <algorithm>
#include <utility>

#include "controller/core/failover.h"
#include "engine/config_change.h"
#include "engine/quorum.h"

namespace seawall::controller {
namespace {

// Moves to `retired` whoever the record has no use for.
void retire_strangers(VolumeRecord& record) {
  const auto first = std::stable_partition(
      record.replicas.begin(), record.replicas.end(), [&record](const ReplicaRecord& replica) {
        return record.is_member(replica.id) ||
               (record.wish && record.wish->members.contains(replica.id));
      });
  record.retired.insert(record.retired.end(), first, record.replicas.end());
  record.replicas.erase(first, record.replicas.end());
}

const ReplicaStatus* primary_word(const VolumeRecord& record, const VolumeSeen& seen) {
  const ReplicaSeen* heard = seen.find(record.primary);
  if (heard == nullptr || !heard->status || heard->status->epoch != record.epoch) return nullptr;
  return &*heard->status;
}

bool is_in_sync(const ReplicaStatus& primary, ReplicaId replica) {
  return std::ranges::any_of(primary.peers, [replica](const PeerStatus& peer) {
    return peer.replica == replica && peer.state == ReplicaState::in_sync;
  });
}

// So many others are level that one of them can take over at once.
bool may_hand_over(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                   Instant now) {
  if (now < seen.failover_not_before || !is_acknowledged(record, seen, nodes, record.revision)) {
    return false;
  }
  const ReplicaStatus* word = primary_word(record, seen);
  const ReplicaSet& set = record.config.policy == Policy::quorum ? record.config.members
                                                                 : record.config.in_sync;
  if (word == nullptr) return false;
  const auto level = static_cast<std::size_t>(
      std::ranges::count_if(set, [&](ReplicaId id) { return is_in_sync(*word, id); }));
  const std::size_t needed =
      record.config.policy == Policy::quorum ? read_quorum(set.size()) : std::size_t{1};
  return level >= needed;
}

// Its node has been silent for long, or is there without it: the disk is gone.
bool is_lost(const VolumeSeen& seen, const NodesSeen& nodes, const ReplicaRecord& replica,
             Instant now, const Options& options) {
  const auto node = nodes.find(replica.node);
  if (node == nodes.end()) return false;
  if (now > node->second.heard_at + options.replace_after) return true;
  if (node->second.session == 0) return false;
  const ReplicaSeen* heard = seen.find(replica.id);
  const bool named = heard != nullptr && heard->status &&
                     heard->status_session == node->second.session;
  return !named && now > node->second.session_since + options.replace_missing;
}

// One member at a time is replaced without being asked, while the volume serves and a node is free.
std::optional<Change> plan_replacement(const VolumeRecord& record, const VolumeSeen& seen,
                                       const NodesSeen& nodes, Instant now,
                                       const Options& options) {
  if (record.config.members.size() < 2 || record.config.members.full() ||
      record.retired.size() >= retired_max ||
      !is_acknowledged(record, seen, nodes, record.revision)) {
    return std::nullopt;
  }
  const auto lost = std::ranges::find_if(record.replicas, [&](const ReplicaRecord& replica) {
    return replica.id != record.primary && is_lost(seen, nodes, replica, now, options);
  });
  if (lost == record.replicas.end()) return std::nullopt;
  std::vector<PlacementNode> places;
  for (const auto& [id, node] : nodes) {
    const bool holds = std::ranges::any_of(
        record.replicas,
        [node_id = id](const ReplicaRecord& each) { return each.node == node_id; });
    if (holds || node.session == 0 || !is_alive(nodes, id, now, options)) continue;
    places.push_back(PlacementNode{id, node.free_bytes, 0});
  }
  const auto chosen = plan_placement(places, 1, replica_bytes_needed(record.log_bytes));
  if (!chosen) return std::nullopt;
  ChangeSpec spec;
  spec.wish = record.config;
  spec.wish.members.erase_if([&](ReplicaId id) { return id == lost->id; });
  spec.joining = 1;
  VolumeRecord next = with_wish(record, spec, *chosen, nodes);
  std::string fields = "lost=" + std::to_string(lost->id.value()) + " " + change_fields(*next.wish);
  return make_change(std::move(next), "replacing", std::move(fields));
}

void plan_retired(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                  Instant now, const Options& options, Plan& plan) {
  VolumeRecord next = record;
  erase_deleted(next.retired, seen);
  if (next.retired.size() != record.retired.size()) {
    const std::string left = std::to_string(next.retired.size());
    plan.change = make_change(std::move(next), "replicas_deleted", "left=" + left);
    return;
  }
  deliver_deletes(record, record.retired, seen, nodes, now, options, plan);
}

void plan_newcomers(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                    Instant now, const Options& options, Plan& plan) {
  const Duration resend = slow_resend(options);
  for (const ReplicaRecord& replica : record.replicas) {
    if (record.is_member(replica.id) || is_made(seen, nodes, replica)) continue;
    const ReplicaSeen* heard = seen.find(replica.id);
    if (heard != nullptr && !heard->create_error.empty()) {  // undone: what is in force stays
      plan.change = make_change(without_wish(record), "change_failed",
                                "replica=" + std::to_string(replica.id.value()));
      return;
    }
    if (!is_due(mark_of(seen, replica.id), nodes, replica.node, record.version(), now, resend)) {
      continue;
    }
    plan.deliveries.push_back(make_create(record, replica));
  }
}

}  // namespace

// A pool holds replicas of many volumes by their id alone, and a directory may outlive its volume
// on a node that was away: ids come from the volume's random id, so none is ever minted twice. 48
// bits stay exact in every JSON reader.
ReplicaId add_replica(VolumeRecord& record, NodeId node, const NodesSeen& nodes) {
  constexpr std::uint32_t per_page = 15;
  const std::uint32_t index = record.replicas_made++;
  std::uint64_t mixed = record.id.hi ^ (record.id.lo * 0x9e3779b97f4a7c15ULL);
  mixed += (index / per_page) * 0xbf58476d1ce4e5b9ULL;
  mixed ^= mixed >> 32;
  mixed *= 0xd6e8feb86659fd93ULL;
  mixed ^= mixed >> 32;
  const ReplicaId id(((mixed & 0xfffffffffffULL) << 4) | (index % per_page + 1));
  const ReplicaRecord fresh{id, node, EndpointVersion(1), nodes.at(node).record.data_address};
  record.replicas.insert(
      std::ranges::upper_bound(record.replicas, id, {}, &ReplicaRecord::id), fresh);
  return id;
}

VolumeRecord with_wish(VolumeRecord record, const ChangeSpec& spec,
                       const std::vector<NodeId>& places, const NodesSeen& nodes) {
  CHECK(places.size() == spec.joining);
  Configuration wish = spec.wish;
  wish.in_sync.clear();
  for (const NodeId place : places) {
    ReplicaSet added;
    added.push_back(add_replica(record, place, nodes));
    wish.members = united(wish.members, added);
  }
  record.wish = wish;
  return record;
}

VolumeRecord without_wish(VolumeRecord record) {
  record.wish.reset();
  retire_strangers(record);
  return record;
}

VolumeRecord with_configuration(VolumeRecord record, const Configuration& config) {
  record.config = config;
  if (record.wish && fulfils(config, *record.wish)) record.wish.reset();
  retire_strangers(record);
  return record;
}

std::string change_fields(const Configuration& config) {
  const auto list = [](const ReplicaSet& set) {
    std::string text;
    for (const ReplicaId id : set) text += (text.empty() ? "" : ",") + std::to_string(id.value());
    return text;
  };
  std::string fields = "members=" + list(config.members);
  if (config.policy == Policy::quorum) return fields + " policy=quorum";
  fields += " policy=in-sync min_in_sync=" + std::to_string(config.min_in_sync);
  if (!config.in_sync.empty()) fields += " in_sync=" + list(config.in_sync);
  return fields;
}

bool is_made(const VolumeSeen& seen, const NodesSeen& nodes, const ReplicaRecord& replica) {
  const ReplicaSeen* heard = seen.find(replica.id);
  if (heard == nullptr) return false;
  const auto node = nodes.find(replica.node);
  const bool named = heard->status && node != nodes.end() &&
                     heard->status_session == node->second.session;
  return heard->created || named;
}

bool primary_leaves(const VolumeRecord& record) {
  return record.wish && record.epoch != Epoch(0) && !record.wish->members.contains(record.primary);
}

void plan_wish(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
               Instant now, const Options& options, Plan& plan) {
  if (plan.change) return;
  if (!record.retired.empty()) plan_retired(record, seen, nodes, now, options, plan);
  if (plan.change) return;
  if (!record.wish) {
    plan.change = plan_replacement(record, seen, nodes, now, options);
    return;
  }
  plan_newcomers(record, seen, nodes, now, options, plan);
  if (plan.change || !primary_leaves(record)) return;
  Configuration step = *record.wish;
  step.members = members_of_step(*record.wish, record.primary);
  if (!fulfils(record.config, step) || !may_hand_over(record, seen, nodes, now)) return;
  plan.change = make_change(with_pending_epoch(record), "fencing", "reason=primary_leaves");
}

}  // namespace seawall::controller
