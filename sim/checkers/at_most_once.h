// At most once: no history holds two records of one request (contract 8, traps 55 and 70).
//
// Purpose: clients rarely see a repetition, for their own resends come in the old order; so this
// looks at the logs. Every record that any Core appends is remembered with the chain before and
// after it, so all histories of a volume are one tree. A second record of a request is a violation
// iff the first one is among its ancestors: not where the first was on a branch that a rewind cut
// off.
// Life cycle: one run. Thread: the run's. Ownership: its own; bounded by the records of a run.
// Errors: safety failures of the Verdict.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/base/record.h"
#include "sim/verdict.h"

namespace seawall::sim {

class AtMostOnce {
 public:
  explicit AtMostOnce(Verdict& verdict) : verdict_(verdict) {}

  // `before`: the chain at header.lsn - 1.
  void appended(VolumeId volume, const RecordHeader& header, std::uint64_t before);
  [[nodiscard]] std::uint64_t repetitions_judged() const { return judged_; }

 private:
  using Point = std::pair<Lsn, std::uint64_t>;  // an lsn and the chain there
  using Request = std::tuple<VolumeId, AttachmentId, RequestNumber>;

  [[nodiscard]] bool is_ancestor(VolumeId volume, const Point& older, Point at) const;

  Verdict& verdict_;
  std::map<std::pair<VolumeId, Point>, std::uint64_t> before_;  // the chain before each record
  std::map<Request, std::vector<Point>> records_;
  std::uint64_t judged_ = 0;
};

}  // namespace seawall::sim
