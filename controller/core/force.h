// `force` (protocol.md 5.5), as pure decisions: an operator names the new set when no promotion is
// allowed.
//
// The order is committed together with a pending epoch; who is named, and who is left out, is
// fenced like in any failover; the decision is engine/promotion.h's. The configuration changes in
// the commit of the assignment, which also records who, when, why and what may be lost.
#pragma once

#include <optional>
#include <vector>

#include "controller/core/plan.h"
#include "controller/core/refusal.h"
#include "controller/core/request.h"
#include "engine/promotion.h"

namespace seawall::controller {

// What the request asks for, as an order; or why not.
struct ForceJudged {
  std::optional<Refusal> refusal;
  ForceOrder order;
};
ForceJudged judge_force(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                        const ForceVolume& request, Instant now, const Options& options);
Change begin_force(const VolumeRecord& record, const ForceOrder& order);

PromotionDecision choose_forced(const VolumeRecord& record,
                                const std::vector<FenceReport>& reports);
// The assignment is made: the order becomes its record.
void settle_force(const VolumeRecord& record, const VolumeSeen& seen,
                  const PromotionDecision& decision, VolumeRecord& next);
// It cannot be done: the order goes, the pending epoch stays for the ordinary rules.
void withdraw_force(const VolumeRecord& record, const PromotionDecision& decision, Plan& plan);

}  // namespace seawall::controller
