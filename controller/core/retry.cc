// An operator's word that a replica which was given up is to be tried again. It is a number in the
// record that only rises: it reaches the primary and the replica's own node with the assignment,
// however often either of them, or this controller, dies in between.
#include <algorithm>

#include "controller/core/core.h"

namespace seawall::controller {

bool Core::serve_retry(Volume& volume, Asker& asker, const ChangeVolume& request, Outputs& out) {
  const VolumeRecord& record = volume.record;
  Answer done;
  done.volume = record.id;
  if (!request.operation.empty() && request.operation == record.retry_operation) {
    answer(asker.id, std::move(done), out);
    return false;
  }
  VolumeRecord next = record;
  const auto replica = std::ranges::find_if(next.replicas, [&](const ReplicaRecord& each) {
    return node_name(each.node) == request.retry;
  });
  if (replica == next.replicas.end()) {
    answer(
        asker.id,
        refuse(RefusalCode::not_found, "retry_node", request.retry,
               "no replica of " + record.name + " is there: give the name of a node that has one"),
        out);
    return false;
  }
  ++replica->word;
  next.retry_operation = request.operation;
  const std::string remark = "replica=" + std::to_string(replica->id.value());
  Change change = make_change(std::move(next), "retrying", remark);
  Waiter waiter{std::move(asker), Until::committed, change.next->version(), AttachmentId(0)};
  commit(volume, std::move(change), std::move(waiter), out);
  return true;
}

}  // namespace seawall::controller
