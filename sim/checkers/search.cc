#include "sim/checkers/search.h"

#include <set>
#include <utility>

#include "engine/base/check.h"

namespace seawall::sim {
namespace {

class Search {
 public:
  explicit Search(const BlockHistory& history) : history_(history) {
    for (std::size_t i = 0; i < history.size(); ++i) {
      const BlockOp& op = history[i];
      if (op.kind == BlockOp::Kind::read || op.certain) needed_ |= 1u << i;
    }
  }

  bool run() { return go(0, 0); }

 private:
  // `done`: operations that have been placed; `value`: what the block holds after them.
  bool go(std::uint32_t done, Stamp value) {
    if ((done & needed_) == needed_) return true;
    if (!seen_.emplace(done, value).second) return false;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if ((done >> i & 1u) != 0 || !may_come_next(i, done)) continue;
      const BlockOp& op = history_[i];
      const std::uint32_t with = done | 1u << i;
      if (op.kind == BlockOp::Kind::write) {
        if (go(with, op.value)) return true;
      } else if (op.value == value && go(with, value)) {
        return true;
      }
    }
    return false;
  }

  // Nothing that must still be placed had ended before it began, and nothing that has been placed
  // began after it had ended.
  [[nodiscard]] bool may_come_next(std::size_t next, std::uint32_t done) const {
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if ((done >> i & 1u) != 0 && history_[next].end < history_[i].begin) return false;
      if ((done >> i & 1u) != 0 || (needed_ >> i & 1u) == 0) continue;
      if (history_[i].end < history_[next].begin) return false;
    }
    return true;
  }

  const BlockHistory& history_;
  std::uint32_t needed_ = 0;
  std::set<std::pair<std::uint32_t, Stamp>> seen_;
};

}  // namespace

bool search_linearizable(const BlockHistory& history) {
  CHECK(history.size() <= search_ops_max);
  return Search(history).run();
}

}  // namespace seawall::sim
