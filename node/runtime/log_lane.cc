#include "node/runtime/log_lane.h"

#include <array>

#include "engine/base/limits.h"
#include "node/runtime/lost_record.h"

namespace seawall::runtime {

LogLane::LogLane(BufferPool& pool, wal::Store& store)
    : pool_(pool), store_(store), taken_(64, records_max), held_(16, records_max) {}

LogLane::~LogLane() { forget_beyond(Lsn{}); }

namespace {

// The payload of a lost record: bytes that fit none of its CRCs, except where they are zeroes, and
// those are right. Its blocks cannot be read until they are written again.
std::span<const std::byte> nothing(std::size_t bytes) {
  alignas(limits::block_bytes) static const std::array<std::byte, limits::record_bytes_max> zero{};
  return std::span(zero).first(bytes);
}

}  // namespace

bool LogLane::offer(const RecordHeader& header, Slot slot) {
  std::span<const std::byte> payload;
  std::span<const std::uint32_t> crcs;
  CHECK(has_payload(header) == (slot != no_slot));
  if (slot == no_slot) return store_.append(header, payload, crcs);
  const bool lost = (header.flags & record_flag_lost) != 0;
  payload = lost ? nothing(payload_bytes(header).value()) : pool_.bytes(slot);
  crcs = lost ? crcs_of_lost(header, pool_, slot) : pool_.crcs(slot);
  return store_.append(header, payload, crcs);
}

void LogLane::drop(Slot slot) {
  if (slot != no_slot) pool_.unref(slot);
}

void LogLane::append(const RecordHeader& header, Slot slot) {
  if (slot != no_slot) pool_.ref(slot);
  if (held_.empty() && offer(header, slot)) {
    taken_.push_back({header.lsn, slot});
  } else {
    held_.push_back({header, slot});
  }
}

void LogLane::flush() {
  if (!held_.empty()) flush_after_ = held_.back().header.lsn;
  store_.flush();
}

void LogLane::retry() {
  bool released = false;
  while (!held_.empty()) {
    const Held& next = held_.front();
    if (!offer(next.header, next.slot)) break;
    taken_.push_back({next.header.lsn, next.slot});
    held_.pop_front();
    released = true;
  }
  // A flush that was asked for covers what got in: only what is durable can be folded and make room
  // for the rest.
  if (!released || !flush_after_.has_value()) return;
  if (taken_.back().lsn >= *flush_after_) flush_after_.reset();
  store_.flush();
}

void LogLane::on_written(Lsn upto) {
  while (!taken_.empty() && taken_.front().lsn <= upto) drop(taken_.pop_front().slot);
}

void LogLane::forget_held_beyond(Lsn keep) {
  while (!held_.empty() && held_.back().header.lsn > keep) drop(held_.pop_back().slot);
  if (held_.empty()) flush_after_.reset();
}

void LogLane::forget_beyond(Lsn keep) {
  forget_held_beyond(keep);
  while (!taken_.empty() && taken_.back().lsn > keep) drop(taken_.pop_back().slot);
}

}  // namespace seawall::runtime
