// Which cluster a command is about. Order: --dir, --controller, $SEAWALL_DIR, the current cluster
// ($XDG_STATE_HOME or ~/.local/state, file seawall/current, written by `cluster up`).
#pragma once

#include <optional>
#include <string>

#include "cli/cluster_file.h"

namespace seawall::cli {

struct TargetOptions {
  std::string directory;   // --dir
  std::string controller;  // --controller
};

struct Target {
  std::optional<ClusterRecord> cluster;  // nothing when only an address was named
  std::string controller;                // host:port
};

// Failure(usage) when nothing names a cluster, Failure(not_found) when what is named is not there.
Target resolve_target(const TargetOptions& options);

// As above for commands that need the directory: --controller alone is refused.
ClusterRecord resolve_cluster(const TargetOptions& options);

void remember_current(const std::string& directory);
// Only if it is this one.
void forget_current(const std::string& directory);

}  // namespace seawall::cli
