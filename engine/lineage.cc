#include "engine/lineage.h"

#include <algorithm>

#include "engine/base/chain.h"
#include "engine/base/check.h"
#include "engine/base/mutant.h"

namespace seawall {

std::optional<Term> term_at(const TermTable& terms, Lsn lsn) {
  if (lsn == Lsn{0}) return Term{0};
  for (std::size_t i = terms.size(); i > 0; --i) {
    if (terms[i - 1].first_lsn <= lsn) return terms[i - 1].term;
  }
  return std::nullopt;
}

std::optional<Position> position_at(const TermTable& terms, Lsn lsn) {
  const std::optional<Term> term = term_at(terms, lsn);
  if (!term) return std::nullopt;
  return Position{*term, lsn};
}

bool holds_position(const TermTable& terms, Lsn end, const Position& wanted) {
  if (wanted.lsn > end) return false;
  const std::optional<Term> term = term_at(terms, wanted.lsn);
  return term && *term == wanted.term;
}

std::optional<std::uint64_t> chain_at(const LogView& log, Lsn lsn) {
  if (lsn == log.end) return log.chain;
  for (const TermEntry& entry : *log.terms) {
    if (entry.first_lsn == lsn.next()) return entry.chain_before;
  }
  return std::nullopt;
}

namespace {

// Last lsn of the term that entry `index` begins.
Lsn end_of(const LogView& log, std::size_t index) {
  if (index + 1 < log.terms->size()) return (*log.terms)[index + 1].first_lsn.prev();
  return log.end;
}

bool reaches_the_beginning(const LogView& log) {
  return log.end == Lsn{0} ||
         (!log.terms->empty() && log.terms->front().first_lsn == Lsn{1});
}

CommonPoint judge(const LogView& a, const LogView& b, Lsn end) {
  const std::optional<std::uint64_t> ours = chain_at(a, end);
  const std::optional<std::uint64_t> theirs = chain_at(b, end);
  if (ours && theirs && *ours != *theirs) return CommonPoint{std::nullopt, true};
  return CommonPoint{end, false};
}

}  // namespace

CommonPoint common_point(const LogView& a, const LogView& b) {
  if (MUTANT(M32) && a.end == b.end) return CommonPoint{a.end, false};
  // The newest term that both know: one primary wrote it, so both hold a prefix of the same
  // records.
  for (std::size_t i = a.terms->size(); i > 0; --i) {
    const TermEntry& ours = (*a.terms)[i - 1];
    for (std::size_t j = b.terms->size(); j > 0; --j) {
      const TermEntry& theirs = (*b.terms)[j - 1];
      if (ours.term != theirs.term) continue;
      if (ours.first_lsn != theirs.first_lsn || ours.chain_before != theirs.chain_before) {
        return CommonPoint{std::nullopt, true};
      }
      return judge(a, b, std::min(end_of(a, i - 1), end_of(b, j - 1)));
    }
  }
  // No common term: what is before the first record is common, if both tables reach that far.
  if (reaches_the_beginning(a) && reaches_the_beginning(b)) return judge(a, b, Lsn{0});
  // A log that begins where a term of the other one begins (its older terms are forgotten).
  const std::optional<std::uint64_t> ours = chain_at(a, b.end);
  if (ours && *ours == b.chain) return CommonPoint{b.end, false};
  const std::optional<std::uint64_t> theirs = chain_at(b, a.end);
  if (theirs && *theirs == a.chain) return CommonPoint{a.end, false};
  return CommonPoint{};
}

void OwnLog::adopt(const ReplicaFacts& facts) {
  head_ = facts.marks.written;
  head_term_ = facts.last_term;
  head_chain_ = facts.chain;
  recent_.clear();
  marks_.clear();
}

void OwnLog::append(RecordHeader& header, ReplicaFacts& facts) {
  CHECK(header.lsn == head_.next());
  CHECK(header.term >= head_term_);
  CHECK(!full(facts));
  const std::uint64_t chain_before = head_chain_;
  header.chain = chain_next(chain_before, header);
  if (header.term != head_term_ || facts.terms.empty()) {
    if (facts.terms.full()) facts.terms.erase_at(0);
    facts.terms.push_back(TermEntry{header.term, header.lsn, chain_before});
  }
  head_ = header.lsn;
  head_term_ = header.term;
  head_chain_ = header.chain;
  bytes_ += payload_bytes(header).value();
  if (recent_.full()) recent_.pop_front();
  recent_.push_back(RecentRecord{head_, head_term_, head_chain_, bytes_});
  marks_.add(head_, bytes_);
}

void OwnLog::on_written(Lsn upto, ReplicaFacts& facts) {
  CHECK_MSG(upto <= head_, "written beyond what was appended");
  if (upto <= facts.marks.written) return;
  const RecentRecord* record = recent(upto);
  CHECK(record != nullptr);
  facts.marks.written = upto;
  facts.last_term = record->term;
  facts.chain = record->chain;
}

void OwnLog::on_durable(Lsn upto, ReplicaFacts& facts) {
  CHECK_MSG(upto <= facts.marks.written, "durable beyond what is written");
  facts.marks.durable = std::max(facts.marks.durable, upto);
}

const RecentRecord* OwnLog::recent(Lsn lsn) const {
  if (recent_.empty() || lsn > head_ || lsn < recent_.front().lsn) return nullptr;
  return &recent_[(lsn - recent_.front().lsn).value()];
}

std::uint64_t OwnLog::bytes_after(Lsn after) const {
  if (after >= head_) return 0;
  if (const RecentRecord* record = recent(after)) return bytes_ - record->bytes_upto;
  if (marks_.empty()) return 0;
  const ByteMarks::Mark end{recent_.front().lsn, recent_.front().bytes_upto};
  if (const std::optional<std::uint64_t> upto = marks_.upto(after, end)) return bytes_ - *upto;
  // From before the opening: those records count as the mean of the later ones.
  const ByteMarks::Mark& oldest = marks_.front();
  const std::uint64_t known = bytes_ - oldest.upto;
  const std::uint64_t mean = known / std::max<std::uint64_t>((head_ - oldest.lsn).value(), 1);
  return known + mean * (oldest.lsn - after).value();
}

}  // namespace seawall
