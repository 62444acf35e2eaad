#include "controller/core/openings.h"

#include <algorithm>

#include "engine/base/mutant.h"

namespace seawall::controller {
namespace {

bool has_doubt(const ReplicaRecord& record) { return record.trouble == older_copy_trouble; }

OpeningTold told_by(const ReplicaStatus& status) {
  return OpeningTold{status.opening.start, status.opening.generation, status.marks.written,
                     status.marks.durable};
}

void judge(const ReplicaRecord& record, ReplicaSeen& seen, const Opening& opening) {
  if (seen.told && is_older(*seen.told, opening)) {
    seen.older = true;
    return;
  }
  // In doubt it stays, whatever it has written since, unless the true files have come back.
  const bool was = seen.judged == ProcessStart{} ? has_doubt(record) : seen.older;
  const bool back = seen.told && opening.before == seen.told->start;
  seen.older = was && !back && !MUTANT(M169);
}

}  // namespace

bool is_older(const OpeningTold& told, const Opening& opening) {
  if (MUTANT(M165) || told.generation == 0 || opening.found == 0) return false;
  if (opening.start == told.start) return false;
  if (opening.found != told.generation) return opening.found < told.generation;
  // Nothing was written to the super block since, so nobody else can have opened it since.
  if (opening.before != told.start) return true;
  return opening.end && *opening.end < (opening.power_lost ? told.durable : told.written);
}

void hear_opening(const ReplicaRecord& record, ReplicaSeen& seen, const ReplicaStatus& status) {
  const Opening& opening = status.opening;
  if (opening.found == 0 || opening.start == seen.judged_before) return;
  if (!seen.told && record.told.generation != 0) seen.told = record.told;
  if (opening.start != seen.judged) {
    judge(record, seen, opening);
    seen.judged_before = seen.judged;
    seen.judged = opening.start;
  }
  if (seen.older) return;
  const bool late = seen.told && seen.told->start == opening.start &&
                    opening.generation < seen.told->generation;
  if (!late) seen.told = told_by(status);
}

void hear_proofs(const VolumeRecord& record, VolumeSeen& seen, const ReplicaStatus& primary) {
  const bool in_office = primary.replica == record.primary && primary.epoch == record.epoch;
  if (!in_office || !primary.serving) return;
  for (const PeerStatus& peer : primary.peers) {
    const auto at = seen.replicas.find(peer.replica);
    if (at == seen.replicas.end() || !at->second.older) continue;
    ReplicaSeen& heard = at->second;
    if (peer.state != ReplicaState::in_sync) continue;
    if (peer.start != heard.judged && !MUTANT(M167)) continue;  // it speaks of the opening before
    heard.older = false;
    heard.told.reset();
    if (heard.status && heard.status->opening.start == heard.judged) {
      heard.told = told_by(*heard.status);
    }
  }
}

bool is_doubted(const ReplicaRecord& record, const ReplicaSeen* seen) {
  if (seen == nullptr || seen->judged == ProcessStart{}) return has_doubt(record);
  return seen->older;
}

bool is_doubted(const ReplicaRecord& record, const ReplicaSeen& seen, const FenceReport& report) {
  if (is_doubted(record, &seen)) return true;
  const bool known = (seen.told || record.told.generation != 0) && !MUTANT(M168);
  return known && seen.judged != report.facts.process_start;  // its heartbeat is on its way
}

std::optional<Change> plan_doubts(const VolumeRecord& record, const VolumeSeen& seen) {
  VolumeRecord next = record;
  std::string doubted;
  for (ReplicaRecord& replica : next.replicas) {
    if (has_doubt(replica) || !is_doubted(replica, seen.find(replica.id))) continue;
    replica.trouble = older_copy_trouble;
    doubted += (doubted.empty() ? "replica=" : ",") + std::to_string(replica.id.value());
  }
  if (doubted.empty()) return std::nullopt;
  return make_change(std::move(next), "replica_failing", std::move(doubted));
}

void remember_openings(VolumeRecord& record, const VolumeSeen& seen) {
  for (ReplicaRecord& replica : record.replicas) {
    const ReplicaSeen* heard = seen.find(replica.id);
    if (heard != nullptr && heard->told) replica.told = *heard->told;
  }
}

}  // namespace seawall::controller
