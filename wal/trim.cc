// Trim: which folded segments leave the log, and when.
//
// Folded records stay as long as there is room: a replica that was away for a while gets what it
// missed from them instead of a copy of the volume. So they fill nothing: the fill of the log is
// what is not folded, or pinned. A segment goes when the log holds more than its share of them, or
// the records in it name more of the base than theirs, some at a time, because each time costs a
// change of the super block. Whoever pins is told first, the super block says it next, and only
// then the segment is free.
#include <algorithm>

#include "engine/base/mutant.h"
#include "wal/store_impl.h"

namespace seawall::wal {

// Segments at the front whose records are all folded, and below every pin.
std::size_t StoreImpl::spare_segments(Lsn applied) const {
  Lsn limit = applied.next();
  for (const auto& pin : pins_) {
    if (!MUTANT(M57)) limit = std::min(limit, pin.value);
  }
  if (MUTANT(M56)) limit = limit.next();
  const std::vector<std::uint32_t>& order = log_.order();
  std::size_t count = 0;
  while (count + 1 < order.size() && log_.slot(order[count + 1]).header.first_lsn <= limit) {
    ++count;
  }
  return count;
}

// The first record of the log without its first `trimmed` segments; there are more than that.
Lsn StoreImpl::kept_from(std::size_t trimmed) const {
  return log_.slot(log_.order()[trimmed]).header.first_lsn;
}

// At a commit, which changes the super block anyway, whatever is above the share goes; in between
// only when it is above by an eighth.
std::uint32_t StoreImpl::segments_to_trim(Lsn applied, TrimWhen when) const {
  const std::size_t retained = log_.order().size();
  const std::size_t share = layout_.segment_count * options_.keep_log_percent / 100;
  const std::uint32_t names_share = named_.capacity() * options_.keep_log_percent / 100;
  const bool lazy = when == TrimWhen::crowded;
  const std::size_t slack = lazy ? layout_.segment_count / 8 : 0;
  const std::uint32_t names_slack = lazy ? named_.capacity() / 8 : 0;
  if (retained <= share + slack && named_.size() <= names_share + names_slack) return 0;
  const std::size_t spare = spare_segments(applied);
  std::uint32_t count = 0;
  const auto names_kept = [&] { return named_.beyond(Lsn(kept_from(count).value() - 1)); };
  while (count < spare && (retained - count > share || names_kept() > names_share)) ++count;
  return count;
}

// Into the next super block; false: nothing goes.
bool StoreImpl::plan_trim(Lsn applied, TrimWhen when) {
  trim_count_ = segments_to_trim(applied, when);
  if (trim_count_ == 0) return false;
  const SegmentHeader& first = log_.slot(log_.order()[trim_count_]).header;
  super_next_.log_start_lsn = first.first_lsn.value();
  super_next_.log_start_chain = first.chain_before;
  super_next_.log_start_number = first.id.number;
  super_next_.log_start_version = first.id.version;
  trim_round_ = super_change();
  facts_.marks.trimmed = Lsn(first.first_lsn.value() - 1);
  return true;
}

void StoreImpl::tell_trim() {
  if (MUTANT(M58)) finish_trim();  // space is reused before the super block says so
  sink_.on_trim(facts_.marks.applied, facts_.marks.trimmed);
}

bool StoreImpl::trim_is_due() const {
  return !failed_ && !quiescing_ && trim_round_ == 0 &&
         segments_to_trim(Lsn(super_.applied_lsn), TrimWhen::crowded) > 0;
}

// The writer comes near the end of what is free, or a pin has moved.
void StoreImpl::maybe_trim() {
  if (failed_ || quiescing_ || trim_round_ != 0) return;
  if (plan_trim(Lsn(super_.applied_lsn), TrimWhen::crowded)) tell_trim();
}

void StoreImpl::finish_trim() {
  trim_round_ = 0;
  for (; trim_count_ > 0; --trim_count_) log_.release_first();
  log_.drop_batches_before(Lsn(super_.log_start_lsn));
  release_later(false);
  say_log_space();
}

// --- fill ---

// What is not folded, or pinned, of what ordinary records may use: all segments but the reserved
// ones.
std::uint8_t StoreImpl::fill_percent() const {
  const std::size_t spare = spare_segments(Lsn(super_.applied_lsn));
  const std::size_t usable = layout_.segment_count - limits::segments_reserved;
  const std::size_t used = std::min(layout_.segment_count - log_.free_count() - spare, usable);
  return std::max(static_cast<std::uint8_t>(used * 100 / usable), named_percent(spare));
}

// What large writes hold counts as log, too, but never fills it: further ones go to the log.
std::uint8_t StoreImpl::named_percent(std::size_t spare) const {
  if (log_.order().empty()) return 0;
  const std::uint64_t held = named_.beyond(Lsn(kept_from(spare).value() - 1));
  return static_cast<std::uint8_t>(held * limits::writers_slow_percent / named_.capacity());
}

}  // namespace seawall::wal
