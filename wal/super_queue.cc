// Changes of the super block: each caller changes super_next_ and remembers a round; rounds are
// written one after the other, and everything that waits at the start of one shares it.
#include "engine/base/check.h"
#include "wal/store_impl.h"

namespace seawall::wal {

void StoreImpl::write_super(const SuperUpdate& update, std::uint64_t token) {
  DiskSuper& super = super_next_;
  if (update.promised) {
    CHECK_MSG(update.promised->value() >= super.promised, "a promise only rises");
    super.promised = update.promised->value();
  }
  if (update.seen_epoch) super.seen_epoch = update.seen_epoch->value();
  if (update.seen_revision) super.seen_revision = update.seen_revision->value();
  if (update.clear_floor) set_flag(super, super_flag_floor, false);
  if (update.floor) {
    const Floor old{Term(super.floor_term), Lsn(super.floor_lsn)};
    if (!has_flag(super, super_flag_floor) || old < *update.floor) {
      set_flag(super, super_flag_floor, true);
      super.floor_term = update.floor->term.value();
      super.floor_lsn = update.floor->lsn.value();
    }
  }
  if (update.clear_marker) {
    set_flag(super, super_flag_marker, false);
    set_flag(super, super_flag_marker_start, false);
    base_doubtful_ = false;
    set_flag(super, super_flag_base_untrusted, false);
    set_flag(super, super_flag_regressed, false);
  }
  if (update.intact) set_flag(super, super_flag_intact, *update.intact);
  tokens_.push_back(Token{token, super_change()});
}

std::uint64_t StoreImpl::super_change() {
  rounds_wanted_ = rounds_started_ + 1;
  return rounds_wanted_;
}

void StoreImpl::pump_super() {
  if (super_writer_.busy() || rounds_wanted_ <= rounds_started_ || failed_) return;
  super_next_.generation = super_.generation + 1;
  if (super_next_.durable_lsn < facts_.marks.durable.value()) {
    super_next_.durable_lsn = facts_.marks.durable.value();
    super_next_.durable_term = facts_.last_term.value();
  }
  super_next_.extents_mapped = extents_mapped_;
  super_writing_ = super_next_;
  ++rounds_started_;
  super_writer_.start(super_writing_);
}

void StoreImpl::on_super_done(void* owner, int error) {
  StoreImpl& store = *static_cast<StoreImpl*>(owner);
  if (error != 0) {
    store.fail(make_error(Errc::io_error, "a write or flush of the super block failed",
                          static_cast<std::uint64_t>(error)));
    return;
  }
  if (store.failed_) return;
  store.super_ = store.super_writing_;
  store.rounds_done_ = store.rounds_started_;
  ++store.stats_.super_writes;
  store.apply_super_facts();
  if (store.trim_round_ != 0 && store.trim_round_ <= store.rounds_done_) store.finish_trim();
  const FoldState& fold = store.fold_;
  if (fold.stage == FoldStage::commit && fold.super_round <= store.rounds_done_) {
    store.fold_committed();
  }
  while (!store.tokens_.empty() && store.tokens_.front().round <= store.rounds_done_) {
    store.sink_.on_super_written(store.tokens_.pop_front().token);
  }
}

// What the super block proves, as facts.
void StoreImpl::apply_super_facts() {
  const DiskSuper& super = super_;
  facts_.promised = Epoch(super.promised);
  facts_.seen_epoch = Epoch(super.seen_epoch);
  facts_.seen_revision = Revision(super.seen_revision);
  facts_.intact = has_flag(super, super_flag_intact);
  facts_.floor.reset();
  if (has_flag(super, super_flag_floor)) {
    facts_.floor = Floor{Term(super.floor_term), Lsn(super.floor_lsn)};
  }
  facts_.marker.reset();
  if (has_flag(super, super_flag_marker)) {
    RebuildMarker marker;
    marker.session = SessionId{Epoch(super.marker_epoch), super.marker_counter};
    marker.cut = Lsn(super.marker_cut);
    if (has_flag(super, super_flag_marker_start)) marker.start = Lsn(super.marker_start);
    facts_.marker = marker;
  }
  // While a checkpoint is open its cut stands for `applied`: the base may hold any of it. Where the
  // log has lost part of that, the base is not trusted anyway, and the log's end is the position.
  Lsn applied(super.applied_lsn);
  if (has_flag(super, super_flag_intent)) applied = std::max(applied, Lsn(super.intent_cut));
  if (has_flag(super, super_flag_base_untrusted)) applied = std::min(applied, facts_.marks.written);
  facts_.marks.applied = applied;
  // What is about to go counts as gone already.
  facts_.marks.trimmed = std::min(Lsn(super_next_.log_start_lsn - 1), applied);
  facts_.size = BlockCount(super.size_blocks);
  if (facts_.damage == Damage::base_untrusted && !has_flag(super, super_flag_base_untrusted)) {
    facts_.damage = Damage::none;
  }
}

Status StoreImpl::store_super_now() {
  CHECK(!super_writer_.busy());
  super_next_.generation = super_.generation;
  TRY(store_super(disk_, super_file_, super_next_, 0));
  super_ = super_next_;
  ++stats_.super_writes;
  apply_super_facts();
  return ok();
}

FoldedPoint StoreImpl::folded() const {
  return FoldedPoint{Lsn(super_.applied_lsn), Term(super_.applied_term), super_.applied_chain};
}

}  // namespace seawall::wal
