// Invariants that one Core must keep, numbered as in protocol.md section 11.
//
// check_state looks at one moment, check_delta at two moments with one step between. Tests and the
// simulator call them after every step. Thread: the Core's. Errors: none are thrown; the answer is
// the sentence of the first one that is broken, nullptr when all hold.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/command.h"
#include "engine/core.h"

namespace seawall {

// What of a Core is compared across a step.
struct CoreSnapshot {
  Epoch promised;           // durable
  Epoch known_epoch;
  Lsn written, durable, applied, trimmed, head;
  std::optional<Floor> floor;
  bool marker = false;
  bool log_busy = false;    // a rewind or a rebuild replaces the log
  bool leads = false;
  Epoch leading;            // its epoch while it leads
  std::optional<Lsn> committed, stable;
};

CoreSnapshot snapshot(const Core& core);
const char* check_state(const Core& core);
const char* check_delta(const CoreSnapshot& before, const CoreSnapshot& after);
// What the commands of one step may not say in the state that they leave behind.
const char* check_commands(const Core& core, const Commands& commands);

}  // namespace seawall
