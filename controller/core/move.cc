#include "controller/core/move.h"

#include "controller/core/failover.h"

namespace seawall::controller {
namespace {

const PeerStatus* peer_of(const ReplicaStatus& primary, ReplicaId replica) {
  for (const PeerStatus& peer : primary.peers) {
    if (peer.replica == replica) return &peer;
  }
  return nullptr;
}

// Why the target could not win; empty: it could. `word` is the primary's.
std::string obstacle_of(const VolumeRecord& record, const ReplicaRecord& target,
                        const ReplicaStatus& word, const VolumeSeen& seen, const NodesSeen& nodes,
                        Instant now, const Options& options) {
  const ReplicaStatus* status = fresh_status(target, seen, nodes, now, options);
  if (status == nullptr) return "its node is silent";
  if (status->log_failed) return "its log has failed";
  if (!record.is_member(target.id)) return "it is no member";
  if (record.config.policy == Policy::in_sync && !record.config.in_sync.contains(target.id)) {
    return "it is not in the in-sync set";
  }
  const PeerStatus* peer = peer_of(word, target.id);
  if (peer == nullptr || peer->state != ReplicaState::in_sync) return "it is not in sync";
  if (word.drained && peer->written != word.marks.written) return "it is behind";
  return "";
}

void give_up(const VolumeRecord& record, const std::string& why, Plan& plan) {
  VolumeRecord next = record;
  next.move.reset();
  plan.order_failed = why;
  plan.change = make_change(std::move(next), "move_given_up",
                            "target=" + std::to_string(record.move->target.value()));
}

}  // namespace

std::optional<Refusal> judge_move(const VolumeRecord& record, const VolumeSeen& seen,
                                  const NodesSeen& nodes, ReplicaId target, Instant now,
                                  const Options& options) {
  const auto no = [&](const std::string& wanted) {
    return refuse(RefusalCode::not_ready, "volume", record.name, wanted);
  };
  if (record.pending) return no("a failover is under way, try again in a moment");
  if (record.move) return no("another move is under way, try again in a moment");
  const ReplicaRecord* primary = record.replica(record.primary);
  const ReplicaStatus* word =
      primary == nullptr ? nullptr : fresh_status(*primary, seen, nodes, now, options);
  if (word == nullptr || !is_acknowledged(record, seen, nodes, Revision(0))) {
    return no("no primary serves that could hand it over");
  }
  const std::string obstacle =
      obstacle_of(record, *record.replica(target), *word, seen, nodes, now, options);
  if (!obstacle.empty()) return no("the replica there cannot take over: " + obstacle);
  return std::nullopt;
}

Change begin_move(const VolumeRecord& record, ReplicaId target, const std::string& operation) {
  VolumeRecord next = record;
  next.move = MoveOrder{target, operation};
  return make_change(std::move(next), "moving", "target=" + std::to_string(target.value()));
}

void plan_drain(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                Instant now, const Options& options, Plan& plan) {
  CHECK(record.move && !record.pending);
  const ReplicaRecord* primary = record.replica(record.primary);
  const ReplicaRecord* target = record.replica(record.move->target);
  CHECK(primary != nullptr);
  if (target == nullptr) return give_up(record, "its target is no replica any more", plan);
  if (now >= seen.move_since + options.drain) {
    return give_up(record, "the primary did not come to rest in time", plan);
  }
  plan.waiting = "the primary finishes what is open, to be moved";
  const ReplicaStatus* word = fresh_status(*primary, seen, nodes, now, options);
  if (word == nullptr || word->epoch != record.epoch) return;
  const std::string obstacle = obstacle_of(record, *target, *word, seen, nodes, now, options);
  if (!obstacle.empty()) return give_up(record, "the target cannot take over: " + obstacle, plan);
  if (word->drained && word->revision == record.revision) {
    VolumeRecord next = with_pending_epoch(record);
    next.move = record.move;
    plan.change = make_change(std::move(next), "fencing", "reason=planned_move");
    return;
  }
  if (now >= seen.probed_at + options.probe) {
    plan.deliveries.push_back(
        Delivery{primary->node, control::Probe{record.id}, std::nullopt, std::nullopt});
  }
}

}  // namespace seawall::controller
