// The history of a log: which term wrote which lsn, and the chain that proves it.
//
// term_at and common_point are pure. OwnLog follows the replica's own log from AppendLog to
// LogWritten: `head` is what was appended, `written` (in ReplicaFacts) what the disk has. Thread:
// the Core's.
// Invariants: term table entries ascend in term and first lsn; head >= written.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "engine/base/facts.h"
#include "engine/base/ids.h"
#include "engine/base/record.h"
#include "engine/base/ring_buffer.h"
#include "engine/byte_marks.h"

namespace seawall {

// The term of the record at `lsn` of a log that reaches to it; Term{0} for lsn 0 (the empty
// prefix); nullopt where the table does not reach.
std::optional<Term> term_at(const TermTable& terms, Lsn lsn);

// One side of a comparison: a log that ends at `end`.
struct LogView {
  const TermTable* terms = nullptr;
  Lsn end;
  std::uint64_t chain = 0;  // at `end`
};

struct CommonPoint {
  std::optional<Lsn> lsn;        // greatest lsn up to which both are one history; nullopt: unknown
  bool two_histories = false;    // equal terms, different chains: nothing of it is to be trusted
};
CommonPoint common_point(const LogView& a, const LogView& b);

// The chain of the view at `lsn` where it is known: at its end and before each term.
std::optional<std::uint64_t> chain_at(const LogView& log, Lsn lsn);

struct RecentRecord {
  Lsn lsn;
  Term term;
  std::uint64_t chain = 0;
  std::uint64_t bytes_upto = 0;  // payload bytes appended since opening, this record included
};

class OwnLog {
 public:
  static constexpr std::size_t recent_max = 1024;
  // Appended and not yet written: the executor's queue is bounded by it.
  static constexpr std::size_t unwritten_max = recent_max - 64;

  // At opening, after a rewind and after the log was forgotten for a rebuild.
  void adopt(const ReplicaFacts& facts);
  // Gives the record its chain and takes it over as the new head; extends facts.terms.
  void append(RecordHeader& header, ReplicaFacts& facts);
  void on_written(Lsn upto, ReplicaFacts& facts);
  void on_durable(Lsn upto, ReplicaFacts& facts);

  [[nodiscard]] Lsn head() const { return head_; }
  [[nodiscard]] Term head_term() const { return head_term_; }
  [[nodiscard]] std::uint64_t head_chain() const { return head_chain_; }
  [[nodiscard]] bool quiet(const ReplicaFacts& facts) const { return facts.marks.written == head_; }
  [[nodiscard]] bool full(const ReplicaFacts& facts) const {
    return (head_ - facts.marks.written).value() >= unwritten_max;
  }
  [[nodiscard]] LogView view(const ReplicaFacts& facts) const {
    return LogView{&facts.terms, head_, head_chain_};
  }
  [[nodiscard]] const RecentRecord* recent(Lsn lsn) const;
  // Payload bytes of the records in (after, head]; an estimate where `after` is too old to be
  // remembered.
  [[nodiscard]] std::uint64_t bytes_after(Lsn after) const;
  // The same, counted from a fixed start: differences over time are rates.
  [[nodiscard]] std::uint64_t bytes_upto(Lsn lsn) const {
    constexpr std::uint64_t before_opening = std::uint64_t{1} << 60;
    return before_opening + bytes_ - std::min(bytes_after(lsn), before_opening + bytes_);
  }

 private:
  friend struct DigestAccess;  // digest.cc: names every field
  Lsn head_;
  Term head_term_;
  std::uint64_t head_chain_ = 0;
  std::uint64_t bytes_ = 0;
  RingBuffer<RecentRecord, recent_max> recent_;  // contiguous, ends at head_
  ByteMarks marks_;                              // what is older
};

// A log that ends in `end` holds the record `wanted` (lsn 0: everybody does).
bool holds_position(const TermTable& terms, Lsn end, const Position& wanted);
// The (term, lsn) at `lsn`, for floors; nullopt where the table does not reach.
std::optional<Position> position_at(const TermTable& terms, Lsn lsn);

}  // namespace seawall
