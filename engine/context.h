// What both roles share: facts, log, promise, time and the commands of this step.
//
// Thread: the Core's. Ownership: lives in Engine; roles hold a reference. `out` is set during a
// step only. Invariants: facts.promised <= promised; a promise is acted upon only when it is in
// facts.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/check.h"
#include "engine/base/ring_buffer.h"
#include "engine/core.h"
#include "engine/lineage.h"

namespace seawall {

enum class SuperKind : std::uint8_t { promise, seen, intact, clear_floor, clear_marker };

struct PendingSuper {
  std::uint64_t token = 0;
  SuperKind kind = SuperKind::promise;
  Epoch promise;          // promise
  SessionId session;      // clear_marker: of the replica
  bool clears_floor = false;
};

struct Context {
  CoreOptions options;
  Instant now;
  bool ticking = false;  // deadlines act on a Tick only: data goes first
  Commands* out = nullptr;
  CoreCounters counters;

  bool opened = false;
  bool log_failed = false;     // sticky
  bool removed = false;
  ReplicaFacts facts;          // promised: what is durable
  OwnLog log;
  std::uint8_t fill_percent = 0;

  Epoch promised;              // the greatest epoch that was promised or is being written
  std::optional<Assignment> assignment;
  Epoch known_epoch;           // the greatest epoch whose primary is known, and that primary
  ReplicaId known_primary;

  RingBuffer<PendingSuper, 64> supers;
  std::uint64_t next_token = 1;
  Lsn fold_limit;              // last SetFoldLimit
  std::uint64_t next_pin = 1;
  std::size_t pins = 0;        // PinLog without UnpinLog: zero at rest
  std::size_t freezes = 0;     // FreezeBase without ThawBase: zero at rest

  // The grant that this replica gave last: while it runs, the primary of `granted_epoch` may
  // answer. After a restart nobody knows to whom it was, so the epoch is unknown.
  std::optional<Epoch> granted_epoch;
  Instant granted_until;

  std::optional<Instant> wake;  // earliest deadline, collected at the end of each step

  template <class C>
  void emit(C command) {
    CHECK(out != nullptr);
    out->push_back(Command(std::move(command)));
  }
  void drop(Slot slot) {
    if (slot != no_slot) emit(command::DropSlot{slot});
  }
  // The commands of a step are bounded: what can wait for the next one leaves this much room for
  // what cannot, an answer and a dropped slot for every open request.
  static constexpr std::size_t commands_reserved = 640;
  [[nodiscard]] bool has_room() const { return out->room() > commands_reserved; }
  // Blocks of the volume; what a peer names may be anything.
  [[nodiscard]] bool has_blocks(Lba lba, BlockCount blocks) const {
    return lba.value() <= facts.size.value() && blocks.value() <= facts.size.value() - lba.value();
  }
  void want_wake(Instant at) {
    if (!wake || at < *wake) wake = at;
  }

  void write_super(command::WriteSuper update, PendingSuper pending);
  // Raises the promise; it counts when facts.promised has reached it.
  void promise(Epoch epoch);
  void remember_seen(Epoch epoch, Revision revision);
  void set_intact();
  // The floor goes when the log durably holds as much again; never while a marker stands.
  void maybe_clear_floor();
  [[nodiscard]] bool floor_reached(Lsn durable) const;
  // Words that would write the super block are dropped as if lost: their senders repeat them.
  [[nodiscard]] bool supers_busy() const { return supers.room() < 8; }
  [[nodiscard]] bool writing_super(SuperKind kind) const;
  void set_fold_limit(Lsn upto);

  // Grants to a primary of another epoch than `epoch` still run.
  [[nodiscard]] bool granted_to_others(Epoch epoch) const {
    return now < granted_until && (!granted_epoch || *granted_epoch != epoch);
  }
  void grant(Epoch epoch) {
    granted_epoch = epoch;
    granted_until = now + options.lease;
  }
};

}  // namespace seawall
