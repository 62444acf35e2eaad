#include "sim/checkers/block_log.h"

#include <algorithm>

#include "engine/base/limits.h"
#include "sim/checkers/zones.h"

namespace seawall::sim {
namespace {

constexpr std::uint64_t never = ~0ull;

}  // namespace

std::uint64_t BlockLog::take_begin(OpNumber op) {
  const auto it = begun_.find(op);
  const std::uint64_t begin = it == begun_.end() ? now_ : it->second;
  if (it != begun_.end()) begun_.erase(it);
  return begin;
}

void BlockLog::end_write(OpNumber op, std::uint64_t lba, std::uint64_t blocks, bool zeroing,
                         Ended how) {
  const std::uint64_t begin = take_begin(op);
  newest_ = std::max(newest_, op);
  ++now_;
  if (zeroing) return;
  for (std::uint64_t block = lba; block < lba + blocks; ++block) {
    BlockHistory& history = blocks_[block];
    if (how == Ended::unanswered) open_.emplace_back(block, history.size());
    history.push_back(BlockOp{BlockOp::Kind::write, op, begin,
                              how == Ended::unanswered ? never : now_, how == Ended::ok});
    ++operations_;
  }
}

void BlockLog::end_read(OpNumber op, std::uint64_t lba, std::span<const std::byte> data,
                        Ended how) {
  const std::uint64_t begin = take_begin(op);
  ++now_;
  if (how != Ended::ok) return;
  for (std::uint64_t i = 0; (i + 1) * limits::block_bytes <= data.size(); ++i) {
    const auto bytes = data.subspan(i * limits::block_bytes, limits::block_bytes);
    const std::optional<Stamp> stamp = read_stamp(bytes, lba + i);
    // Wrong bytes are the oracle's to tell.
    if (!stamp || *stamp == zeroes || *stamp <= lost_upto_) continue;
    blocks_[lba + i].push_back(BlockOp{BlockOp::Kind::read, *stamp, begin, now_, true});
    ++operations_;
  }
}

void BlockLog::client_reborn() {
  ++now_;
  for (const auto& [block, place] : open_) blocks_[block][place].end = now_;
  open_.clear();
}

void BlockLog::loss() {
  ++now_;
  blocks_.clear();
  open_.clear();
  lost_upto_ = newest_;
  for (const auto& [op, begin] : begun_) lost_upto_ = std::max(lost_upto_, op);
}

std::string BlockLog::check() const {
  for (const auto& [block, history] : blocks_) {
    // A write that is still open when the run ends is in no history yet, its reads are.
    BlockHistory whole = history;
    std::erase_if(whole, [&](const BlockOp& op) {
      return op.kind == BlockOp::Kind::read && begun_.contains(op.value);
    });
    const std::string wrong = check_zones(whole);
    if (!wrong.empty()) return "block " + std::to_string(block) + ": " + wrong;
  }
  return {};
}

}  // namespace seawall::sim
