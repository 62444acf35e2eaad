#include "engine/plan_journal.h"

#include "engine/primary.h"

namespace seawall {

const char* plan_stage_name(PlanStage stage) {
  switch (stage) {
    case PlanStage::planned: return "planned";
    case PlanStage::step: return "step";
    case PlanStage::complete: return "complete";
    case PlanStage::ended: return "ended";
  }
  return "?";
}

// --- what the primary writes into it ---

void Primary::journal_plan(Peer& peer, const Plan& plan, const ReplicaFacts& facts) {
  peer.plan = plan.kind;
  PlanLine line;
  line.at = context_.now;
  line.replica = peer.id;
  line.session = session_id(peer);
  line.kind = plan.kind;
  line.reason = plan.reason;
  line.common = plan.common;
  line.replica_marks = facts.marks;
  line.head = context_.log.head();
  line.trimmed = context_.facts.marks.trimmed;
  journal_.add(line);
}

void Primary::journal(const Peer& peer, PlanStage stage, SessionEnd end) {
  if (!peer.plan) return;  // the session had not come to a plan
  PlanLine line;
  line.at = context_.now;
  line.replica = peer.id;
  line.session = session_id(peer);
  line.stage = stage;
  line.kind = *peer.plan;
  line.state = peer.state;
  line.end = end;
  journal_.add(line);
}

}  // namespace seawall
