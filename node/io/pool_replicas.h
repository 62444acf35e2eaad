// runtime::ReplicaDirectory over the replicas of a pool, for one shard.
//
// Purpose: gives each replica its directory and its io_uring disk. Crash contract: that of
// replica_directory.h, by rename: a replica is made under <id>.new, and its record, written last,
// appears with the rename; a removed one is renamed to <id>.gone first.
// Life cycle: destroyed after every Disk's last operation. Threads: create, remove and list on a
// worker, disk() and close() on the shard's thread. Ownership: owns the disks; borrows pool,
// reactor. Errors: as the port says. What a listing had to leave out is told to `problem`, from the
// worker.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "node/io/pool.h"
#include "node/io/uring_disk.h"
#include "node/runtime/replica_directory.h"

namespace seawall::io {

class PoolReplicas final : public runtime::ReplicaDirectory {
 public:
  using Problem = std::function<void(const std::string& sentence)>;

  PoolReplicas(const Pool& pool, Reactor& reactor, Problem problem);

  std::vector<runtime::ReplicaRecord> list() override;
  Status create(const runtime::ReplicaRecord& record, const wal::CreateOptions& options) override;
  Status remove(ReplicaId replica) override;
  wal::Disk& disk(ReplicaId replica) override;
  void close(ReplicaId replica) override;

 private:
  std::string path_of(ReplicaId replica) const;
  Status make(const std::string& path, const runtime::ReplicaRecord& record,
              const wal::CreateOptions& options);

  const Pool& pool_;
  Reactor& reactor_;
  const Problem problem_;
  std::map<ReplicaId, std::unique_ptr<wal::Disk>> disks_;
};

}  // namespace seawall::io
