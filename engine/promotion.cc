#include "engine/promotion.h"

#include <algorithm>

#include "engine/base/limits.h"
#include "engine/base/mutant.h"
#include "engine/quorum.h"

namespace seawall {
namespace {

using Reports = BoundedVector<const ReplicaFacts*, limits::members_max>;

// The newest report of each member that stands on a promise of this pending epoch.
Reports valid_reports(const PromotionFacts& facts) {
  Reports valid;
  for (const ReplicaId member : facts.config->members) {
    const ReplicaFacts* newest = nullptr;
    for (const FenceReport& report : facts.reports) {
      const bool promised = MUTANT(M27) || report.epoch == facts.pending;
      if (promised && report.facts.replica == member) newest = &report.facts;
    }
    if (newest != nullptr) valid.push_back(newest);
  }
  return valid;
}

bool holds_everything(const ReplicaFacts& facts) {  // it never gave anything up
  if (MUTANT(M29)) return true;
  if (facts.marker || facts.damage == Damage::base_untrusted) return false;
  return !facts.floor || position_of(facts) >= *facts.floor;
}

bool is_intact(const PromotionFacts& facts, const ReplicaFacts& replica) {
  if (MUTANT(M30)) return true;
  return replica.intact || facts.config->write_cache == WriteCache::none;
}

bool may_lead(const PromotionFacts& facts, ReplicaId replica) {
  return facts.config->policy == Policy::quorum || facts.config->in_sync.contains(replica);
}

bool better(const ReplicaFacts& a, const ReplicaFacts& b) {
  if (MUTANT(M28) && a.marks.written != b.marks.written) return a.marks.written > b.marks.written;
  if (position_of(a) != position_of(b)) return position_of(a) > position_of(b);
  if (a.marks.durable != b.marks.durable) return a.marks.durable > b.marks.durable;
  return a.replica < b.replica;
}

struct Tally {
  const ReplicaFacts* winner = nullptr;
  std::size_t counted = 0;
  bool with_power_loss = false;  // a report that is not intact was used
};

// `forgiving`: replicas after a power loss are candidates and reports as well.
Tally tally(const PromotionFacts& facts, const Reports& reports, bool forgiving) {
  Tally result;
  for (const ReplicaFacts* report : reports) {
    if (!holds_everything(*report) || !may_lead(facts, report->replica)) continue;
    if (!forgiving && !is_intact(facts, *report)) continue;
    if (result.winner == nullptr || better(*report, *result.winner)) result.winner = report;
  }
  if (result.winner == nullptr) return result;
  const Position best = position_of(*result.winner);
  for (const ReplicaFacts* report : reports) {
    const bool intact = is_intact(facts, *report);
    if (!intact && !forgiving) continue;
    // One that gave records up still votes for a winner that holds all it ever held.
    const bool covered = best >= position_of(*report) && (!report->floor || best >= *report->floor);
    if (!holds_everything(*report) && !covered) continue;
    ++result.counted;
    if (!intact) result.with_power_loss = true;
  }
  return result;
}

std::size_t needed_reports(const Configuration& config) {
  if (MUTANT(M26)) return 1;
  return config.policy == Policy::quorum ? read_quorum(config.members.size()) : 1;
}

// Under in-sync the new set is what qualified, unless that were too few.
Configuration next_config(const PromotionFacts& facts, const Reports& reports, bool forgiving) {
  Configuration next = *facts.config;
  if (next.policy != Policy::in_sync) return next;
  ReplicaSet qualified;
  for (const ReplicaFacts* report : reports) {  // in the order of the members: sorted
    if (!next.in_sync.contains(report->replica) || !holds_everything(*report)) continue;
    if (!forgiving && !is_intact(facts, *report)) continue;
    qualified.push_back(report->replica);
  }
  if (qualified.size() >= next.min_in_sync && !qualified.empty()) next.in_sync = qualified;
  return next;
}

PromotionDecision promote(const PromotionFacts& facts, const Reports& reports, const Tally& won,
                          bool forgiving) {
  PromotionDecision decision;
  decision.kind = PromotionKind::promote;
  decision.winner = won.winner->replica;
  decision.winner_position = position_of(*won.winner);
  decision.winner_start = won.winner->process_start;
  decision.after_power_loss = won.with_power_loss;
  decision.config = next_config(facts, reports, forgiving);
  decision.reason = won.with_power_loss ? "after a power loss" : "enough promises";
  return decision;
}

PromotionDecision undecided(PromotionKind kind, const char* reason) {
  PromotionDecision decision;
  decision.kind = kind;
  decision.reason = reason;
  return decision;
}

bool is_record_old(const PromotionFacts& facts, const Reports& reports) {
  for (const ReplicaFacts* report : reports) {
    if (report->seen_epoch > facts.record_epoch || report->seen_revision > facts.record_revision) {
      return true;
    }
  }
  return false;
}

// With one candidate: a report counts only if the candidate holds all that the reporter holds or
// gave up. Fewer than in a free choice, never more.
Tally tally_for(const PromotionFacts& facts, const Reports& reports, ReplicaId candidate) {
  Tally result;
  for (const ReplicaFacts* report : reports) {
    const bool leads = report->replica == candidate && holds_everything(*report) &&
                       may_lead(facts, candidate) && is_intact(facts, *report);
    if (leads) result.winner = report;
  }
  if (result.winner == nullptr) return result;
  const Position best = position_of(*result.winner);
  for (const ReplicaFacts* report : reports) {
    const bool covered = best >= position_of(*report) && (!report->floor || best >= *report->floor);
    if (covered && is_intact(facts, *report)) ++result.counted;
  }
  return result;
}

// The target, else the incumbent; never anybody after a power loss: that is a plain failover's.
PromotionDecision decide_move(const PromotionFacts& facts, const Reports& reports) {
  const std::size_t needed = needed_reports(*facts.config);
  const bool all_reported = reports.size() == facts.config->members.size();
  const bool waited = all_reported || facts.since_enough >= Duration{limits::choice_wait_ms_max};
  const Tally target = tally_for(facts, reports, *facts.target);
  if (target.winner != nullptr && target.counted >= needed) {
    // Under in-sync who has not reported leaves the set.
    if (waited || facts.config->policy == Policy::quorum) {
      return promote(facts, reports, target, false);
    }
    return undecided(PromotionKind::wait_for_more, "the target could lead, the others may follow");
  }
  const Tally incumbent = tally_for(facts, reports, facts.incumbent);
  if (incumbent.winner != nullptr && incumbent.counted >= needed) {
    if (waited) return promote(facts, reports, incumbent, false);
    return undecided(PromotionKind::wait_for_more, "the target of the move has not reported");
  }
  if (all_reported || facts.since_fence >= Duration{limits::drain_ms_max}) {
    return undecided(PromotionKind::move_failed, "neither side of the move can lead");
  }
  return undecided(PromotionKind::wait, "too few promises");
}

}  // namespace

PromotionDecision decide_promotion(const PromotionFacts& facts) {
  const Reports reports = valid_reports(facts);
  if (is_record_old(facts, reports)) {
    return undecided(PromotionKind::record_too_old, "a replica has seen a newer record");
  }
  if (facts.target) return decide_move(facts, reports);
  const std::size_t needed = needed_reports(*facts.config);
  const bool all_reported = reports.size() == facts.config->members.size();
  const Tally strict = tally(facts, reports, false);
  if (strict.winner != nullptr && strict.counted >= needed) {
    if (all_reported || facts.since_enough >= Duration{limits::choice_wait_ms_max}) {
      return promote(facts, reports, strict, false);
    }
    return undecided(PromotionKind::wait_for_more, "enough promises, waiting for better ones");
  }
  const Tally forgiving = tally(facts, reports, true);
  const bool would_do = forgiving.winner != nullptr && forgiving.counted >= needed;
  const bool settled = facts.since_fence >= Duration{limits::settle_time_ms};
  if (would_do && (settled || all_reported)) return promote(facts, reports, forgiving, true);
  if (would_do) {
    return undecided(PromotionKind::wait_for_settle, "only replicas after a power loss");
  }
  if (all_reported) return undecided(PromotionKind::impossible, "no replica may win");
  return undecided(PromotionKind::wait, "too few promises");
}

Configuration forced_config(const Configuration& config, const ReplicaSet& named) {
  Configuration next = config;
  next.members = named;
  next.in_sync = config.policy == Policy::in_sync ? named : ReplicaSet{};
  next.min_in_sync = std::min(config.min_in_sync,
                              static_cast<std::uint8_t>(std::max<std::size_t>(1, named.size())));
  return next;
}

PromotionDecision decide_force(const ForceFacts& facts) {
  PromotionFacts all;
  all.config = facts.config;
  all.pending = facts.pending;
  all.record_epoch = facts.record_epoch;
  all.record_revision = facts.record_revision;
  all.reports = facts.reports;
  const Reports reports = valid_reports(all);
  if (is_record_old(all, reports)) {
    return undecided(PromotionKind::record_too_old, "a replica has seen a newer record");
  }
  std::size_t named = 0;
  const ReplicaFacts* winner = nullptr;
  bool with_power_loss = false;
  for (const ReplicaFacts* report : reports) {
    if (!facts.named.contains(report->replica)) continue;
    ++named;
    with_power_loss = with_power_loss || !is_intact(all, *report);
    // Its blocks are of two times; nothing says yet which of them are unreadable.
    if (report->marker || report->damage == Damage::base_untrusted) continue;
    if (winner == nullptr || better(*report, *winner)) winner = report;
  }
  if (named < facts.named.size()) {
    return undecided(PromotionKind::wait, "a named replica has not promised yet");
  }
  const bool others_promised = reports.size() == facts.config->members.size();
  if (!others_promised && !facts.old_primary_stopped) {
    return undecided(PromotionKind::wait,
                     "a replica that is left out has not promised, and nobody has said that the "
                     "old primary is stopped");
  }
  if (winner == nullptr) {
    return undecided(PromotionKind::impossible,
                     "every named replica is in the middle of a rebuild");
  }
  PromotionDecision decision;
  decision.kind = PromotionKind::promote;
  decision.winner = winner->replica;
  decision.winner_position = position_of(*winner);
  decision.winner_start = winner->process_start;
  decision.after_power_loss = with_power_loss;
  decision.config = forced_config(*facts.config, facts.named);
  decision.reason = "by force";
  return decision;
}

}  // namespace seawall
