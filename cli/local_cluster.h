// Starts and stops the daemons of a cluster in a directory.
//
// Thread: one; the caller holds the cluster's lock for everything that changes. A daemon outlives
// this program. Errors: Failure; what a failed start leaves behind is stopped again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/cluster_file.h"
#include "cli/failure.h"
#include "cli/process.h"

namespace seawall::cli {

// The directory of this program, where the daemons lie as well.
std::string program_directory();

// While one lives, SIGINT and SIGTERM set a flag instead of ending the program, so that what was
// half started can be stopped again.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  static bool interrupted();
};

class LocalCluster {
 public:
  explicit LocalCluster(ClusterRecord record) : record_(std::move(record)) {}

  [[nodiscard]] const ClusterRecord& record() const { return record_; }
  [[nodiscard]] std::optional<ProcessIdentity> process(const DaemonRecord& daemon) const;

  // Starts it unless it runs; true when it was started. Does not wait until it is ready.
  bool start(const DaemonRecord& daemon);
  // Waits until every daemon of `which` is ready: the controller answers, a node is registered,
  // alive and has opened its replicas. Failure when one dies or the time is over.
  void wait_ready(const std::vector<const DaemonRecord*>& which, std::uint64_t timeout_ms) const;
  // SIGTERM, and SIGKILL when it has not gone within ten seconds; false when it had to be killed.
  bool stop(const DaemonRecord& daemon);
  // Throws when a daemon that was started by this object has died: with its end and last log lines.
  void check_alive(const DaemonRecord& daemon) const;
  [[nodiscard]] std::string log_tail(const DaemonRecord& daemon) const;

 private:
  [[nodiscard]] std::string why_not_ready(const DaemonRecord& daemon) const;

  ClusterRecord record_;
};

}  // namespace seawall::cli
