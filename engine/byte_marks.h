// How many bytes a long log holds between two lsns, from a bounded number of marks.
//
// Purpose: records that are too old to be remembered one by one still have a size, near enough for
// rates and progress. Between two marks the bytes are taken as even. When all marks are used every
// second one goes, so that they always span the whole log since it was opened. Life cycle: with the
// log; cleared when it is opened, rewound or forgotten. Thread: the owner's; pure. Units: bytes.
// Errors: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/base/bounded_vector.h"
#include "engine/base/ids.h"

namespace seawall {

class ByteMarks {
 public:
  static constexpr std::size_t marks_max = 256;
  static constexpr std::uint64_t step_first = 128;

  struct Mark {
    Lsn lsn;
    std::uint64_t upto = 0;  // bytes of all records at or below it
  };

  void clear() {
    marks_.clear();
    step_ = step_first;
  }
  void add(Lsn lsn, std::uint64_t upto) {
    if (!marks_.empty() && (lsn - marks_.back().lsn).value() < step_) return;
    if (marks_.full()) thin_out();
    marks_.push_back({lsn, upto});
  }
  [[nodiscard]] bool empty() const { return marks_.empty(); }
  [[nodiscard]] const Mark& front() const { return marks_.front(); }
  // `end`: a later point that is known exactly. nullopt: below the first mark.
  [[nodiscard]] std::optional<std::uint64_t> upto(Lsn lsn, const Mark& end) const {
    for (std::size_t i = marks_.size(); i > 0; --i) {
      const Mark& below = marks_[i - 1];
      if (below.lsn > lsn) continue;
      if (below.lsn == lsn) return below.upto;
      const Mark& above = i == marks_.size() ? end : marks_[i];
      const std::uint64_t records = (above.lsn - below.lsn).value();
      const std::uint64_t mean = (above.upto - below.upto) / records;
      return below.upto + mean * (lsn - below.lsn).value();
    }
    return std::nullopt;
  }

 private:
  void thin_out() {
    for (std::size_t i = 1; i < marks_.size(); ++i) marks_.erase_at(i);
    step_ *= 2;
  }
  BoundedVector<Mark, marks_max> marks_;
  std::uint64_t step_ = step_first;
};

}  // namespace seawall
