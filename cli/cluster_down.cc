// seawall cluster down [--destroy]
#include <fmt/format.h>

#include <filesystem>

#include "cli/cluster_view.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/local_cluster.h"

namespace seawall::cli {
namespace {

void remove_tree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) {
    throw Failure(ExitCode::failed, fmt::format("{} cannot be removed: {}", path, error.message()));
  }
}

// Only what the cluster made; a directory of the user's goes only if nothing else is in it.
void destroy(const ClusterRecord& record) {
  for (const DaemonRecord& daemon : record.daemons) {
    if (daemon.role == DaemonRole::node) remove_tree(daemon.pool);
  }
  forget_cluster_files(record);
  for (const char* const part : {"controller", "logs", "lock"}) {
    remove_tree(fmt::format("{}/{}", record.directory, part));
  }
  std::error_code ignored;  // not empty: it holds something that is not ours
  std::filesystem::remove(record.directory + "/pools", ignored);
  std::filesystem::remove(record.directory, ignored);
}

void down(const Context& context, bool and_destroy) {
  LocalCluster cluster(resolve_cluster(context.target));
  const ClusterRecord& record = cluster.record();
  const FileLock lock(record.directory + "/lock", 10'000);
  std::string killed;
  // Nodes first: a controller that went first would only see its nodes leave.
  for (auto daemon = record.daemons.rbegin(); daemon != record.daemons.rend(); ++daemon) {
    if (!cluster.stop(*daemon)) killed += " " + daemon->name;
  }
  if (!killed.empty()) {
    context.progress(fmt::format("had to be killed, did not end within 10 s:{}", killed));
  }
  const std::string directory = record.directory;
  const boost::json::object state = cluster_json(cluster);
  if (and_destroy) {
    destroy(record);
    forget_current(directory);
  }
  context.print(state, fmt::format("the cluster in {} is {}\n", directory,
                                   and_destroy ? "gone with all its data" : "down"));
}

}  // namespace

void add_cluster_down(CLI::App& cluster, Context& context) {
  CLI::App* const command = cluster.add_subcommand("down", "Stop every daemon of the cluster");
  const auto and_destroy = std::make_shared<bool>(false);
  command->add_flag("--destroy", *and_destroy, "Then delete its data as well");
  command->callback([&context, and_destroy] { down(context, *and_destroy); });
}

}  // namespace seawall::cli
