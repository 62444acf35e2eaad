#include "controller/core/health.h"

#include "controller/core/openings.h"
#include "engine/quorum.h"

namespace seawall::controller {
namespace {

const PeerStatus* peer_of(const ReplicaStatus* primary, ReplicaId replica) {
  if (primary == nullptr) return nullptr;
  for (const PeerStatus& peer : primary->peers) {
    if (peer.replica == replica) return &peer;
  }
  return nullptr;
}

// What a primary of the present epoch says, on its way into office or in it.
struct Word {
  const ReplicaStatus* status = nullptr;
  Duration ago;
  Service service = Service::absent;
};

Word word_of_primary(const Core& core, const Core::VolumeNow& volume, Instant now) {
  const VolumeRecord& record = *volume.record;
  const ReplicaRecord* primary = record.replica(record.primary);
  const ReplicaSeen* heard = volume.seen->find(record.primary);
  Word word;
  if (primary == nullptr || heard == nullptr || !heard->status) return word;
  if (record.state != VolumeState::ready || record.pending) return word;
  if (!is_alive(core.nodes(), primary->node, now, core.options())) return word;
  const ReplicaStatus& status = *heard->status;
  const auto node = core.nodes().find(primary->node);
  if (status.epoch != record.epoch || heard->status_session != node->second.session) return word;
  if (is_acknowledged(record, *volume.seen, core.nodes(), Revision(0))) {
    word.service = Service::serving;
  } else if (status.role == Role::promoting) {
    word.service = Service::promoting;
  } else {
    return word;
  }
  word.status = &status;
  word.ago = now - heard->status_at;
  return word;
}

std::optional<Duration> silence_of(const Core& core, NodeId id, Instant now) {
  const auto node = core.nodes().find(id);
  if (node == core.nodes().end() || !node->second.heard) return std::nullopt;
  return now - node->second.heard_at;
}

ReplicaHealth project_replica(const Core& core, const Core::VolumeNow& volume,
                              const ReplicaRecord& replica, const Word& word, Instant now) {
  ReplicaHealth view;
  view.id = replica.id;
  const ReplicaSeen* heard = volume.seen->find(replica.id);
  if (heard != nullptr && heard->status) view.status = &*heard->status;
  const bool leads = replica.id == volume.record->primary;
  if (!leads) view.peer = peer_of(word.status, replica.id);
  view.said_ago = word.ago;
  if (!is_alive(core.nodes(), replica.node, now, core.options())) {
    view.state = ReplicaState::unreachable;
    view.reason = "its node is silent";
    view.lasting = silence_of(core, replica.node, now);
    return view;
  }
  if (view.status != nullptr && view.status->log_failed) {
    const bool given_up = view.status->given_up;
    view.state = given_up ? ReplicaState::terminal : ReplicaState::failed;
    view.reason = view.status->reason[0] == '\0' ? "its log failed" : view.status->reason;
    return view;
  }
  if (leads) {
    view.state = word.service == Service::serving ? ReplicaState::in_sync : ReplicaState::unknown;
    if (view.status != nullptr) view.reason = view.status->reason;
    const std::optional<Instant>& since = volume.seen->serving_since;
    if (word.service == Service::serving && since) view.lasting = now - *since;
    return view;
  }
  if (view.peer != nullptr) {
    view.state = view.peer->state;
    view.reason = view.peer->reason;
    view.lasting = view.peer->lasting + word.ago;
    return view;
  }
  view.reason = "no primary says what it holds";
  return view;
}

// --- the votes of a failover ---

Vote vote_of(const Core& core, const Core::VolumeNow& volume, const ReplicaRecord& replica,
             Instant now) {
  Vote vote;
  vote.id = replica.id;
  const ReplicaSeen* heard = volume.seen->find(replica.id);
  if (!is_alive(core.nodes(), replica.node, now, core.options())) {
    vote.reason = "its node is silent";
  } else if (!is_connected(core.nodes(), replica.node)) {
    vote.reason = "its node has not registered again";
  } else if (heard != nullptr && heard->status && heard->status->log_failed) {
    const bool told = heard->status->reason[0] != '\0';
    vote.reason = std::string("its disk has failed") + (told ? ": " : "") + heard->status->reason;
  } else if (is_doubted(replica, heard) && !volume.record->force) {
    vote.reason = "an older copy of its files is there: its word counts when a primary proved it";
  } else if (heard == nullptr || !heard->report) {
    vote.reason = heard != nullptr && heard->status && heard->status->reason[0] != '\0'
                      ? heard->status->reason
                      : "it makes its promise durable and waits out the grants that it gave";
  } else {
    const ReplicaFacts& facts = heard->report->facts;
    const Position end{facts.last_term, facts.marks.written};
    vote.counts = true;
    if (facts.marker) vote.reason = "cannot lead: a rebuild of it was interrupted";
    else if (facts.floor && end < *facts.floor) vote.reason = "cannot lead: it gave up records";
    else if (!facts.intact) vote.reason = "leads only after a wait: it lost power";
  }
  return vote;
}

void project_votes(const Core& core, const Core::VolumeNow& volume, Instant now,
                   HealthView& view) {
  const VolumeRecord& record = *volume.record;
  if (!record.pending) return;
  for (const ReplicaRecord& replica : record.replicas) {
    if (record.is_member(replica.id)) view.votes.push_back(vote_of(core, volume, replica, now));
  }
  view.votes_needed = record.config.policy == Policy::quorum
                          ? static_cast<std::uint32_t>(read_quorum(record.config.members.size()))
                          : 1;
}

// --- the volume ---

const ReplicaHealth* find(const HealthView& view, ReplicaId id) {
  for (const ReplicaHealth& replica : view.replicas) {
    if (replica.id == id) return &replica;
  }
  return nullptr;
}

VolumeView judge(const Core::VolumeNow& volume, const Word& word, const HealthView& view) {
  const VolumeRecord& record = *volume.record;
  if (is_outdated(record, *volume.seen)) {
    return faulted_volume(record.config, "a replica has seen a newer record than the store holds");
  }
  std::vector<CopyView> copies;
  for (const ReplicaHealth& replica : view.replicas) {
    copies.push_back({replica.id, replica.state,
                      replica.peer == nullptr ? RecoveryKind::none : replica.peer->kind});
  }
  return judge_volume(record.config, word.service, copies);
}

std::string reason_of(const Core& core, const Core::VolumeNow& volume, const Word& word,
                      const VolumeView& judged, const ReplicaHealth* about) {
  std::string reason = judged.reason;
  if (word.service == Service::absent && judged.health != VolumeHealth::faulted) {
    return volume.waiting[0] == '\0' ? reason : reason + ": " + volume.waiting;
  }
  if (judged.health == VolumeHealth::unavailable && word.service == Service::serving) {
    reason = "only " + std::to_string(judged.eligible) + " of " +
             std::to_string(judged.required) + " copies that a write needs count, " + reason;
  }
  if (about == nullptr) return reason;
  const std::optional<Configuration>& wish = volume.record->wish;
  if (wish && !wish->members.contains(about->id)) reason += " and is being replaced";
  const ReplicaRecord* replica = volume.record->replica(about->id);
  const auto node = core.nodes().find(replica->node);
  reason += " (" + (node == core.nodes().end() ? "replica " + std::to_string(about->id.value())
                                               : node->second.record.name);
  const bool says_more =
      !about->reason.empty() && about->reason != replica_state_name(about->state);
  return reason + (says_more ? ": " + about->reason + ")" : ")");
}

}  // namespace

HealthView project_health(const Core& core, const Core::VolumeNow& volume, Instant now) {
  const VolumeRecord& record = *volume.record;
  const Word word = word_of_primary(core, volume, now);
  HealthView view;
  view.serving = word.service == Service::serving;
  for (const ReplicaRecord& replica : record.replicas) {
    view.replicas.push_back(project_replica(core, volume, replica, word, now));
  }
  const VolumeView judged = judge(volume, word, view);
  view.health = judged.health;
  view.required = judged.required;
  view.eligible = judged.eligible;
  const ReplicaHealth* about = find(view, judged.about);
  if (judged.health != VolumeHealth::healthy) {
    view.reason = reason_of(core, volume, word, judged, about);
  }
  const std::optional<Instant>& since =
      view.serving ? volume.seen->serving_since : volume.seen->unserved_since;
  if (about != nullptr) view.lasting = about->lasting;
  else if (since) view.lasting = now - *since;
  project_votes(core, volume, now, view);
  return view;
}

}  // namespace seawall::controller
