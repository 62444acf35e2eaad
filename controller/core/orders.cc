// What users ask of a volume's primary: the planned move, and force. The rules are in move.h and
// force.h.
#include <utility>

#include "controller/core/core.h"
#include "controller/core/force.h"
#include "controller/core/move.h"

namespace seawall::controller {

bool Core::serve_move(Volume& volume, Asker& asker, const MoveVolume& request, Instant now,
                      Outputs& out) {
  const VolumeRecord& record = volume.record;
  const NodeSeen* node = find_node(request.node, request.node_id);
  const ReplicaRecord* target = nullptr;
  for (const ReplicaRecord& replica : record.replicas) {
    const bool there = node != nullptr && replica.node == node->record.id;
    if (there && record.is_member(replica.id)) target = &replica;
  }
  if (target == nullptr) {
    answer(asker.id,
           refuse(RefusalCode::not_found, "node",
                  request.node.empty() ? std::to_string(request.node_id.value()) : request.node,
                  "name a node that holds a member of volume " + record.name),
           out);
    return false;
  }
  const std::string operation = request.operation;  // the request goes with its asker
  Waiter waiter{std::move(asker), Until::moved, record.version(), AttachmentId(0), target->id};
  const bool there_already = record.primary == target->id && !record.move;
  const bool under_way = record.move && record.move->target == target->id;
  if (there_already || under_way) {
    volume.waiters.push_back(std::move(waiter));
    settle_waiters(volume, out);
    return false;
  }
  if (auto refusal = judge_move(record, volume.seen, nodes_, target->id, now, options_)) {
    answer(waiter.asker.id, std::move(*refusal), out);
    return false;
  }
  volume.seen.order_failed.clear();
  commit(volume, begin_move(record, target->id, operation), std::move(waiter), out);
  return true;
}

bool Core::serve_force(Volume& volume, Asker& asker, const ForceVolume& request, Instant now,
                       Outputs& out) {
  const VolumeRecord& record = volume.record;
  const auto is_this = [&request](const ForceOrder& order) {
    return !request.operation.empty() && order.operation == request.operation;
  };
  const bool known = (record.force && is_this(*record.force)) ||
                     (record.forced && is_this(record.forced->order));
  const ForceJudged judged =
      known ? ForceJudged{} : judge_force(record, volume.seen, nodes_, request, now, options_);
  Waiter waiter{std::move(asker), Until::forced, record.version(), AttachmentId(0), ReplicaId(0)};
  if (known) {
    volume.waiters.push_back(std::move(waiter));
    settle_waiters(volume, out);
    return false;
  }
  if (judged.refusal) {
    answer(waiter.asker.id, *judged.refusal, out);
    return false;
  }
  volume.seen.order_failed.clear();
  commit(volume, begin_force(record, judged.order), std::move(waiter), out);
  return true;
}

// False: it is not over yet.
bool Core::is_move_settled(const Volume& volume, const Waiter& waiter, Answer& result) const {
  const VolumeRecord& record = volume.record;
  if (record.move || record.pending) return false;
  if (record.primary == waiter.replica) {
    return is_acknowledged(record, volume.seen, nodes_, Revision(0));
  }
  result.refusal = refuse(RefusalCode::not_moved, "volume", record.name,
                          volume.seen.order_failed.empty() ? "another primary was chosen meanwhile"
                                                           : volume.seen.order_failed);
  return true;
}

bool Core::is_force_settled(const Volume& volume, const Waiter& waiter, Answer& result) const {
  const VolumeRecord& record = volume.record;
  const std::string& operation = std::get<ForceVolume>(waiter.asker.request).operation;
  if (record.force && record.force->operation == operation) return false;
  if (record.forced && record.forced->order.operation == operation) {
    return is_acknowledged(record, volume.seen, nodes_, Revision(0));
  }
  result.refusal = refuse(RefusalCode::not_forced, "volume", record.name,
                          volume.seen.order_failed.empty() ? "another order has taken its place"
                                                           : volume.seen.order_failed);
  return true;
}

}  // namespace seawall::controller
