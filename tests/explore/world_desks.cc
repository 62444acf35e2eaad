// Two controllers over one store: what each may do next, and what comes of it.
//
// The store holds the record, the pending epoch and the greatest epoch that was ever given. A desk
// acts on its own view: it fences, elects and tells by what it read last. It writes by
// compare-and-set on the revision; when the answer is lost it knows nothing of what has landed,
// and its next write fails until it has read.
#include <algorithm>

#include "engine/engine.h"
#include "tests/explore/world.h"

namespace seawall::explore {
namespace {

constexpr std::uint64_t sets_of_two[] = {0b0110u, 0b1010u, 0b1100u};

}  // namespace

bool World::is_current(const Desk& desk) const {
  return desk.known.revision == record_.revision && desk.pending == pending_in_store();
}

bool World::may_write(const Desk& desk) const { return options_.blind_store || is_current(desk); }

PromotionDecision World::decision_of(const Desk& desk, bool renamed) const {
  PromotionFacts facts;
  facts.config = &desk.known.config;
  facts.pending = desk.pending;
  facts.record_epoch = desk.known.epoch;
  facts.record_revision = desk.known.revision;
  facts.reports = desk.reports;
  facts.since_fence = Duration{limits::settle_time_ms};
  facts.since_enough = Duration{limits::choice_wait_ms_max};
  return decide_as(facts, renamed);
}

bool World::all_alive(std::uint64_t set) const {
  return std::ranges::all_of(nodes(), [&](const walk::ModelNode& node) {
    return ((set >> node.id.value()) & 1) == 0 || node.alive;
  });
}

bool World::all_have_reported(const Desk& desk, std::uint64_t set) const {
  return std::ranges::all_of(nodes(), [&](const walk::ModelNode& node) {
    if (((set >> node.id.value()) & 1) == 0) return true;
    return std::ranges::any_of(desk.reports, [&](const FenceReport& report) {
      return report.facts.replica == node.id;
    });
  });
}

void World::desk_steps(std::vector<Step>& out) const {
  for (std::size_t index = 0; index < desks_max; ++index) {
    const Desk& desk = own_.desks[index];
    const std::uint64_t who = index * 16;
    if (!is_current(desk)) out.push_back(encode(Kind::reread, who));
    for (const walk::ModelNode& node : nodes()) {
      const std::uint64_t id = node.id.value();
      if (node.alive && own_.told[id] != desk.known.revision.value()) {
        out.push_back(encode(Kind::tell, who + id));
      }
    }
    const bool lossy = own_.budget.faults > 0;
    if (own_.budget.elections > 0 && may_write(desk)) {
      for (const std::uint64_t set : sets_of_two) {
        if (all_alive(set)) out.push_back(encode(Kind::claim, who + set));
      }
      if (lossy) out.push_back(encode(Kind::claim_lost, who));
    }
    if (desk.pending == Epoch{0}) continue;
    for (const std::uint64_t set : sets_of_two) {
      if (all_alive(set) && !all_have_reported(desk, set)) {
        out.push_back(encode(Kind::ask, who + set));
      }
    }
    const PromotionDecision decision = decision_of(desk, false);
    if (!may_write(desk) || decision.kind != PromotionKind::promote) continue;
    const bool tied = decision_of(desk, true).winner != decision.winner;
    for (std::uint64_t renamed = 0; renamed <= (tied ? 1u : 0u); ++renamed) {
      out.push_back(encode(Kind::commit, who + renamed));
      if (lossy) out.push_back(encode(Kind::commit_lost, who + renamed));
    }
  }
}

// A pending epoch, if nothing has changed since the desk read. False: the store refused, or the
// desk does not know.
bool World::claim(Desk& desk, bool answered) {
  --own_.budget.elections;
  const Epoch taken{options_.blind_store ? std::max(desk.known.epoch, desk.pending).value() + 1
                                         : own_.epoch + 1};
  own_.epoch = std::max(own_.epoch, taken.value());
  own_.pending = true;
  record_.revision = Revision{record_.revision.value() + 1};
  if (!answered) return false;
  desk.known = record_;
  desk.pending = taken;
  desk.reports.clear();
  return true;
}

// Fences reach this set, and leases run out meanwhile; its reports go to the desk that asked last.
void World::ask_for_reports(std::size_t index, std::uint64_t set) {
  const Desk& desk = own_.desks[index];
  for (std::uint64_t id = 1; id <= nodes_max; ++id) {
    if (((set >> id) & 1) == 0) continue;
    own_.asker[id] = static_cast<std::uint8_t>(index + 1);
    feed(walk::Cluster::node(id), event::Fence{FenceRequest{record_.volume, ReplicaId{id},
                                                            desk.pending, desk.known.revision}});
  }
  settle();
  let_pass(limits::lease_ms + 1);
}

// Reports go to whoever asked; what is of another epoch than it waits for is void.
void World::sort_reports() {
  for (const FenceReport& report : reports()) {
    const std::uint8_t asker = own_.asker.at(report.facts.replica.value());
    if (asker == 0) continue;
    Desk& desk = own_.desks.at(asker - 1u);
    if (report.epoch != desk.pending) continue;
    std::erase_if(desk.reports, [&](const FenceReport& old) {
      return old.facts.replica == report.facts.replica;
    });
    const auto at = std::ranges::upper_bound(
        desk.reports, report.facts.replica, {},
        [](const FenceReport& each) { return each.facts.replica; });
    desk.reports.insert(at, report);
  }
  reports().clear();
}

void World::commit(Desk& desk, bool answered, bool renamed) {
  const PromotionDecision decision = decision_of(desk, renamed);
  Assignment next = desk.known;
  next.epoch = desk.pending;
  next.revision = Revision{record_.revision.value() + 1};
  next.primary = decision.winner;
  next.config = decision.config;
  next.winner_start = decision.winner_start;
  next.winner_position = decision.winner_position;
  next.after_power_loss = decision.after_power_loss;
  record() = next;
  own_.pending = false;
  proposals().clear();
  if (answered) reread(desk);
}

void World::reread(Desk& desk) const {
  desk.known = record_;
  if (desk.pending != pending_in_store()) desk.reports.clear();
  desk.pending = pending_in_store();
}

void World::take_at_desk(Kind kind, std::uint64_t argument) {
  const std::size_t index = argument / 16;
  const std::uint64_t rest = argument % 16;
  Desk& desk = own_.desks.at(index);
  if (kind == Kind::claim_lost || kind == Kind::commit_lost) --own_.budget.faults;
  switch (kind) {
    case Kind::claim:
      if (claim(desk, true)) ask_for_reports(index, rest);
      break;
    case Kind::claim_lost: claim(desk, false); break;
    case Kind::ask: ask_for_reports(index, rest); break;
    case Kind::commit:
    case Kind::commit_lost: commit(desk, kind == Kind::commit, rest == 1); break;
    case Kind::reread: reread(desk); break;
    case Kind::tell:
      own_.told[rest] = std::max(own_.told[rest], desk.known.revision.value());
      assign(desk.known, {rest});
      break;
    default: UNREACHABLE("no step of a desk");
  }
}

}  // namespace seawall::explore
