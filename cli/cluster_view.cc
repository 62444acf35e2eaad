#include "cli/cluster_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/table.h"

namespace seawall::cli {

boost::json::object cluster_json(const LocalCluster& cluster) {
  const ClusterRecord& record = cluster.record();
  boost::json::array daemons;
  for (const DaemonRecord& daemon : record.daemons) {
    const auto process = cluster.process(daemon);
    boost::json::object entry{
        {"name", daemon.name},
        {"role", role_name(daemon.role)},
        {"pid", process ? boost::json::value(process->pid) : boost::json::value(nullptr)},
        {"state", process ? "running" : "stopped"},
        {"address", daemon.address},
        {"pool",
         daemon.pool.empty() ? boost::json::value(nullptr) : boost::json::value(daemon.pool)},
        {"socket",
         daemon.socket.empty() ? boost::json::value(nullptr) : boost::json::value(daemon.socket)},
        {"log", record.log_path(daemon)}};
    daemons.push_back(std::move(entry));
  }
  return {{"directory", record.directory},
          {"network", record.network},
          {"controller", record.controller().address},
          {"daemons", std::move(daemons)}};
}

std::string cluster_text(const LocalCluster& cluster, bool colours) {
  Table table({"NAME", "ROLE", "STATE", "PID", "ADDRESS", "POOL"}, colours);
  table.align_right(3);
  for (const DaemonRecord& daemon : cluster.record().daemons) {
    const auto process = cluster.process(daemon);
    table.add({daemon.name, role_name(daemon.role), process ? "running" : "stopped",
               process ? fmt::format("{}", process->pid) : "-", daemon.address,
               daemon.pool.empty() ? "-" : daemon.pool});
    table.tint(2, process ? Colour::green : Colour::red);
  }
  return table.text();
}

std::size_t running_daemons(const LocalCluster& cluster) {
  const auto& daemons = cluster.record().daemons;
  return static_cast<std::size_t>(std::count_if(
      daemons.begin(), daemons.end(),
      [&](const DaemonRecord& daemon) { return cluster.process(daemon).has_value(); }));
}

}  // namespace seawall::cli
