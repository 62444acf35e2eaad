#include "engine/recovery_plan.h"

#include "engine/base/mutant.h"

namespace seawall {
namespace {

Plan full(const char* reason, bool alarm = false) {
  return Plan{PlanKind::full, Lsn{}, alarm, reason};
}

Plan delta(Lsn common, Lsn since, const char* reason) {
  return Plan{PlanKind::delta, common, false, reason, since};
}

// The replica's whole log is common: it only lacks what comes after it.
Plan plan_for_prefix(const PrimaryFacts& primary, Lsn common, Lsn applied) {
  if (common == primary.log.end) return Plan{PlanKind::attach, common, false, "at the head"};
  if (common >= primary.trimmed || (MUTANT(M36) && common.next() >= primary.trimmed)) {
    return Plan{PlanKind::catch_up, common, false, "the log holds what it lacks"};
  }
  return delta(common, applied, "the log no longer holds what it lacks");
}

// What its base held when the first rebuild began must be of this history: then the extents that
// changed since, on either side, are all that can differ.
Plan plan_for_marker(const ReplicaFacts& replica, const CommonPoint& point) {
  if (!replica.marker->start) return full("marker without its start");
  const Lsn start = *replica.marker->start;
  if (point.two_histories) return full("equal terms, different chains", true);
  if (!point.lsn || *point.lsn < start) return full("a rebuild of another history was interrupted");
  return delta(*point.lsn, start, "a rebuild was interrupted");
}

}  // namespace

Plan recovery_plan(const PrimaryFacts& primary, const ReplicaFacts& replica) {
  if (replica.incarnation != primary.incarnation) {
    return Plan{PlanKind::refuse, Lsn{}, true, "another incarnation"};
  }
  if (replica.promised > primary.epoch) {
    return Plan{PlanKind::refuse, Lsn{}, false, "promised to a higher epoch"};
  }
  if (replica.damage == Damage::base_untrusted) return full("base not to be trusted");
  if (replica.marker) {
    return plan_for_marker(
        replica, common_point(primary.log, LogView{&replica.terms, replica.marks.written,
                                                   replica.chain}));
  }

  const Lsn end = replica.marks.written;
  if (MUTANT(M31) && end > primary.stable && primary.stable >= replica.marks.applied) {
    return Plan{PlanKind::rewind, primary.stable, false, "beyond the commit index"};
  }
  if (MUTANT(M32) && end == primary.log.end) {
    return Plan{PlanKind::attach, end, false, "equal lsn"};
  }
  if (MUTANT(M33) && end > primary.log.end) {
    return Plan{PlanKind::attach, primary.log.end, false, "ahead"};
  }
  if (replica.last_term > primary.epoch) return full("a term that was never given out", true);
  const CommonPoint point =
      common_point(primary.log, LogView{&replica.terms, end, replica.chain});
  if (point.two_histories) return full("equal terms, different chains", true);
  if (!point.lsn) return full("position unknown");
  const Lsn common = *point.lsn;
  // A broken chain: its verified prefix is cut off first, durably, then it is a log like any other.
  if (common == end && replica.damage == Damage::regressed) {
    return Plan{PlanKind::rewind, common, false, "its log is shorter than it was"};
  }
  if (common == end) return plan_for_prefix(primary, common, replica.marks.applied);
  if (replica.last_term == primary.epoch) return full("ahead of its own primary", true);
  if (common >= replica.marks.applied) {
    return Plan{PlanKind::rewind, common, false, "a tail of another history"};
  }
  if (MUTANT(M34)) return Plan{PlanKind::rewind, common, false, "a tail of another history"};
  return full("its base holds records of another history");
}

const char* plan_name(PlanKind kind) {
  switch (kind) {
    case PlanKind::refuse: return "refuse";
    case PlanKind::attach: return "attach";
    case PlanKind::catch_up: return "catch_up";
    case PlanKind::rewind: return "rewind";
    case PlanKind::delta: return "delta";
    case PlanKind::full: return "full";
  }
  return "?";
}

}  // namespace seawall
