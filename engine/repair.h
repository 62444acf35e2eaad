// Repair: records of the own log whose payload is bad, fetched from whoever still has them.
//
// The chain over them verifies, so position and vote stay; what is missing is bytes. A row is
// wanted, asked of one replica at a time, then has bytes that fit its digest or the word that
// nobody has them (lost), and goes when the log says that it is repaired. Life cycle: with the
// Core. Thread: the Core's. Ownership: a slot that arrived is held until it is handed to RepairLog,
// then dropped. Bounds: `window` rows, `asked_max` asked at a time; the log hands over what
// follows. Errors: none.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/context.h"

namespace seawall {

class Repair {
 public:
  static constexpr std::size_t window = 64;
  static constexpr std::size_t asked_max = 4;
  static constexpr Duration ask_again{200};

  explicit Repair(Context& context) : context_(context) {}

  // The log's own list, oldest first: at opening, and whenever a repair has ended.
  void adopt(std::span<const RecordHeader> unknown);
  void on_repaired(const event::LogRepaired& done);
  // Found bad in a stream. False: no row for it.
  bool add(const RecordHeader& header);
  void cut(Lsn head);  // a rewind: what was beyond is gone
  void clear();        // the log was forgotten
  // Hands over what has arrived; after every event.
  void advance();

  // A record to ask `peer` for, and notes that it is asked; nullptr: none now.
  const RecordHeader* ask(ReplicaId peer);
  void session_over(ReplicaId peer);
  // The slot's loan is taken over, or ended here.
  void on_payload(ReplicaId from, const message::RecordPayload& answer);
  // `peer` was asked for a record that is still wanted, and has it not.
  [[nodiscard]] bool refused_by(ReplicaId peer) const;
  [[nodiscard]] bool refused(Lsn lsn, ReplicaId peer) const;
  void give_up(Lsn lsn);
  // Rows that each of `members` but this replica has answered without: nobody has them. What is in
  // the base already is never lost.
  void judge(const ReplicaSet& members);
  void judge_by_word();  // an operator's: who is silent is not waited for

  [[nodiscard]] bool done() const { return rows_.empty(); }
  [[nodiscard]] bool has(Lsn lsn) const { return find(lsn) != nullptr; }
  [[nodiscard]] std::optional<Lsn> first() const {
    return rows_.empty() ? std::nullopt : std::optional<Lsn>(rows_.front().header.lsn);
  }
  [[nodiscard]] std::size_t size() const { return rows_.size(); }
  // Slots that are held: zero at rest.
  [[nodiscard]] std::size_t slots() const;

 private:
  enum class State : std::uint8_t { wanted, asked, arrived, lost, writing };
  struct Row {
    RecordHeader header;
    State state = State::wanted;
    ReplicaId asked;
    ReplicaSet without;  // have answered that they have it not
    Slot slot = no_slot;
  };
  [[nodiscard]] const Row* find(Lsn lsn) const;
  Row* find(Lsn lsn);
  void forget(std::size_t index);

  Context& context_;
  BoundedVector<Row, window> rows_;  // by lsn
  std::size_t asked_ = 0;
  bool writing_ = false;             // a RepairLog is out
  std::optional<Instant> ask_at_;    // somebody was busy
};

}  // namespace seawall
