// LogLane: the own log of one replica as the commands see it.
//
// Purpose: hands records to the Store in their order, keeps their payload until they are written,
// and holds back what the Store cannot take yet; nothing is ever dropped or reordered. Life cycle:
// one a replica, for as long as its Store is open. Thread: the shard's. Ownership: one reference a
// queued payload. Bounds: `records_max` records are on their way at most; crowded() tells when a
// peer shall be cut off before that. Errors: none of its own, the Store's are sticky.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/record.h"
#include "node/runtime/buffer_pool.h"
#include "node/runtime/growing_ring.h"
#include "wal/store.h"

namespace seawall::runtime {

class LogLane {
 public:
  static constexpr std::size_t records_max = 32 * 1024;

  LogLane(BufferPool& pool, wal::Store& store);
  ~LogLane();
  LogLane(const LogLane&) = delete;
  LogLane& operator=(const LogLane&) = delete;

  // Takes a reference on the slot of its own.
  void append(const RecordHeader& header, Slot slot);
  // Covers everything appended so far, what is held back included.
  void flush();
  // Offers the Store what it refused before.
  void retry();
  void on_written(Lsn upto);
  // The log is about to lose everything beyond `keep` (rewind), or everything (rebuild).
  void forget_held_beyond(Lsn keep);
  // After that: what the Store had taken beyond `keep` is gone, too.
  void forget_beyond(Lsn keep);

  [[nodiscard]] bool crowded() const {
    return taken_.size() + held_.size() >= records_max / 2;
  }
  [[nodiscard]] std::size_t held() const { return held_.size(); }

 private:
  struct Taken {
    Lsn lsn;
    Slot slot = no_slot;
  };
  struct Held {
    RecordHeader header;
    Slot slot = no_slot;
  };

  bool offer(const RecordHeader& header, Slot slot);
  void drop(Slot slot);

  BufferPool& pool_;
  wal::Store& store_;
  GrowingRing<Taken> taken_;   // with the Store, not written yet
  GrowingRing<Held> held_;     // refused by the Store, in order
  std::optional<Lsn> flush_after_;  // flush when the Store has taken this one
};

}  // namespace seawall::runtime
