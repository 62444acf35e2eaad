#include "sim/oracle.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/limits.h"

namespace seawall::sim {

Oracle::Oracle(std::uint64_t blocks, bool durable_completions)
    : durable_completions_(durable_completions), blocks_(blocks) {
  for (Block& block : blocks_) {
    Version fresh;
    fresh.zeroing = true;
    fresh.answered_ok = true;
    fresh.settled = 0;
    block.versions.push_back(fresh);
  }
}

void Oracle::bury(Version& version, Time when, bool for_good) {
  version.buried = std::min(version.buried, when);
  version.buried_for_good = version.buried_for_good || for_good;
}

Oracle::Time Oracle::oldest_read() const {
  Time oldest = never;
  for (const auto& [op, open] : open_) {
    if (open.kind == Open::Kind::read) oldest = std::min(oldest, open.begun);
  }
  return oldest;
}

// Forgets what neither a read under way nor an allowed loss can show again.
void Oracle::prune(Block& block) const {
  const Time oldest = oldest_read();
  std::erase_if(block.versions, [&](const Version& v) {
    const bool for_good = v.buried_for_good || (v.buried != never && v.buried < flushed_);
    return for_good && v.buried < oldest && v.settled != never;
  });
}

void Oracle::begin_write(OpNumber op, std::uint64_t lba, std::uint64_t blocks, bool zeroing,
                         bool fua) {
  CHECK(lba + blocks <= blocks_.size());
  const Time now = tick();
  open_.emplace(op, Open{Open::Kind::write, lba, blocks, zeroing, fua, now});
  for (std::uint64_t i = lba; i < lba + blocks; ++i) {
    prune(blocks_[i]);
    Version version;
    version.op = op;
    version.zeroing = zeroing;
    version.begun = now;
    blocks_[i].versions.push_back(version);
    blocks_[i].written = true;
  }
}

Oracle::Open Oracle::close(OpNumber op, Open::Kind kind) {
  const auto it = open_.find(op);
  CHECK(it != open_.end());
  CHECK(it->second.kind == kind);
  const Open open = it->second;
  open_.erase(it);
  return open;
}

void Oracle::end_write(OpNumber op, Ended how) {
  const Open open = close(op, Open::Kind::write);
  const Time now = tick();
  const bool durable = how == Ended::ok && (open.fua || durable_completions_);
  for (std::uint64_t i = open.lba; i < open.lba + open.blocks; ++i) {
    for (Version& v : blocks_[i].versions) {
      if (v.op == op) {
        if (how == Ended::unanswered) {
          unanswered_.emplace_back(i, op);
        } else {
          v.settled = now;
          v.answered_ok = how == Ended::ok;
        }
      } else if (how == Ended::ok && v.effective() < open.begun) {
        bury(v, now, durable);
      }
    }
  }
  if (durable) flushed_ = std::max(flushed_, open.begun);
}

void Oracle::begin_read(OpNumber op, std::uint64_t lba, std::uint64_t blocks) {
  CHECK(lba + blocks <= blocks_.size());
  open_.emplace(op, Open{Open::Kind::read, lba, blocks, false, false, tick()});
}

std::string Oracle::end_read(OpNumber op, Ended how, std::span<const std::byte> data) {
  const Open open = close(op, Open::Kind::read);
  const Time now = tick();
  if (how != Ended::ok) return {};
  if (data.size() != open.blocks * limits::block_bytes) {
    return "a read of " + std::to_string(open.blocks) + " blocks brought " +
           std::to_string(data.size()) + " bytes";
  }
  for (std::uint64_t i = 0; i < open.blocks; ++i) {
    const auto bytes = data.subspan(i * limits::block_bytes, limits::block_bytes);
    std::string wrong = judge(blocks_[open.lba + i], open.lba + i, bytes, open, now);
    if (!wrong.empty()) return wrong;
  }
  return {};
}

std::string Oracle::judge(Block& block, std::uint64_t lba, std::span<const std::byte> bytes,
                          const Open& open, Time now) {
  ++reads_judged_;
  const auto stamp = read_stamp(bytes, lba);
  if (!stamp.has_value()) {
    wrong_.lost = true;
    return "block " + std::to_string(lba) + " holds bytes that nobody wrote there";
  }
  const auto matches = [&](const Version& v) {
    return *stamp == zeroes ? v.zeroing : (!v.zeroing && v.op == *stamp);
  };
  // A read may be placed at any moment between its asking and its answer.
  Version* shown = nullptr;
  std::size_t allowed = 0;
  for (Version& v : block.versions) {
    if (!matches(v) || v.buried < open.begun) continue;
    shown = &v;
    ++allowed;
  }
  if (allowed == 0) {
    note_wrong(block, *stamp, open);
    return "block " + std::to_string(lba) + " shows stamp " + std::to_string(*stamp) +
           ", which is not among what it may hold: " + describe(lba);
  }
  for (Version& v : block.versions) {
    if (!matches(v) && v.effective() < open.begun) bury(v, now, false);
  }
  // Zeroes of several operations look alike: which one was seen is known only when it is one.
  if (allowed == 1) shown->seen = std::min(shown->seen, now);
  return {};
}

void Oracle::note_wrong(const Block& block, Stamp shown, const Open& open) {
  bool completed = false;  // what the block must show, or may
  bool all_completed = true;
  for (const Version& v : block.versions) {
    if (!v.zeroing && v.op == shown && !v.answered_ok && v.op != 0) wrong_.shown = true;
    if (v.buried < open.begun) continue;
    completed = completed || v.answered_ok;
    all_completed = all_completed && v.answered_ok;
  }
  if (completed && all_completed) wrong_.lost = true;
  else wrong_.shown = true;
}

void Oracle::begin_flush(OpNumber op) {
  open_.emplace(op, Open{Open::Kind::flush, 0, 0, false, false, tick()});
}

void Oracle::end_flush(OpNumber op, Ended how) {
  const Open open = close(op, Open::Kind::flush);
  if (how == Ended::ok) flushed_ = std::max(flushed_, open.begun);
}

void Oracle::client_reborn() {
  const Time now = tick();
  for (const auto& [lba, op] : unanswered_) {
    for (Version& v : blocks_[lba].versions) {
      if (v.op == op && v.settled == never) v.settled = now;
    }
  }
  unanswered_.clear();
}

void Oracle::unflushed_data_was_lost() {
  tick();
  for (Block& block : blocks_) {
    for (Version& v : block.versions) {
      if (v.buried_for_good || (v.buried != never && v.buried < flushed_)) {
        v.buried_for_good = true;
        continue;
      }
      v.buried = never;
      v.seen = never;
    }
  }
}

std::string Oracle::describe(std::uint64_t lba) const {
  std::string text;
  const auto number = [](Time t) { return t == never ? std::string("-") : std::to_string(t); };
  for (const Version& v : blocks_[lba].versions) {
    text += std::string(v.zeroing ? "zeroes(" : "write(") + std::to_string(v.op) + ": begun " +
            number(v.begun) + (v.answered_ok ? " ok " : " not-ok ") + "settled " +
            number(v.settled) + " seen " + number(v.seen) + " buried " + number(v.buried) +
            (v.buried_for_good || v.buried < flushed_ ? " durably" : "") + ") ";
  }
  return text + "now " + number(now_) + " flushed " + number(flushed_);
}

}  // namespace seawall::sim
