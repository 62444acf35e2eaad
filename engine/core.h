// Core: the protocol of one replica of one volume, both roles. Event in, commands out.
//
// Purpose: decides everything that protocol.md says and does nothing itself: no clock, thread,
// file, socket, randomness or allocation. Same state + same event = same commands.
// Life cycle: construct with memory; the first event is Opened; then any order; a Core that gave up
// its volume (Removed) answers clients and says nothing else. A restart of the process is a new
// Core.
// Thread: that of its owner. Ownership: `memory` outlives the Core and is used by nobody else.
// Commands are to be carried out in order; pointers in them are valid until the next step.
//
// Slots: a slot that enters by an event (ClientAsked of a write, Received Append or BaseBlocks,
// ReadDone) is lent to the Core, which ends the loan by exactly one DropSlot, often in the same
// step. AppendLog, Send, Complete and WriteBase before it take references of their own.
// Links: PeerUp, Received and ClientOpened name them; after HangUp no event of that link counts.
// Time: `now` never goes back. A Tick is wanted at the last WakeAt; more ticks do no harm.
// Errors: a broken promise of the executor fails a CHECK; whatever a peer or a client sends does
// not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/bounded_vector.h"
#include "engine/base/limits.h"
#include "engine/command.h"
#include "engine/control.h"
#include "engine/convergence.h"
#include "engine/event.h"
#include "engine/jitter.h"

namespace seawall {

struct Generation;  // engine/generation.h
extern const Generation generation_v2;

inline constexpr std::size_t commands_max = 1024;
using Commands = BoundedVector<Command, commands_max>;

struct CoreOptions {
  VolumeId volume;
  Duration heartbeat{250};
  Duration suspicion{1500};       // silence after which a peer is taken for gone
  Duration lease{limits::lease_ms};
  Duration barrier_interval{500};              // own barriers by time ...
  std::uint64_t barrier_bytes = 8 * limits::MiB;  // ... and by bytes appended
  Duration start_deadline{limits::handshake_deadline_ms};  // of a session that was opened
  Duration progress_deadline{10'000};          // of a session that owes something
  std::uint32_t stream_bytes = 1 * limits::MiB;   // one StreamLog
  std::uint64_t live_window_bytes = 16 * limits::MiB;  // unacknowledged live bytes a peer
  std::uint32_t base_window = 8;               // extents on their way to a rebuild
  ConvergenceLimits convergence;
  std::uint64_t throttle_floor = 1 * limits::MiB;  // writers are never slowed below this, a second
  Jitter jitter;                               // of back-offs
  const Generation* generation = &generation_v2;  // anything else in the simulator only
};

// What was dropped because it was of an older epoch, session, link or revision; by cause.
struct CoreCounters {
  std::uint64_t stale_epoch = 0;
  std::uint64_t stale_session = 0;
  std::uint64_t stale_assignment = 0;
  std::uint64_t foreign = 0;        // another volume, replica, incarnation, or not the primary
  std::uint64_t unexpected = 0;     // legal words at an illegal moment
  std::uint64_t duplicates = 0;     // records that were there already
  std::uint64_t lease_holds = 0;    // answers that waited for a lease
  std::uint64_t alarms = 0;         // facts that cannot be (equal term, other chain)
};

class Engine;  // engine/engine.h: the state, for invariants and tests

class Core {
 public:
  // Bytes of `memory` that a Core needs, alignment included.
  static std::size_t memory_bytes();

  Core(const CoreOptions& options, std::span<std::byte> memory);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // `out` is cleared first.
  void step(Instant now, const Event& event, Commands& out);

  // The replica's own facts as of now; `written` and `durable` follow the log's events.
  [[nodiscard]] const ReplicaFacts& facts() const;
  [[nodiscard]] ReplicaStatus status() const;
  // As of `now`, at or after the last step: what only time changes is judged by it.
  [[nodiscard]] ReplicaStatus status(Instant now) const;
  [[nodiscard]] const CoreCounters& counters() const;
  // The primary of the greatest epoch known here: a front end's hint.
  [[nodiscard]] Epoch known_epoch() const;
  [[nodiscard]] ReplicaId known_primary() const;

  [[nodiscard]] const Engine& engine() const { return *engine_; }

 private:
  Engine* engine_;
};

}  // namespace seawall
