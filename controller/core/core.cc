#include "controller/core/core.h"

#include <algorithm>
#include <utility>

#include "controller/core/failover.h"
#include "controller/core/fields.h"
#include "controller/core/openings.h"
#include "engine/base/mutant.h"

namespace seawall::controller {

void Core::start(const std::vector<VolumeRecord>& volumes, const std::vector<NodeRecord>& nodes,
                 Instant now, Outputs& out) {
  CHECK(volumes_.empty());
  started_at_ = now;
  surveyed_at_ = now;
  for (const NodeRecord& record : nodes) {
    NodeSeen& node = nodes_[record.id];
    node.record = record;
    node.heard_at = now;  // nobody is suspected before it had the time to come back
  }
  for (const VolumeRecord& record : volumes) {
    Volume& volume = volumes_[record.id];
    volume.record = record;
    volume.exists = true;
    volume.seen.pending_since = now;
    volume.seen.creating_since = now;
    volume.seen.move_since = now;
  }
  advance_all(now, out);
}

void Core::step(const Input& input, Instant now, Outputs& out) {
  std::visit([&](const auto& each) { on(each, now, out); }, input);
}

std::vector<Core::VolumeNow> Core::volumes() const {
  std::vector<VolumeNow> all;
  for (const auto& [id, volume] : volumes_) {
    if (volume.exists) all.push_back(VolumeNow{&volume.record, &volume.seen, volume.waiting});
  }
  return all;
}

void Core::on(const input::NodeSaid& input, Instant now, Outputs& out) {
  if (const auto* opening = std::get_if<control::Register>(&input.message)) {
    hear(input.session, *opening, now, out);
    return;
  }
  const auto session = sessions_.find(input.session);
  if (session == sessions_.end()) return;  // ended, or never opened by a Register
  NodeSeen& node = nodes_.at(session->second);
  node.heard_at = now;
  std::visit(
      [&](const auto& message) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(message)>, control::Register>) {
          hear(message, node, now, out);
        }
      },
      input.message);
}

void Core::on(const input::NodeGone& input, Instant now, Outputs& out) {
  const auto session = sessions_.find(input.session);
  if (session == sessions_.end()) return;
  NodeSeen& node = nodes_.at(session->second);
  CHECK(node.session == input.session);
  node.session = 0;  // heard_at stays: a lost connection is not yet a dead node
  sessions_.erase(session);
  advance_all(now, out);
}

void Core::on(const input::Tick&, Instant now, Outputs& out) {
  if (now >= surveyed_at_ + options_.survey) {
    surveyed_at_ = now;
    out.push_back(output::Survey{});
  }
  for (auto& [id, volume] : volumes_) {
    expire(volume, now, out);
    if (volume.in_flight && volume.in_flight->loading && now >= volume.in_flight->retry_at) {
      volume.in_flight->retry_at = now + options_.resend;
      out.push_back(output::Load{volume.in_flight->token, id});
    }
  }
  advance_all(now, out);
  serve_early(now, out);
}

void Core::advance_all(Instant now, Outputs& out) {
  std::vector<VolumeId> ids;  // advancing one may remove it
  for (const auto& [id, volume] : volumes_) ids.push_back(id);
  for (const VolumeId id : ids) {
    const auto at = volumes_.find(id);
    if (at != volumes_.end()) advance(at->second, now, out);
  }
}

// Does the next thing that the volume needs; nothing while a commit is out.
void Core::advance(Volume& volume, Instant now, Outputs& out) {
  if (volume.in_flight || !volume.exists || now < volume.commit_not_before) return;
  if (is_acknowledged(volume.record, volume.seen, nodes_, Revision(0))) {
    if (!volume.seen.serving_since) volume.seen.serving_since = now;
    volume.seen.unserved_since.reset();
    if (now >= *volume.seen.serving_since + options_.calm) volume.seen.failovers_in_row = 0;
  } else {
    volume.seen.serving_since.reset();
    if (!volume.seen.unserved_since) volume.seen.unserved_since = now;
  }
  note_cut_off(volume, now);
  Plan plan = plan_volume(volume.record, volume.seen, nodes_, now, options_);
  volume.waiting = plan.waiting;
  if (plan.proposal_answered) volume.seen.proposal.reset();
  if (!plan.suspects) volume.seen.suspected_since.reset();
  if (plan.suspects && !volume.seen.suspected_since) volume.seen.suspected_since = now;
  if (!plan.order_failed.empty()) volume.seen.order_failed = plan.order_failed;
  if (plan.reports_enough && !volume.seen.enough_since) volume.seen.enough_since = now;
  for (Delivery& delivery : plan.deliveries) {
    const std::uint64_t session = nodes_.at(delivery.node).session;
    if (session == 0) continue;
    const SentMark mark{session, volume.record.version(), now};
    if (delivery.replica) volume.seen.replicas[*delivery.replica].sent = mark;
    if (delivery.attachment) volume.seen.views[*delivery.attachment] = mark;
    if (std::holds_alternative<control::Probe>(delivery.message)) volume.seen.probed_at = now;
    out.push_back(output::Deliver{session, delivery.node, std::move(delivery.message)});
  }
  if (plan.change) {
    commit(volume, std::move(*plan.change), std::nullopt, out);
    return;
  }
  settle_waiters(volume, out);
  serve_queue(volume, now, out);
}

// A primary that its replicas have lost is treated as one that asks: it is the last to be chosen.
void Core::note_cut_off(Volume& volume, Instant now) const {
  VolumeSeen& seen = volume.seen;
  if (!is_cut_off(volume.record, seen, nodes_, now, options_)) {
    seen.cut_off_since.reset();
    return;
  }
  if (!seen.cut_off_since) seen.cut_off_since = now;
  if (now < *seen.cut_off_since + options_.cut_off) return;
  seen.failover_epoch = volume.record.epoch;
  seen.failover_reason = "its replicas have lost it";
}

void Core::commit(Volume& volume, Change change, std::optional<Waiter> waiter, Outputs& out) {
  CHECK(!volume.in_flight);
  InFlight in_flight;
  in_flight.token = next_token_++;
  if (volume.exists) in_flight.expected = volume.record.version();
  if (change.next) remember_openings(*change.next, volume.seen);
  in_flight.next = change.next;
  in_flight.waiter = std::move(waiter);
  const VolumeId id = change.event.volume;
  // The event tells what changes, whole: whoever folds the events has the state.
  change.event.fields =
      difference(volume.exists ? fields_of(volume.record) : VolumeFields{},
                 change.next ? fields_of(*change.next) : VolumeFields{}, change.event.fields);
  out.push_back(output::Commit{in_flight.token, id, in_flight.expected, std::move(change.next),
                               std::move(change.event)});
  volume.in_flight = std::move(in_flight);
}

void Core::on(const input::Stored& input, Instant now, Outputs& out) {
  for (auto& [id, volume] : volumes_) {
    if (!volume.in_flight || volume.in_flight->token != input.token) continue;
    if (volume.in_flight->loading) return;  // a second answer
    if (MUTANT(M75) && input.outcome == StoreOutcome::unknown) {
      volume.in_flight.reset();  // taken for a failure
      return;
    }
    if (input.outcome != StoreOutcome::committed) {
      // Conflict or unknown: what the store holds decides, and nothing is said before.
      volume.in_flight->loading = true;
      volume.in_flight->retry_at = now + options_.resend;
      out.push_back(output::Load{input.token, id});
      return;
    }
    const VolumeId key = id;
    finish_commit(volume, now, out);
    drop_if_gone(key, now, out);
    return;
  }
}

void Core::on(const input::Loaded& input, Instant now, Outputs& out) {
  for (auto& [id, volume] : volumes_) {
    if (!volume.in_flight || volume.in_flight->token != input.token) continue;
    if (!volume.in_flight->loading || !input.ok) return;  // a failed read is tried again
    const VolumeId key = id;
    if (input.record == volume.in_flight->next) {
      finish_commit(volume, now, out);
    } else {
      adopt(volume, input.record, now, out);
    }
    drop_if_gone(key, now, out);
    return;
  }
}

// The change is in the store: it is the truth from here on, and may be told.
void Core::finish_commit(Volume& volume, Instant now, Outputs& out) {
  CHECK(volume.in_flight);
  InFlight done = std::move(*volume.in_flight);
  volume.in_flight.reset();
  const VolumeRecord before = std::move(volume.record);
  volume.exists = done.next.has_value();
  volume.record = done.next ? std::move(*done.next) : before;
  if (done.waiter) volume.waiters.push_back(std::move(*done.waiter));
  note_change(volume, before, now, out);
  if (volume.exists) {
    advance(volume, now, out);
  }
}

// Our change did not happen; the store holds what it held, or what somebody else has put there.
void Core::adopt(Volume& volume, const std::optional<VolumeRecord>& record, Instant now,
                 Outputs& out) {
  InFlight failed = std::move(*volume.in_flight);
  volume.in_flight.reset();
  volume.commit_not_before = now + options_.resend;
  if (failed.waiter) volume.queue.push_front(std::move(failed.waiter->asker));  // judged anew
  const VolumeRecord before = std::move(volume.record);
  volume.exists = record.has_value();
  volume.record = record ? *record : before;
  note_change(volume, before, now, out);
}

// Soft state that belonged to the record as it was.
void Core::note_change(Volume& volume, const VolumeRecord& before, Instant now, Outputs& out) {
  const VolumeRecord& after = volume.record;
  std::erase_if(volume.seen.replicas, [&after](const auto& entry) {
    const bool left_out =
        std::any_of(after.left_out.begin(), after.left_out.end(),
                    [&](const ReplicaRecord& each) { return each.id == entry.first; });
    return !left_out && after.replica(entry.first) == nullptr &&
           after.retired_replica(entry.first) == nullptr;
  });
  if (after.state != before.state) volume.seen.creating_since = now;
  if (after.move && !before.move) volume.seen.move_since = now;
  if (after.pending != before.pending) {
    for (auto& [id, replica] : volume.seen.replicas) replica.report.reset();
    volume.seen.enough_since.reset();
    volume.seen.pending_since = now;
    volume.seen.proposal.reset();
    if (after.pending) {
      const std::uint64_t pause = std::min(options_.failover_pause_max.value(),
                                           options_.failover_pause_first.value()
                                               << std::min(volume.seen.failovers_in_row, 16u));
      volume.seen.failover_not_before = now + Duration(pause);
      ++volume.seen.failovers_in_row;
    }
  }
  for (const AttachmentRecord& old : before.attachments) {
    const bool kept = std::any_of(
        after.attachments.begin(), after.attachments.end(),
        [&old](const AttachmentRecord& each) { return each.generation == old.generation; });
    if (kept) continue;
    volume.seen.views.erase(old.generation);
    const auto node = nodes_.find(old.node);
    if (node == nodes_.end() || node->second.session == 0) continue;
    control::AttachmentView view = make_view(after, old);
    view.revoked = true;
    out.push_back(output::Deliver{node->second.session, old.node, std::move(view)});
  }
}

void Core::drop_if_gone(VolumeId id, Instant now, Outputs& out) {
  const auto at = volumes_.find(id);
  if (at == volumes_.end() || at->second.exists || at->second.in_flight) return;
  Volume gone = std::move(at->second);
  volumes_.erase(at);
  settle_waiters(gone, out);
  for (const Asker& asker : gone.queue) {
    if (std::holds_alternative<CreateVolume>(asker.request)) {
      on(input::Asked{asker.id, asker.request, asker.deadline}, now, out);
      continue;
    }
    answer(asker.id,
           refuse(RefusalCode::not_found, "volume", gone.record.name, "it has been deleted"), out);
  }
}

void Core::answer(std::uint64_t id, Answer answer, Outputs& out) {
  out.push_back(output::Answered{id, std::move(answer)});
}

void Core::answer(std::uint64_t id, Refusal refusal, Outputs& out) {
  Answer refused;
  refused.refusal = std::move(refusal);
  out.push_back(output::Answered{id, std::move(refused)});
}

}  // namespace seawall::controller
