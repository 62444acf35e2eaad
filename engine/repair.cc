#include "engine/repair.h"

#include <algorithm>
#include <utility>

#include "engine/base/mutant.h"

namespace seawall {

const Repair::Row* Repair::find(Lsn lsn) const {
  for (const Row& row : rows_) {
    if (row.header.lsn == lsn) return &row;
  }
  return nullptr;
}
Repair::Row* Repair::find(Lsn lsn) { return const_cast<Row*>(std::as_const(*this).find(lsn)); }

void Repair::forget(std::size_t index) {
  if (rows_[index].state == State::asked) --asked_;
  context_.drop(rows_[index].slot);
  rows_.erase_at(index);
}

void Repair::adopt(std::span<const RecordHeader> unknown) {
  const auto listed = [&](Lsn lsn) {
    return std::any_of(unknown.begin(), unknown.end(),
                       [&](const RecordHeader& header) { return header.lsn == lsn; });
  };
  for (std::size_t i = rows_.size(); i > 0; --i) {
    if (!listed(rows_[i - 1].header.lsn)) forget(i - 1);
  }
  for (const RecordHeader& header : unknown) {
    if (!has(header.lsn) && !add(header)) return;  // the rest comes with a later list
  }
}

bool Repair::add(const RecordHeader& header) {
  if (has(header.lsn)) return true;
  if (rows_.full()) return false;
  std::size_t at = 0;
  while (at < rows_.size() && rows_[at].header.lsn < header.lsn) ++at;
  Row row;
  row.header = header;
  rows_.insert_at(at, row);
  return true;
}

void Repair::cut(Lsn head) {
  for (std::size_t i = rows_.size(); i > 0; --i) {
    if (rows_[i - 1].header.lsn > head) forget(i - 1);
  }
}

void Repair::clear() {
  while (!rows_.empty()) forget(rows_.size() - 1);
}

// --- asking ---

const RecordHeader* Repair::ask(ReplicaId peer) {
  if (asked_ >= asked_max) return nullptr;
  if (ask_at_) {
    if (context_.now < *ask_at_) {
      context_.want_wake(*ask_at_);
      return nullptr;
    }
    ask_at_.reset();
  }
  for (Row& row : rows_) {
    if (row.state != State::wanted || row.without.contains(peer)) continue;
    row.state = State::asked;
    row.asked = peer;
    ++asked_;
    return &row.header;
  }
  return nullptr;
}

void Repair::session_over(ReplicaId peer) {
  for (Row& row : rows_) {
    if (row.state != State::asked || row.asked != peer) continue;
    row.state = State::wanted;
    --asked_;
  }
}

void Repair::on_payload(ReplicaId from, const message::RecordPayload& answer) {
  Row* row = find(answer.header.lsn);
  const bool expected = row != nullptr && row->state == State::asked && row->asked == from &&
                        row->header.term == answer.header.term &&
                        row->header.chain == answer.header.chain &&
                        row->header.payload_digest == answer.header.payload_digest;
  if (!expected) {
    ++context_.counters.unexpected;
    context_.drop(answer.slot);
    return;
  }
  --asked_;
  switch (answer.result) {
    case message::FetchResult::found:
      row->state = State::arrived;
      row->slot = answer.slot;
      return;
    case message::FetchResult::lost: row->state = State::lost; break;
    case message::FetchResult::none:
      row->state = State::wanted;
      row->without.push_back(from);
      break;
    case message::FetchResult::busy:
      row->state = State::wanted;
      ask_at_ = context_.now + ask_again;
      context_.want_wake(*ask_at_);
      break;
  }
  context_.drop(answer.slot);
}

bool Repair::refused_by(ReplicaId peer) const {
  for (const Row& row : rows_) {
    if (row.state == State::wanted && row.without.contains(peer)) return true;
  }
  return false;
}

bool Repair::refused(Lsn lsn, ReplicaId peer) const {
  const Row* row = find(lsn);
  return row != nullptr && row->state == State::wanted && row->without.contains(peer);
}

void Repair::give_up(Lsn lsn) {
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].header.lsn == lsn) return forget(i);
  }
}

void Repair::judge(const ReplicaSet& members) {
  for (Row& row : rows_) {
    if (row.state != State::wanted || row.header.lsn <= context_.facts.marks.applied) continue;
    bool all = true;
    for (const ReplicaId member : members) {
      all = all && (member == context_.facts.replica || row.without.contains(member));
    }
    if (all) row.state = State::lost;
  }
}

void Repair::judge_by_word() {
  for (Row& row : rows_) {
    if (row.header.lsn <= context_.facts.marks.applied) continue;
    if (row.state == State::asked) --asked_;
    if (row.state == State::asked || row.state == State::wanted) row.state = State::lost;
  }
}

// --- handing over ---

void Repair::advance() {
  if (ask_at_) context_.want_wake(*ask_at_);
  if (writing_ || context_.log_failed) return;
  command::RepairLog repair;
  for (Row& row : rows_) {
    if (row.state != State::arrived && row.state != State::lost) continue;
    if (repair.pieces.full()) break;
    repair.pieces.push_back({row.header.lsn, row.slot});
  }
  if (repair.pieces.empty()) return;
  if (asked_ > 0 && !repair.pieces.full()) return;  // what is on its way goes along
  writing_ = true;
  context_.emit(repair);
  for (const command::RepairPiece& piece : repair.pieces) {
    Row& row = *find(piece.lsn);
    row.state = State::writing;
    context_.drop(std::exchange(row.slot, no_slot));
  }
}

void Repair::on_repaired(const event::LogRepaired& done) {
  CHECK(writing_);
  writing_ = false;
  if (!done.ok) return;  // the log has failed, and says so
  for (Row& row : rows_) {
    if (row.state == State::writing) row.state = State::wanted;  // unless it is gone from the list
  }
  adopt(done.unknown);
  context_.facts.damage = done.damage;
}

std::size_t Repair::slots() const {
  std::size_t held = 0;
  for (const Row& row : rows_) held += row.slot != no_slot ? 1 : 0;
  return held;
}

}  // namespace seawall
