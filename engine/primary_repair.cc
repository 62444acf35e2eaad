// The primary's side of damage: it asks its replicas for what is bad here, and answers what they
// ask. A record that the stream needs and nobody can give ends the sessions that wait for it.
#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/primary.h"

namespace seawall {

ReplicaSet Primary::all_members() const {
  ReplicaSet members = context_.assignment->config.members;
  const std::optional<Configuration> wanted = membership_.wanted();
  if (!wanted) return members;
  for (const ReplicaId id : wanted->members) {
    if (!members.contains(id) && !members.full()) members.push_back(id);
  }
  return members;
}

void Primary::repair() {
  ReplicaSet counting;
  for (Peer& peer : peers_) {
    // Any history of which this is a part will do for a record: its chain is compared.
    while (peer.receives_records()) {
      const RecordHeader* header = repair_.ask(peer.id);
      if (header == nullptr) break;
      send(peer, message::FetchRecord{*header, false});
    }
    if (!peer.eligible() && !MUTANT(M70)) continue;
    if (!peer.receives_records()) continue;
    counting.push_back(peer.id);
    while (const std::optional<BlockRepair::Question> question = blocks_.ask(peer.id)) {
      send(peer, message::FetchBlocks{question->id, question->lba, question->blocks});
    }
  }
  while (const std::optional<BlockRepair::Verdict> verdict = blocks_.hopeless(counting)) {
    if (!verdict->again) requests_.on_unreadable(verdict->token);
    else if (!requests_.read_again(verdict->token)) blocks_.forget(verdict->token);
  }
  repair_.judge(all_members());
  const std::optional<Lsn> unreadable = repair_.first();
  if (!unreadable || *unreadable > context_.facts.marks.applied) return;
  // It is in the base already, so it is not lost; but it cannot be sent from here. Where nobody is
  // there nobody has refused: a checkpoint that a crash ended may need it to go on.
  bool anybody = false;
  for (const Peer& peer : peers_) {
    if (!peer.receives_records()) continue;
    if (!repair_.refused(*unreadable, peer.id) && !MUTANT(M162)) return;
    anybody = true;
  }
  if (!anybody && !MUTANT(M162)) return;
  repair_.give_up(*unreadable);
  for (Peer& peer : peers_) {
    const bool waits = peer.receives_records() && peer.cursor <= *unreadable;
    if (waits) close(peer, SessionEnd::log_unreadable);
  }
}

void Primary::on(Peer& peer, const message::FetchRecord& fetch) {
  const bool inside = context_.has_blocks(fetch.header.lba, fetch.header.blocks);
  if (!inside || repair_.has(fetch.header.lsn)) {
    const auto result = inside ? message::FetchResult::busy : message::FetchResult::none;
    send(peer, message::RecordPayload{fetch.header, result, false, no_slot});
    return;
  }
  context_.emit(command::ServeRecord{*peer.link, envelope_to(peer), fetch.header, false});
}

void Primary::on(Peer& peer, const message::FetchBlocks& fetch) {
  const std::uint64_t size = context_.facts.size.value();
  if (fetch.lba.value() <= size && fetch.blocks.value() <= size - fetch.lba.value()) {
    context_.emit(command::ServeBlocks{*peer.link, envelope_to(peer), fetch.id, fetch.lba,
                                       fetch.blocks, false});
  } else {
    send(peer, message::BlocksPayload{fetch.id, no_slot, false});
  }
}

bool Primary::anybody_counts() const {
  return std::any_of(peers_.begin(), peers_.end(), [](const Peer& peer) {
    return peer.eligible() && peer.receives_records();
  });
}

void Primary::on_blocks_rotten(const event::BlocksRotten& found) {
  blocks_.begin_unasked(found.lba, found.blocks);
}

void Primary::on(Peer& peer, const message::BlocksPayload& answer) {
  blocks_.on_payload(peer.id, answer);
}

void Primary::on_blocks_repaired(const event::BlocksRepaired& done) {
  const std::optional<BlockRepair::Verdict> verdict = blocks_.on_repaired(done);
  if (verdict && !requests_.read_again(verdict->token)) blocks_.forget(verdict->token);
}

}  // namespace seawall
