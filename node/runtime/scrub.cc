#include "node/runtime/scrub.h"

#include <algorithm>
#include <utility>

namespace seawall::runtime {
namespace {

constexpr std::uint64_t blocks_a_read = 16;
constexpr std::uint32_t failures_max = 64;
constexpr Duration again_soon{100};  // no memory, or a round that was asked for found something

}  // namespace

void Scrub::ask() {
  asked_ = true;
  clean_since_asked_ = false;
  at_ = singly_ = 0;
  round_is_clean_ = true;
  drop_ = reading_;  // what is being read was begun before
  next_at_ = Instant{0};
}

void Scrub::begin() {
  const ReplicaFacts& facts = store_.facts();
  const std::uint64_t left = facts.size.value() - at_;
  const std::uint64_t blocks = singly_ > 0 ? 1 : std::min(blocks_a_read, left);
  slot_ = SlotRef(shard_.pool, shard_.pool.take(blocks * limits::block_bytes));
  if (!slot_) return;
  op_ = wal::ReadOp{};
  op_.lba = Lba{at_};
  op_.blocks = BlockCount{blocks};
  op_.into = shard_.pool.bytes(slot_.slot());
  op_.crcs = shard_.pool.crcs(slot_.slot());
  op_.owner = this;
  op_.done = [](wal::ReadOp& op) { static_cast<Scrub*>(op.owner)->done_ = true; };
  reading_ = true;
  store_.read(op_);
}

void Scrub::turn(Instant now) {
  if (!next_at_.has_value()) next_at_ = now + options_.first;
  if (reading_ || now < *next_at_) return;
  const ReplicaFacts& facts = store_.facts();
  if (facts.marker.has_value() || facts.damage == Damage::base_untrusted) {
    next_at_ = now + again_soon;
    return;
  }
  begin();
  if (!reading_) next_at_ = now + again_soon;
}

void Scrub::finish(Instant now) {
  if (!done_) return;
  reading_ = done_ = false;
  slot_.reset();
  const std::uint64_t first = op_.lba.value();
  const std::uint64_t blocks = op_.blocks.value();
  if (std::exchange(drop_, false)) return;
  const bool good = op_.result == Errc::ok;
  next_at_ = now + options_.pace;
  failures_ = op_.result == Errc::io_error ? failures_ + 1 : 0;
  if (failures_ > failures_max) {  // nothing can be read at all: the store itself has failed
    failures_ = 0;
    round_is_clean_ = false;
    return end_round(now);
  }
  if (!good && blocks > 1) {
    singly_ = blocks;
    next_at_ = now;
    return;
  }
  at_ += blocks;
  if (singly_ > 0) {
    --singly_;
    next_at_ = now;
  }
  round_is_clean_ = round_is_clean_ && good;
  if (at_ >= store_.facts().size.value()) end_round(now);
  if (good) return;
  ++found_;
  const bool map = op_.result == Errc::corrupt && store_.map_is_rotten();
  sink_.feed(event::BlocksRotten{Lba{first}, BlockCount{blocks}, map});
}

void Scrub::end_round(Instant now) {
  if (asked_ && round_is_clean_) clean_since_asked_ = true;
  if (round_is_clean_) asked_ = false;
  next_at_ = now + (asked_ ? again_soon : options_.rest);
  at_ = 0;
  singly_ = 0;
  round_is_clean_ = true;
}

std::optional<Instant> Scrub::wake_at(Instant now) const {
  if (reading_ && !done_) return std::nullopt;
  if (done_) return now;
  return next_at_;
}

}  // namespace seawall::runtime
