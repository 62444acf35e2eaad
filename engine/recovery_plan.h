// How does a replica become part of this epoch? Facts in, plan out: protocol.md section 6.2, one
// pure function, the same whatever order the facts arrived in. The caller takes the log reservation
// in the same step. Thread: any. Errors: none; `refuse` is a plan.
#pragma once

#include <cstdint>

#include "engine/base/facts.h"
#include "engine/lineage.h"

namespace seawall {

enum class PlanKind : std::uint8_t { refuse, attach, catch_up, rewind, delta, full };

struct Plan {
  PlanKind kind = PlanKind::refuse;
  Lsn common;                // attach, catch_up: the replica's end; rewind: where to
  bool alarm = false;        // facts that cannot be: somebody has to look
  const char* reason = "";   // static text
  Lsn since;                 // delta: neither base changed before it in another history
};

struct PrimaryFacts {
  Incarnation incarnation;
  Epoch epoch;
  LogView log;   // to the head, appended records included
  Lsn trimmed;
  Lsn stable;    // as far as it is known here; v2 asks for more than that
};

Plan recovery_plan(const PrimaryFacts& primary, const ReplicaFacts& replica);

const char* plan_name(PlanKind kind);

}  // namespace seawall
