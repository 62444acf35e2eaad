// seawall cluster up --dir DIR --nodes N: makes a local cluster, or starts one again.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "cli/cluster_view.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/local_cluster.h"
#include "cli/network.h"

namespace seawall::cli {
namespace {

constexpr unsigned kLockTimeoutMs = 10'000;
constexpr std::uint64_t kReadyTimeoutMs = 30'000;

struct Options {
  std::size_t nodes = 3;
  CLI::Option* nodes_given = nullptr;
  std::string pool_directory, network;
};

std::string directory_of(const Context& context) {
  if (!context.target.directory.empty()) return absolute_path(context.target.directory);
  const char* const named = std::getenv("SEAWALL_DIR");
  if (named != nullptr && *named != '\0') return absolute_path(named);
  throw Failure(ExitCode::usage, "cluster up needs a directory: give --dir DIR or set SEAWALL_DIR");
}

ClusterRecord plan_new(const std::string& directory, const Options& options) {
  const std::string run =
      choose_run_directory(directory, std::filesystem::temp_directory_path().string());
  const std::string pools =
      options.pool_directory.empty() ? directory + "/pools" : absolute_path(options.pool_directory);
  std::vector<std::string> hosts;
  for (const DaemonRecord& d : plan_cluster("", "", "", "127.0.0.0", options.nodes).daemons) {
    hosts.push_back(d.address.substr(d.address.rfind('.')));
  }
  const std::string network = options.network.empty() ? choose_network(hosts) : options.network;
  return plan_cluster(directory, run, pools, network, options.nodes);
}

ClusterRecord load_existing(const std::string& directory, const Options& options) {
  ClusterRecord record = load_cluster(directory);
  const std::size_t nodes = record.daemons.size() - 1;
  if (*options.nodes_given && options.nodes != nodes) {
    throw Failure(ExitCode::conflict, fmt::format("--nodes is {}, but the cluster in {} has {}",
                                                  options.nodes, directory, nodes));
  }
  if (!options.network.empty() && options.network != record.network) {
    throw Failure(ExitCode::conflict,
                  fmt::format("--base-address is {}, but the cluster in {} is on {}",
                              options.network, directory, record.network));
  }
  return record;
}

// Starts what does not run. On a failure everything started here is stopped again.
void start_all(const Context& context, LocalCluster& cluster) {
  const InterruptGuard guard;
  const auto begin = std::chrono::steady_clock::now();
  std::vector<const DaemonRecord*> started;
  try {
    for (const DaemonRecord& daemon : cluster.record().daemons) {
      if (cluster.start(daemon)) started.push_back(&daemon);
      if (daemon.role == DaemonRole::controller) {
        cluster.wait_ready({&daemon}, context.timeout_ms(kReadyTimeoutMs));
      }
      context.progress(fmt::format("{} at {}", daemon.name, daemon.address));
    }
    std::vector<const DaemonRecord*> all;
    for (const DaemonRecord& daemon : cluster.record().daemons) all.push_back(&daemon);
    cluster.wait_ready(all, context.timeout_ms(kReadyTimeoutMs));
  } catch (const Failure&) {
    for (auto one = started.rbegin(); one != started.rend(); ++one) cluster.stop(**one);
    throw;
  }
  const auto took = std::chrono::steady_clock::now() - begin;
  context.progress(fmt::format(
      "ready after {} ms", std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
}

void up(const Context& context, const Options& options) {
  if (!options.network.empty() && !is_loopback_network(options.network)) {
    throw Failure(ExitCode::usage,
                  fmt::format("--base-address is \"{}\": a network of the form 127.x.y.0 is wanted",
                              options.network));
  }
  const std::string directory = directory_of(context);
  make_directories(directory);
  const FileLock lock(directory + "/lock", kLockTimeoutMs);
  const bool exists = cluster_exists(directory);
  LocalCluster cluster(exists ? load_existing(directory, options) : plan_new(directory, options));
  if (!exists) save_cluster(cluster.record());
  try {
    start_all(context, cluster);
  } catch (const Failure&) {
    if (!exists) forget_cluster_files(cluster.record());
    throw;
  }
  remember_current(directory);
  context.print(cluster_json(cluster), cluster_text(cluster, context.colours()));
}

}  // namespace

void add_cluster_up(CLI::App& cluster, Context& context) {
  CLI::App* const command =
      cluster.add_subcommand("up", "Make a cluster in a directory, or start the one that is there");
  const auto options = std::make_shared<Options>();
  options->nodes_given = command->add_option("--nodes", options->nodes, "How many node daemons (3)")
                             ->type_name("N")
                             ->check(number_between(1, kNodesMax));
  command
      ->add_option("--pool-dir", options->pool_directory,
                   "Where the pools go, one directory a node (DIR/pools)")
      ->type_name("DIR");
  command->add_option("--base-address", options->network, "Loopback network to use (a free one)")
      ->type_name("127.X.Y.0");
  command->callback([&context, options] { up(context, *options); });
}

}  // namespace seawall::cli
