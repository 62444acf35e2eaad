// DiskWatch: when a disk that does not answer is taken for one that has failed.
//
// Purpose: an operation that hangs fails nothing and proves nothing; without a deadline its replica
// would count for ever. Life cycle: with the Store, which looks in every pump() and asks to be
// woken at next_look(). Thread: the Store's. Ownership: nothing. Units: milliseconds. A time in
// which nobody looked (a paused process) is not the disk's: it counts as one look. Errors: none.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/ids.h"

namespace seawall::wal {

class DiskWatch {
 public:
  static constexpr Duration deadline{15'000};
  static constexpr Duration look_every{1'000};

  struct Mark {  // moves with everything that the disk completes for log and super block
    Lsn written, durable;
    std::uint64_t generation = 0;
    int super_operations = 0;  // a change of the super block is four operations, each may be slow
    std::uint32_t syncs = 0;
    friend bool operator==(const Mark&, const Mark&) = default;
  };

  // True: nothing has moved for the deadline although something is owed.
  [[nodiscard]] bool look(Instant last, Instant now, bool owes, const Mark& mark) {
    const bool moved = !owes || !(mark == mark_);
    mark_ = mark;
    hung_for_ = moved ? Duration{0} : hung_for_ + std::min(now - last, look_every);
    return hung_for_ >= deadline;
  }
  // In whole seconds, so that a timer is not set anew in every turn.
  static constexpr Instant next_look(Instant now) {
    return Instant{(now.value() / look_every.value() + 1) * look_every.value()};
  }

 private:
  Mark mark_;
  Duration hung_for_;
};

}  // namespace seawall::wal
