// What users ask: create, delete, attach, detach; each judged against the committed record.
#include <algorithm>
#include <utility>

#include "controller/core/change.h"
#include "controller/core/core.h"
#include "controller/core/placement.h"
#include "controller/core/validate.h"
#include "engine/base/mutant.h"

namespace seawall::controller {
namespace {

constexpr std::size_t volumes_max = 4096;
constexpr std::size_t operation_bytes_max = 128;

const std::string& operation_name(const Request& request) {
  return std::visit([](const auto& each) -> const std::string& { return each.operation; }, request);
}

const std::string& volume_name(const Request& request) {
  return std::visit(
      [](const auto& each) -> const std::string& {
        if constexpr (requires { each.volume; }) return each.volume;
        else return each.name;
      },
      request);
}

VolumeRecord new_record(const CreateVolume& request, const VolumeSpec& spec,
                        const std::vector<NodeId>& chosen, const NodesSeen& nodes) {
  VolumeRecord record;
  record.name = spec.name;
  record.id = request.fresh_id;
  record.incarnation = request.fresh_incarnation;
  record.create_operation = request.operation;
  record.size = spec.size;
  record.log_bytes = spec.log_bytes;
  record.io_timeout_ms = spec.io_timeout_ms;
  record.config.policy = spec.policy;
  record.config.min_in_sync = spec.min_in_sync;
  record.config.write_cache = spec.write_cache;
  for (const NodeId node : chosen) {
    record.config.members.push_back(add_replica(record, node, nodes));
  }
  if (spec.policy == Policy::in_sync) record.config.in_sync = record.config.members;
  return record;
}

std::string fields_of(const VolumeRecord& record) {
  std::string fields = "name=" + record.name + " blocks=" + std::to_string(record.size.value());
  for (const ReplicaRecord& replica : record.replicas) {
    fields +=
        " r" + std::to_string(replica.id.value()) + "=" + std::to_string(replica.node.value());
  }
  return fields;
}

}  // namespace

void Core::on(const input::Asked& input, Instant now, Outputs& out) {
  Asker asker{input.id, input.request, input.deadline};
  if (operation_name(input.request).size() > operation_bytes_max) {
    answer(asker.id,
           refuse(RefusalCode::invalid_argument, "operation_id", "too long",
                  "give at most " + std::to_string(operation_bytes_max) + " bytes"),
           out);
    return;
  }
  if (is_settling(now)) {
    if (early_.size() < options_.requests_max) {
      early_.push_back(std::move(asker));
    } else {
      answer(asker.id,
             refuse(RefusalCode::busy, "request", "early",
                    "the controller has just started, try again in a moment"),
             out);
    }
    return;
  }
  if (const auto* create = std::get_if<CreateVolume>(&asker.request)) {
    take(asker, *create, now, out);
    return;
  }
  const auto* removal = std::get_if<DeleteVolume>(&asker.request);
  const std::string& name = volume_name(asker.request);
  Volume* volume = find_named(name);
  if (volume == nullptr) {
    if (removal != nullptr) {
      Answer gone;
      gone.existed = false;  // the wanted state is there already
      answer(asker.id, std::move(gone), out);
      return;
    }
    answer(asker.id,
           refuse(RefusalCode::not_found, "volume", name, "give the name of a volume that exists"),
           out);
    return;
  }
  if (volume->queue.size() >= options_.requests_max) {
    answer(asker.id,
           refuse(RefusalCode::busy, "volume", name,
                  "too many requests wait for it, try again in a moment"),
           out);
    return;
  }
  volume->queue.push_back(std::move(asker));
  advance(*volume, now, out);
}

bool Core::is_settling(Instant now) const {
  if (now >= started_at_ + options_.suspicion) return false;
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [](const auto& each) { return !each.second.heard; });
}

void Core::serve_early(Instant now, Outputs& out) {
  if (is_settling(now)) return;
  std::deque<Asker> waiting;
  waiting.swap(early_);
  for (Asker& asker : waiting) {
    on(input::Asked{asker.id, std::move(asker.request), asker.deadline}, now, out);
  }
}

// Nodes that are alive and hold no replica of `volume`.
std::vector<PlacementNode> Core::free_places(Instant now, const VolumeRecord* volume) const {
  std::vector<PlacementNode> places;
  for (const auto& [id, node] : nodes_) {
    if (node.session == 0 || !is_alive(nodes_, id, now, options_)) continue;
    const auto is_here = [node_id = id](const ReplicaRecord& replica) {
      return replica.node == node_id;
    };
    if (volume != nullptr && std::ranges::any_of(volume->replicas, is_here)) continue;
    std::uint32_t held = 0;
    for (const auto& [key, each] : volumes_) {
      held += static_cast<std::uint32_t>(std::ranges::count_if(each.record.replicas, is_here));
    }
    places.push_back(PlacementNode{id, node.free_bytes, held});
  }
  return places;
}

void Core::take(const Asker& asker, const CreateVolume& request, Instant now, Outputs& out) {
  const std::vector<PlacementNode> places = free_places(now, nullptr);
  if (Volume* there = find_named(request.name); there != nullptr) {
    if (request.operation.empty() || there->record.create_operation != request.operation ||
        MUTANT(M74)) {
      answer(asker.id,
             refuse(RefusalCode::already_exists, "name", request.name,
                    "a volume of that name exists, give another name"),
             out);
      return;
    }
    if (there->queue.size() >= options_.requests_max) {
      answer(asker.id,
             refuse(RefusalCode::busy, "name", request.name,
                    "too many requests wait for it, try again in a moment"),
             out);
      return;
    }
    there->queue.push_back(asker);  // the same request again: it waits for the same end
    advance(*there, now, out);
    return;
  }
  const Result<VolumeSpec, Refusal> spec = validate_create(request, places.size());
  if (!spec) {
    answer(asker.id, spec.error(), out);
    return;
  }
  if (volumes_.size() >= volumes_max || request.fresh_id.is_zero() ||
      volumes_.contains(request.fresh_id)) {
    answer(asker.id,
           refuse(RefusalCode::busy, "name", request.name,
                  "this controller holds at most " + std::to_string(volumes_max) +
                      " volumes, delete one first"),
           out);
    return;
  }
  const std::uint64_t bytes = replica_bytes_needed(spec->log_bytes);
  const Result<std::vector<NodeId>> chosen = plan_placement(places, spec->replicas, bytes);
  if (!chosen) {
    answer(asker.id,
           refuse(RefusalCode::no_space, "replicas", std::to_string(spec->replicas),
                  "only " + std::to_string(chosen.error().a) + " nodes have the " +
                      std::to_string(bytes) +
                      " free bytes that a replica needs at first; give fewer replicas or a "
                      "smaller log, or free space"),
           out);
    return;
  }
  VolumeRecord record = new_record(request, *spec, *chosen, nodes_);
  Volume& volume = volumes_[record.id];
  volume.record = record;  // holds the name; it exists once it is committed
  volume.seen.creating_since = now;
  Waiter waiter{asker, Until::made, Version{}, AttachmentId(0)};
  const std::string fields = fields_of(record);
  commit(volume, make_change(std::move(record), "created", fields), std::move(waiter), out);
}

void Core::serve_queue(Volume& volume, Instant now, Outputs& out) {
  while (!volume.queue.empty() && !volume.in_flight) {
    Asker asker = std::move(volume.queue.front());
    volume.queue.pop_front();
    if (serve(volume, asker, now, out)) return;
  }
}

bool Core::serve(Volume& volume, Asker& asker, Instant now, Outputs& out) {
  const VolumeRecord& record = volume.record;
  if (std::holds_alternative<CreateVolume>(asker.request)) {
    volume.waiters.push_back(Waiter{std::move(asker), Until::made, Version{}, AttachmentId(0)});
    settle_waiters(volume, out);
    return false;
  }
  const char* obstacle = nullptr;
  if (record.state == VolumeState::creating)
    obstacle = "it is being created, try again in a moment";
  if (record.state == VolumeState::deleting) obstacle = "it is being deleted, give another name";
  if (is_outdated(record, volume.seen)) {
    obstacle =
        "its replicas have seen a newer record than this store holds: bring back the newer "
        "store";
  }
  if (obstacle != nullptr) {
    answer(asker.id, refuse(RefusalCode::not_ready, "volume", record.name, obstacle), out);
    return false;
  }
  if (const auto* attach = std::get_if<AttachVolume>(&asker.request)) {
    return serve_attach(volume, asker, *attach, now, out);
  }
  if (const auto* detach = std::get_if<DetachVolume>(&asker.request)) {
    return serve_detach(volume, asker, *detach, out);
  }
  if (const auto* change = std::get_if<ChangeVolume>(&asker.request)) {
    if (!change->retry.empty()) return serve_retry(volume, asker, *change, out);
    return serve_change(volume, asker, *change, now, out);
  }
  if (const auto* move = std::get_if<MoveVolume>(&asker.request)) {
    return serve_move(volume, asker, *move, now, out);
  }
  if (const auto* force = std::get_if<ForceVolume>(&asker.request)) {
    return serve_force(volume, asker, *force, now, out);
  }
  return serve_delete(volume, asker, out);
}

bool Core::serve_delete(Volume& volume, Asker& asker, Outputs& out) {
  const VolumeRecord& record = volume.record;
  if (!record.attachments.empty()) {
    const std::string holder = node_name(record.attachments.front().node);
    answer(asker.id,
           refuse(RefusalCode::still_attached, "volume", record.name,
                  "it is attached to node " + holder + ", detach it there first"),
           out);
    return false;
  }
  VolumeRecord next = record;
  next.state = VolumeState::deleting;
  next.wish.reset();
  next.replicas.insert(next.replicas.end(), next.retired.begin(), next.retired.end());
  next.retired.clear();
  next.replicas.insert(next.replicas.end(), next.left_out.begin(), next.left_out.end());
  next.left_out.clear();
  Change change = make_change(std::move(next), "deleting", "name=" + record.name);
  Waiter waiter{std::move(asker), Until::gone, change.next->version(), AttachmentId(0)};
  commit(volume, std::move(change), std::move(waiter), out);
  return true;
}

bool Core::serve_attach(Volume& volume, Asker& asker, const AttachVolume& request, Instant now,
                        Outputs& out) {
  const VolumeRecord& record = volume.record;
  const NodeSeen* node = find_node(request.node, request.node_id);
  const std::string given =
      request.node.empty() ? std::to_string(request.node_id.value()) : request.node;
  if (node == nullptr) {
    answer(asker.id,
           refuse(RefusalCode::not_found, "node", given,
                  "give the name of a node that has registered"),
           out);
    return false;
  }
  const NodeId id = node->record.id;
  if (node->session == 0 || !is_alive(nodes_, id, now, options_)) {
    answer(asker.id,
           refuse(RefusalCode::not_ready, "node", given,
                  "it is not alive, start it or give another node"),
           out);
    return false;
  }
  VolumeRecord next = record;
  for (const AttachmentRecord& held : record.attachments) {
    if (held.node != id) {
      answer(asker.id,
             refuse(RefusalCode::attached_elsewhere, "volume", record.name,
                    "it is attached to node " + node_name(held.node) + ", detach it there first"),
             out);
      return false;
    }
    if (held.node_start == node->record.process_start) {  // the same request again
      volume.waiters.push_back(
          Waiter{std::move(asker), Until::acknowledged, record.version(), held.generation});
      settle_waiters(volume, out);
      return false;
    }
  }
  // What an earlier process of this node held has ended with it: its generation is revoked.
  next.attachments.clear();
  next.last_generation = AttachmentId(record.last_generation.value() + 1);
  next.attachments.push_back(
      AttachmentRecord{next.last_generation, id, node->record.process_start});
  const AttachmentId generation = next.last_generation;
  Change change = make_change(
      std::move(next), "attached",
      "generation=" + std::to_string(generation.value()) + " node=" + std::to_string(id.value()));
  Waiter waiter{std::move(asker), Until::acknowledged, change.next->version(), generation};
  commit(volume, std::move(change), std::move(waiter), out);
  return true;
}

bool Core::serve_detach(Volume& volume, Asker& asker, const DetachVolume& request, Outputs& out) {
  const VolumeRecord& record = volume.record;
  if (record.attachments.empty()) {
    const bool done_before =
        !request.operation.empty() && request.operation == record.detach_operation &&
        !MUTANT(M74);
    if (done_before) {
      volume.waiters.push_back(
          Waiter{std::move(asker), Until::acknowledged, record.version(), AttachmentId(0)});
      settle_waiters(volume, out);
      return false;
    }
    answer(asker.id,
           refuse(RefusalCode::not_attached, "volume", record.name,
                  "it is not attached, there is nothing to detach"),
           out);
    return false;
  }
  const AttachmentRecord held = record.attachments.front();
  const bool names_node = !request.node.empty() || request.node_id != NodeId(0);
  const NodeSeen* node = names_node ? find_node(request.node, request.node_id) : nullptr;
  if (names_node && (node == nullptr || node->record.id != held.node)) {
    answer(asker.id,
           refuse(RefusalCode::attached_elsewhere, "node",
                  request.node.empty() ? std::to_string(request.node_id.value()) : request.node,
                  "the volume is attached to node " + node_name(held.node)),
           out);
    return false;
  }
  if (request.generation != AttachmentId(0) && request.generation != held.generation) {
    answer(
        asker.id,
        refuse(RefusalCode::not_attached, "generation", std::to_string(request.generation.value()),
               "the present one is " + std::to_string(held.generation.value())),
        out);
    return false;
  }
  // Forced: a new epoch, whose fence refuses the old generation at every replica, whether or not
  // its node or the primary can be reached (section 5.9). A pending epoch will do: nobody serves in
  // it yet.
  VolumeRecord next = request.force && !record.pending ? with_pending_epoch(record) : record;
  next.attachments.clear();
  next.detach_operation = request.operation;
  Change change = make_change(std::move(next), request.force ? "detached_by_force" : "detached",
                              "generation=" + std::to_string(held.generation.value()) +
                                  " node=" + std::to_string(held.node.value()));
  Waiter waiter{std::move(asker), request.force ? Until::assigned : Until::acknowledged,
                change.next->version(), held.generation};
  commit(volume, std::move(change), std::move(waiter), out);
  return true;
}

bool Core::is_settled(const Volume& volume, const Waiter& waiter, Answer& result) const {
  const VolumeRecord& record = volume.record;
  result = Answer{};
  result.volume = record.id;
  if (waiter.until == Until::made) {
    if (volume.exists && record.state == VolumeState::creating) return false;
    if (!volume.exists || record.state == VolumeState::deleting) {
      result.refusal = refuse(RefusalCode::create_failed, "name", record.name,
                              "it could not be made and was undone; " +
                                  (record.reason.empty() ? "it has been deleted" : record.reason));
    }
    return true;
  }
  if (waiter.until == Until::gone) {
    return !volume.exists || std::none_of(record.replicas.begin(), record.replicas.end(),
                                          [this](const ReplicaRecord& replica) {
                                            return is_connected(nodes_, replica.node);
                                          });
  }
  if (!volume.exists || record.state != VolumeState::ready) {
    result.refusal = refuse(RefusalCode::not_found, "volume", record.name, "it has been deleted");
    return true;
  }
  if (waiter.until == Until::committed) return true;
  if (waiter.until == Until::moved) return is_move_settled(volume, waiter, result);
  if (waiter.until == Until::forced) return is_force_settled(volume, waiter, result);
  if (waiter.until == Until::assigned) {
    return !record.pending && record.epoch >= waiter.version.epoch;
  }
  if (std::holds_alternative<AttachVolume>(waiter.asker.request)) {
    const auto held = std::find_if(
        record.attachments.begin(), record.attachments.end(),
        [&](const AttachmentRecord& each) { return each.generation == waiter.generation; });
    if (held == record.attachments.end()) {
      result.refusal = refuse(RefusalCode::not_attached, "volume", record.name,
                              "it was detached meanwhile, attach it again");
      return true;
    }
    result.generation = waiter.generation;
    result.view = make_view(record, *held);
  }
  return is_acknowledged(record, volume.seen, nodes_, waiter.version.revision);
}

void Core::settle_waiters(Volume& volume, Outputs& out) {
  std::vector<Waiter> still;
  for (Waiter& waiter : volume.waiters) {
    Answer result;
    if (is_settled(volume, waiter, result)) {
      answer(waiter.asker.id, std::move(result), out);
    } else {
      still.push_back(std::move(waiter));
    }
  }
  volume.waiters = std::move(still);
}

void Core::expire(Volume& volume, Instant now, Outputs& out) {
  const auto expired = [&](const Asker& asker, const std::string& wanted) {
    if (now < asker.deadline) return false;
    answer(asker.id, refuse(RefusalCode::timed_out, "volume", volume.record.name, wanted), out);
    return true;
  };
  const std::string committed =
      "it is committed but not yet in effect (" +
      std::string(volume.waiting[0] != '\0' ? volume.waiting : "no primary has confirmed it") +
      "), ask again";
  std::erase_if(volume.waiters, [&](const Waiter& each) { return expired(each.asker, committed); });
  std::erase_if(volume.queue, [&](const Asker& each) {
    return expired(each, "its record could not be changed in time, ask again");
  });
  if (volume.in_flight && volume.in_flight->waiter &&
      expired(volume.in_flight->waiter->asker, "the store has not confirmed it, ask again")) {
    volume.in_flight->waiter.reset();
  }
}

Core::Volume* Core::find_named(const std::string& name) {
  for (auto& [id, volume] : volumes_) {
    if (volume.record.name == name && volume.record.state != VolumeState::deleting) return &volume;
  }
  return nullptr;
}

const NodeSeen* Core::find_node(const std::string& name, NodeId id) const {
  for (const auto& [key, node] : nodes_) {
    if (name.empty() ? key == id : node.record.name == name) return &node;
  }
  return nullptr;
}

std::string Core::node_name(NodeId id) const {
  const auto at = nodes_.find(id);
  return at == nodes_.end() ? std::to_string(id.value()) : at->second.record.name;
}

}  // namespace seawall::controller
