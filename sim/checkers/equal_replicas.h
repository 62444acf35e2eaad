// Equal replicas: at rest, in sync, every replica holds the same volume, byte for byte.
//
// Purpose: opens a copy of each replica's disk with the real Store, as a process start would, and
// compares: the chain at the end of the log, and every block of the volume as base and log give it.
// Nothing of the living cluster is touched. Works on what would survive a death of the process,
// and, with `without_power`, on what is sure to survive a loss of power (after a flush). Thread:
// the run's. Errors: a sentence; empty when the replicas are equal.
#pragma once

#include <span>
#include <string>

#include "engine/base/ids.h"
#include "wal/testing/mem_disk.h"

namespace seawall::sim {

struct ReplicaDisk {
  ReplicaId replica;
  Incarnation incarnation;
  const wal::MemDisk* disk = nullptr;
  bool rotten = false;  // on purpose: what nobody has read may be unreadable, but not wrong
};

std::string compare_replicas(std::span<const ReplicaDisk> disks, BlockCount size,
                             bool without_power);

}  // namespace seawall::sim
