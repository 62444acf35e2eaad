#include "engine/recovery_plan.h"

#include "engine/base/mutant.h"

namespace seawall {
namespace {

Plan full(const char* reason, bool alarm = false) {
  return Plan{PlanKind::full, Lsn{}, alarm, reason};
}

// The replica's whole log is common: it only lacks what comes after it.
Plan plan_for_prefix(const PrimaryFacts& primary, Lsn common) {
  if (common == primary.log.end) return Plan{PlanKind::attach, common, false, "at the head"};
  if (common >= primary.trimmed || (MUTANT(M36) && common.next() >= primary.trimmed)) {
    return Plan{PlanKind::catch_up, common, false, "the log holds what it lacks"};
  }
  return Plan{PlanKind::delta, common, false, "the log no longer holds what it lacks"};
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
    if (!replica.marker->start) return full("marker without its start");
    return Plan{PlanKind::delta, *replica.marker->start, false, "a rebuild was interrupted"};
  }

  const Lsn end = replica.marks.written;
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
  if (common == end) return plan_for_prefix(primary, common);
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
