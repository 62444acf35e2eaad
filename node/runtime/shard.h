// What every part of one shard shares: the ports, and the scratch of one step.
//
// Life cycle: built by the composition root before the NodeHost, outlives it. Thread: the shard's.
// Ownership: references only. The scratch belongs to whoever runs at the moment: hosts never call
// into each other inside a step, so one set is enough for all volumes of a shard.
#pragma once

#include "engine/core.h"
#include "node/runtime/control_port.h"
#include "node/runtime/ports.h"
#include "node/runtime/recovery_gate.h"
#include "node/runtime/wire.h"

namespace seawall::runtime {

struct ShardScratch {
  Commands commands;
  MetaBuffer meta{};
  DecodeScratch decode;
  RecoveryGate recoveries;  // what all volumes' recoveries share
};

// Sees every step of every Core of the shard, and takes no part: invariants and traces of tests
// and of the simulator. Pointers in the event and the commands are valid during the call.
class StepWatcher {
 public:
  virtual ~StepWatcher() = default;
  virtual void before_step(const Core& core, const Event& event) = 0;
  virtual void after_step(const Core& core, const Event& event, const Commands& commands) = 0;
};

struct Shard {
  const Clock& clock;
  Transport& transport;
  Timers& timers;
  Blocking& blocking;
  control::ControlPort& control;
  BufferPool& pool;
  ShardScratch& scratch;
  StepWatcher* watcher = nullptr;
};

// Back to the one who owns the Core. Never called inside Executor::run.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void feed(const Event& event) = 0;
};

}  // namespace seawall::runtime
