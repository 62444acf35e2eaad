#include "controller/stream/feed.h"

#include <algorithm>

namespace seawall::controller::stream {

bool Feed::hear(const FromWatcher& message) {
  if (const auto* claim = std::get_if<Claim>(&message)) {
    if (cursors_.size() >= claims_max && !cursors_.contains(claim->volume)) return false;
    Cursor& cursor = cursors_[claim->volume];
    out_ -= cursor.out;  // what was out belongs to the claim before this one
    cursor = Cursor{};
    cursor.claim = claim->last;
    due_.insert(claim->volume);
    return true;
  }
  if (std::holds_alternative<Follow>(message)) {
    follows_ = true;
    return claim_the_rest();
  }
  acknowledge(std::get<Acknowledge>(message));
  return true;
}

bool Feed::claim_the_rest() {
  const Result<std::vector<VolumeRecord>> volumes = store_.volumes();
  if (!volumes.has_value()) return false;
  for (const VolumeRecord& record : volumes.value()) note_commit(record.id);
  return true;
}

void Feed::note_commit(VolumeId volume) {
  if (!cursors_.contains(volume)) {
    if (!follows_ || cursors_.size() >= claims_max) return;
    cursors_[volume] = Cursor{};
  }
  due_.insert(volume);
}

// Only what was sent can be stored; an acknowledgement of anything else changes nothing.
void Feed::acknowledge(const Acknowledge& message) {
  const auto at = cursors_.find(message.volume);
  if (at == cursors_.end() || !at->second.judged) return;
  Cursor& cursor = at->second;
  if (cursor.sent < message.last.revision || message.last.revision <= cursor.acked) return;
  cursor.acked = message.last.revision;
  const std::size_t left =
      std::min<std::size_t>(cursor.out, cursor.sent.value() - cursor.acked.value());
  out_ -= cursor.out - left;
  cursor.out = left;
  due_.insert(message.volume);
}

bool Feed::pump(std::vector<ToWatcher>& out) {
  // One round over what is due, by volume id; whoever did not get its turn stays due.
  std::vector<VolumeId> round(due_.begin(), due_.end());
  for (const VolumeId id : round) {
    if (out_ >= window) return true;
    Cursor& cursor = cursors_.at(id);
    if (!cursor.judged && !judge_claim(id, cursor, out)) return false;
    if (cursor.judged && !send_events(id, cursor, out)) return false;
  }
  return true;
}

bool Feed::judge_claim(VolumeId id, Cursor& cursor, std::vector<ToWatcher>& out) {
  const Result<std::optional<History>> history = store_.history(id);
  if (!history.has_value()) return false;
  std::optional<Epoch> at_claim;
  if (cursor.claim.revision.value() > 0) {
    const auto held = store_.events(id, Revision(cursor.claim.revision.value() - 1), 1);
    if (!held.has_value()) return false;
    if (!held->empty() && held->front().revision == cursor.claim.revision) {
      at_claim = held->front().epoch;
    }
  }
  const Ruling ruling = judge(history.value(), cursor.claim, at_claim);
  out.emplace_back(std::in_place_type<Answer>, Answer{id, ruling});
  switch (ruling.verdict) {
    case Verdict::ok:
      cursor.judged = true;
      cursor.sent = cursor.claim.revision;
      cursor.acked = cursor.claim.revision;
      return true;
    case Verdict::stale:
    case Verdict::invalid: cursor.judged = true; return send_snapshot(id, cursor, out);
    case Verdict::old_epoch:
    case Verdict::not_found: break;
  }
  due_.erase(id);
  cursors_.erase(id);  // it claims anew if it wants to
  return true;
}

bool Feed::send_snapshot(VolumeId id, Cursor& cursor, std::vector<ToWatcher>& out) {
  const Result<std::optional<VolumeRecord>> record = store_.volume(id);
  const Result<std::optional<History>> history = store_.history(id);
  if (!record.has_value() || !history.has_value() || !history.value()) return false;
  Snapshot snapshot;
  snapshot.volume = id;
  snapshot.version = history.value()->newest;
  snapshot.gone = !record.value().has_value();
  if (!snapshot.gone) snapshot.state = fields_of(*record.value());
  cursor.sent = snapshot.version.revision;
  cursor.acked = Revision(cursor.sent.value() - 1);
  out_ -= cursor.out;
  cursor.out = 1;
  ++out_;
  out.push_back(std::move(snapshot));
  return true;
}

bool Feed::send_events(VolumeId id, Cursor& cursor, std::vector<ToWatcher>& out) {
  const std::size_t room = window - std::min(out_, window);
  if (room == 0) return true;
  const auto events = store_.events(id, cursor.sent, room);
  if (!events.has_value()) return false;
  if (!events->empty() && events->front().revision.value() != cursor.sent.value() + 1) {
    const Result<std::optional<History>> history = store_.history(id);
    if (!history.has_value() || !history.value()) return false;
    const Ruling stale{Verdict::stale, history.value()->newest, Revision(0)};
    out.emplace_back(std::in_place_type<Answer>, Answer{id, stale});
    return send_snapshot(id, cursor, out);  // it stays due for what comes behind
  }
  for (const ChangeEvent& event : events.value()) {
    out.push_back(event);
    cursor.sent = event.revision;
    ++cursor.out;
    ++out_;
  }
  if (events->size() < room) due_.erase(id);
  return true;
}

}  // namespace seawall::controller::stream
