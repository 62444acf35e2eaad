#include "engine/context.h"

#include <algorithm>

#include "engine/base/mutant.h"

namespace seawall {

void Context::write_super(command::WriteSuper update, PendingSuper pending) {
  update.token = pending.token = next_token++;
  supers.push_back(pending);
  emit(update);
}

void Context::promise(Epoch epoch) {
  if (epoch <= promised) return;
  promised = epoch;
  if (MUTANT(M15)) {
    facts.promised = epoch;
    return;
  }
  command::WriteSuper update;
  update.promise = epoch;
  PendingSuper pending;
  pending.kind = SuperKind::promise;
  pending.promise = epoch;
  write_super(update, pending);
  if (MUTANT(M16)) facts.promised = epoch;
}

void Context::remember_seen(Epoch epoch, Revision revision) {
  if (epoch <= facts.seen_epoch && revision <= facts.seen_revision) return;
  facts.seen_epoch = std::max(facts.seen_epoch, epoch);
  facts.seen_revision = std::max(facts.seen_revision, revision);
  command::WriteSuper update;
  update.seen_epoch = facts.seen_epoch;
  update.seen_revision = facts.seen_revision;
  PendingSuper pending;
  pending.kind = SuperKind::seen;
  write_super(update, pending);
}

void Context::set_intact() {
  if (facts.intact || writing_super(SuperKind::intact)) return;
  command::WriteSuper update;
  update.intact = true;
  PendingSuper pending;
  pending.kind = SuperKind::intact;
  write_super(update, pending);
}

bool Context::floor_reached(Lsn durable) const {
  if (!facts.floor) return true;
  const std::optional<Position> at = position_at(facts.terms, durable);
  if (MUTANT(M114)) return durable >= facts.floor->lsn;
  return at && *at >= *facts.floor;
}

void Context::maybe_clear_floor() {
  if (!facts.floor || facts.marker || !floor_reached(facts.marks.durable)) return;
  if (writing_super(SuperKind::clear_floor)) return;
  command::WriteSuper update;
  update.clear_floor = true;
  PendingSuper pending;
  pending.kind = SuperKind::clear_floor;
  pending.clears_floor = true;
  write_super(update, pending);
}

bool Context::writing_super(SuperKind kind) const {
  for (const PendingSuper& pending : supers) {
    if (pending.kind == kind) return true;
  }
  return false;
}

void Context::set_fold_limit(Lsn upto) {
  upto = std::min(upto, facts.marks.durable);
  if (upto <= fold_limit) return;
  fold_limit = upto;
  emit(command::SetFoldLimit{upto});
}

}  // namespace seawall
