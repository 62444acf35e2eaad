// What users ask to be changed: judged against the committed record, then committed as a wish.
#include <algorithm>
#include <utility>

#include "controller/core/change.h"
#include "controller/core/core.h"
#include "controller/core/validate.h"
#include "engine/config_change.h"

namespace seawall::controller {
namespace {

Refusal invalid(const char* field, std::string value, std::string wanted) {
  return refuse(RefusalCode::invalid_argument, field, std::move(value), std::move(wanted));
}

std::string name_of(const NodesSeen& nodes, NodeId id) {
  const auto at = nodes.find(id);
  return at == nodes.end() ? std::to_string(id.value()) : at->second.record.name;
}

const NodeSeen* find_node(const NodesSeen& nodes, const std::string& name) {
  for (const auto& [id, node] : nodes) {
    if (node.record.name == name) return &node;
  }
  return nullptr;
}

const ReplicaRecord* replica_on(const VolumeRecord& record, NodeId node) {
  for (const ReplicaRecord& replica : record.replicas) {
    if (replica.node == node) return &replica;
  }
  return nullptr;
}

std::string holders(const VolumeRecord& record, const NodesSeen& nodes) {
  std::string names;
  for (const ReplicaRecord& replica : record.replicas) {
    names += (names.empty() ? "" : ", ") + name_of(nodes, replica.node);
  }
  return names;
}

std::optional<Refusal> check_words(const ChangeVolume& request) {
  const int kinds = (request.replicas ? 1 : 0) + (request.replace.empty() ? 0 : 1) +
                    (request.remove.empty() ? 0 : 1);
  if (kinds > 1) {
    return invalid("replicas", request.replicas ? std::to_string(*request.replicas) : "replaced",
                   "give one of a number of replicas, a replica to replace and one to remove");
  }
  if (!request.to.empty() && request.replace.empty()) {
    return invalid("to", request.to, "leave it out: only a replacement takes it");
  }
  const bool nothing = kinds == 0 && request.policy.empty() && request.write_cache.empty() &&
                       !request.min_in_sync;
  if (request.cancel && !nothing) {
    return invalid("cancel", "true", "give it alone: what is in force stays as it is");
  }
  if (nothing && !request.cancel) {
    return invalid("change", "",
                   "give at least one of replicas, policy, min_in_sync, write_cache, replace, "
                   "remove, cancel");
  }
  if (request.write_cache != "" && request.write_cache != "none" &&
      request.write_cache != "writeback") {
    return invalid("write_cache", request.write_cache, "give writeback or none");
  }
  if (request.replicas && (*request.replicas < 1 || *request.replicas > limits::members_max)) {
    return invalid("replicas", std::to_string(*request.replicas),
                   "give 1 to " + std::to_string(limits::members_max));
  }
  return std::nullopt;
}

// Whom a volume can best do without: a silent node, then one that lags; never its primary.
ReplicaId least_useful(const VolumeRecord& record, const ReplicaSet& members,
                       const VolumeSeen& seen, const NodesSeen& nodes, Instant now,
                       const Options& options) {
  const ReplicaSeen* primary = seen.find(record.primary);
  ReplicaId worst;
  int worst_use = 4;
  for (const ReplicaId id : members) {
    const bool alive = is_alive(nodes, record.replica(id)->node, now, options);
    bool in_sync = false;
    if (primary != nullptr && primary->status) {
      for (const PeerStatus& peer : primary->status->peers) {
        in_sync = in_sync || (peer.replica == id && peer.state == ReplicaState::in_sync);
      }
    }
    const int use = id == record.primary ? 3 : (alive ? 1 : 0) + (alive && in_sync ? 1 : 0);
    if (use > worst_use) continue;
    worst = id;
    worst_use = use;
  }
  return worst;
}

// The policy by which the present one would have been asked for.
std::string policy_word(const Configuration& config) {
  const std::size_t members = config.members.size();
  if (config.policy == Policy::quorum) return "quorum";
  if (config.min_in_sync + std::size_t{1} == members || members == 1) return "in-sync";
  if (config.min_in_sync == members) return "all";
  return config.min_in_sync == 1 ? "best-effort" : "in-sync";
}

std::optional<Refusal> choose_rules(const ChangeVolume& request, const VolumeRecord& record,
                                    ChangeSpec& spec) {
  const auto members = static_cast<std::uint32_t>(spec.wish.members.size() + spec.joining);
  const Configuration& config = record.config;
  const bool untouched = request.policy.empty() && !request.min_in_sync;
  if (request.write_cache == "none") spec.wish.write_cache = WriteCache::none;
  if (request.write_cache == "writeback") spec.wish.write_cache = WriteCache::writeback;
  if (untouched && members == config.members.size()) return std::nullopt;
  const std::string word = !request.policy.empty() ? request.policy : policy_word(config);
  std::optional<std::uint32_t> least = request.min_in_sync;
  const bool own_number = untouched && word == "in-sync" && config.members.size() > 1 &&
                          config.min_in_sync + std::size_t{1} != config.members.size();
  if (own_number) least = std::min<std::uint32_t>(config.min_in_sync, members);
  const Result<PolicyChoice, Refusal> choice = choose_policy(word, least, members);
  if (!choice) return choice.error();
  spec.wish.policy = choice->policy;
  spec.wish.min_in_sync = choice->min_in_sync;
  return std::nullopt;
}

std::optional<Refusal> choose_target(const std::string& to, const VolumeRecord& record,
                                     const NodesSeen& nodes, Instant now, const Options& options,
                                     ChangeSpec& spec) {
  const NodeSeen* node = find_node(nodes, to);
  if (node == nullptr) {
    return refuse(RefusalCode::not_found, "to", to, "give the name of a node that has registered");
  }
  const NodeId id = node->record.id;
  if (replica_on(record, id) != nullptr) {
    return invalid("to", to, "it holds a replica of this volume, give another node than " +
                                 holders(record, nodes));
  }
  if (node->session == 0 || !is_alive(nodes, id, now, options)) {
    return refuse(RefusalCode::not_ready, "to", to, "it is not alive, start it or give another");
  }
  spec.to = id;
  return std::nullopt;
}

// Who stays and how many join.
std::optional<Refusal> choose_members(const ChangeVolume& request, const VolumeRecord& record,
                                      const VolumeSeen& seen, const NodesSeen& nodes, Instant now,
                                      const Options& options, ChangeSpec& spec) {
  ReplicaSet& members = spec.wish.members;
  const std::string& leaving = request.replace.empty() ? request.remove : request.replace;
  if (!leaving.empty()) {
    const NodeSeen* node = find_node(nodes, leaving);
    const ReplicaRecord* replica =
        node == nullptr ? nullptr : replica_on(record, node->record.id);
    if (replica == nullptr || !members.contains(replica->id)) {
      return refuse(RefusalCode::not_found, "node", leaving,
                    "the volume has replicas on " + holders(record, nodes));
    }
    members.erase_if([replica](ReplicaId id) { return id == replica->id; });
    spec.joining = request.replace.empty() ? 0 : 1;
    if (members.empty() && spec.joining == 0) {
      return invalid("node", leaving, "it holds the only replica: add one first");
    }
    if (!request.to.empty()) {
      return choose_target(request.to, record, nodes, now, options, spec);
    }
  }
  if (request.replicas) {
    while (members.size() > *request.replicas) {
      const ReplicaId worst = least_useful(record, members, seen, nodes, now, options);
      members.erase_if([worst](ReplicaId id) { return id == worst; });
    }
    spec.joining = *request.replicas - static_cast<std::uint32_t>(members.size());
  }
  return std::nullopt;
}

// A wish under way that comes to the same: asked for once more.
bool is_wished(const ChangeSpec& spec, const Configuration& wish, const VolumeRecord& record,
               const ChangeVolume& request) {
  const bool same_rules = spec.wish.policy == wish.policy &&
                          spec.wish.min_in_sync == wish.min_in_sync &&
                          spec.wish.write_cache == wish.write_cache &&
                          spec.wish.members.size() + spec.joining == wish.members.size();
  if (!same_rules) return false;
  if (spec.to && std::ranges::none_of(record.replicas, [&](const ReplicaRecord& each) {
        return each.node == *spec.to && wish.members.contains(each.id);
      })) {
    return false;
  }
  const bool names_one = !request.replace.empty() || !request.remove.empty();
  if (!names_one && spec.joining == 0) return true;
  return std::ranges::all_of(spec.wish.members,
                             [&wish](ReplicaId id) { return wish.members.contains(id); });
}

}  // namespace

Result<ChangeSpec, Refusal> validate_change(const ChangeVolume& request, const VolumeRecord& record,
                                            const VolumeSeen& seen, const NodesSeen& nodes,
                                            Instant now, const Options& options) {
  if (auto refusal = check_words(request)) return *std::move(refusal);
  ChangeSpec spec;
  spec.wish = record.config;
  spec.wish.in_sync.clear();
  if (request.cancel) {
    spec.already = !record.wish.has_value();
    return spec;
  }
  if (!request.operation.empty() && request.operation == record.change_operation) {
    spec.already = true;
    return spec;
  }
  if (auto refusal = choose_members(request, record, seen, nodes, now, options, spec)) {
    return *std::move(refusal);
  }
  if (auto refusal = choose_rules(request, record, spec)) return *std::move(refusal);
  if (record.wish) {
    spec.already = is_wished(spec, *record.wish, record, request);
    if (spec.already) return spec;
    return refuse(RefusalCode::busy, "volume", record.name,
                  "another change is under way (" + change_fields(*record.wish) +
                      "): wait for its end, or cancel it");
  }
  spec.already = spec.joining == 0 && fulfils(record.config, spec.wish);
  const std::size_t together = record.config.members.size() + spec.joining;
  if (together > limits::members_max) {
    return invalid("replicas", std::to_string(together),
                   "old and new ones together are at most " +
                       std::to_string(limits::members_max) + ": remove one first");
  }
  if (record.retired.size() + record.config.members.size() > retired_max) {
    return refuse(RefusalCode::busy, "volume", record.name,
                  "the files of " + std::to_string(record.retired.size()) +
                      " removed replicas wait for their nodes: start these first");
  }
  return spec;
}

bool Core::serve_change(Volume& volume, Asker& asker, const ChangeVolume& request, Instant now,
                        Outputs& out) {
  const VolumeRecord& record = volume.record;
  const Result<ChangeSpec, Refusal> spec =
      validate_change(request, record, volume.seen, nodes_, now, options_);
  if (!spec) {
    answer(asker.id, spec.error(), out);
    return false;
  }
  if (spec->already) {
    Answer done;
    done.volume = record.id;
    answer(asker.id, std::move(done), out);
    return false;
  }
  std::vector<NodeId> chosen;
  if (spec->joining > 0) {
    std::vector<PlacementNode> places = free_places(now, &record);
    if (spec->to) std::erase_if(places, [&](const PlacementNode& p) { return p.id != *spec->to; });
    const std::uint64_t bytes = replica_bytes_needed(record.log_bytes);
    const Result<std::vector<NodeId>> found = plan_placement(places, spec->joining, bytes);
    if (!found) {
      const bool few = found.error().code == Errc::unavailable;
      answer(asker.id,
             refuse(few ? RefusalCode::too_few_nodes : RefusalCode::no_space, "replicas",
                    std::to_string(record.config.members.size() + spec->joining),
                    "only " + std::to_string(found.error().a) +
                        (few ? " living nodes hold none yet, start more nodes"
                             : " nodes have the " + std::to_string(bytes) +
                                   " free bytes that a replica needs at first, free space")),
             out);
      return false;
    }
    chosen = *found;
  }
  VolumeRecord next =
      request.cancel ? without_wish(record) : with_wish(record, *spec, chosen, nodes_);
  next.change_operation = request.operation;
  const std::string fields =
      change_fields(request.cancel ? next.config : *next.wish) +
      (request.write_cache.empty() ? "" : " write_cache=" + request.write_cache);
  Change change =
      make_change(std::move(next), request.cancel ? "change_cancelled" : "changing", fields);
  Waiter waiter{std::move(asker), Until::committed, change.next->version(), AttachmentId(0)};
  commit(volume, std::move(change), std::move(waiter), out);
  return true;
}

}  // namespace seawall::controller
