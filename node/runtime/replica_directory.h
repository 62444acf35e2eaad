// Port: the replicas that a node's pool holds, as directories with a Disk each.
//
// Crash contract, in one sentence: after create() has answered ok the replica is listed for ever,
// after remove() has answered ok never again, and a crash inside either leaves one of the two.
// Threads: create, remove and list block and run on the Blocking port's worker, one at a time for
// one replica; disk() and close() are the shard's. Ownership: a Disk belongs to the directory and
// lives until close(). Errors: already_exists, not_found, no_space, io_error.
#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/control.h"
#include "wal/disk.h"
#include "wal/store.h"

namespace seawall::runtime {

struct ReplicaRecord {
  VolumeId volume;
  std::string volume_name;
  Incarnation incarnation;
  ReplicaId replica;
};

class ReplicaDirectory {
 public:
  virtual ~ReplicaDirectory() = default;
  // Every replica whose creation was finished here; half-made ones are removed. What was made in
  // another pool and came here as files (a disk in the wrong machine, a copy) is a stranger: left
  // out and left alone.
  virtual std::vector<ReplicaRecord> list() = 0;
  // Makes the directory, and in it a Store by wal::Store::create_blocking; the record last.
  virtual Status create(const ReplicaRecord& record, const wal::CreateOptions& options) = 0;
  virtual Status remove(ReplicaId replica) = 0;
  // The Disk of a listed replica; the same one until close().
  virtual wal::Disk& disk(ReplicaId replica) = 0;
  virtual void close(ReplicaId replica) = 0;
};

}  // namespace seawall::runtime
