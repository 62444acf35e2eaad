#include "engine/generation.h"

namespace seawall {
namespace {

LogWay always_reserved(const Plan&, const Acquaintance&) { return LogWay::reserved; }

Plan by_lineage(const PrimaryFacts& primary, const ReplicaFacts& replica, const Acquaintance&) {
  return recovery_plan(primary, replica);
}

}  // namespace

const Generation generation_v2{
    .name = "v2",
    .can_attempt_catchup = always_reserved,
    .catchup_convergence = SpaceRule::by_need,
    .recoverability = {by_lineage, true, false},
    .restart_rejoin = {.waits_for_assignment = false, .keeps_marker = true},
    .promotion = {decide_promotion, true, true, true},
};

}  // namespace seawall
