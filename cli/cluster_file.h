// What a local cluster consists of: cluster.json in its directory.
//
//   D/cluster.json      this record, replaced by rename
//   D/lock              held while a command changes the cluster
//   D/controller/       the store of the controller
//   D/pools/NAME/       the pools, unless --pool-dir put them elsewhere
//   D/logs/NAME.log     standard error of the daemons
//   RUN/NAME.pid, RUN/NAME.sock   RUN is D/run, or a short directory below the system's temporary
//   one
//                       when D is too long for the path of a unix socket
//
// Thread: any. Errors: Failure, with the path and what is wrong with it.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace seawall::cli {

inline constexpr std::size_t kNodesMax = 200;  // addresses .11 to .210 of the cluster's /24

enum class DaemonRole { controller, node };

struct DaemonRecord {
  std::string name;
  DaemonRole role = DaemonRole::node;
  std::string address;  // host:port: gRPC of the controller, data port of a node
  std::string pool;     // node: absolute path
  std::string socket;   // node: path of the local gRPC socket
};

struct ClusterRecord {
  std::string directory;  // absolute; not stored: it is where the file was found
  std::string run_directory;
  std::string network;                // 127.x.y.0
  std::vector<DaemonRecord> daemons;  // the controller first

  [[nodiscard]] const DaemonRecord& controller() const { return daemons.front(); }
  [[nodiscard]] const DaemonRecord* find(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] std::string log_path(const DaemonRecord& daemon) const;
  [[nodiscard]] std::string pid_path(const DaemonRecord& daemon) const;
};

const char* role_name(DaemonRole role);

boost::json::object to_json(const ClusterRecord& cluster);
// Refuses what is not a record of this version, naming the member that is wrong.
ClusterRecord cluster_from_json(const boost::json::value& json, const std::string& directory);

bool cluster_exists(const std::string& directory);
ClusterRecord load_cluster(const std::string& directory);
void save_cluster(const ClusterRecord& cluster);
// Removes the record and the run directory; data and logs stay.
void forget_cluster_files(const ClusterRecord& cluster);

// Failure(not_found) that names what there is.
const DaemonRecord& require_daemon(const ClusterRecord& cluster, const std::string& name);

// Where the sockets of a cluster in `directory` go: D/run when paths in it are short enough for a
// unix socket, else `fallback_parent`/seawall-XXXXXX, made by this call.
std::string choose_run_directory(const std::string& directory, const std::string& fallback_parent);

// Plans the daemons of a new cluster; no file is touched.
ClusterRecord plan_cluster(const std::string& directory, const std::string& run_directory,
                           const std::string& pool_directory, const std::string& network,
                           std::size_t nodes);

}  // namespace seawall::cli
