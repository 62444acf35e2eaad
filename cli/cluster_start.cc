// seawall cluster start NAME
#include <fmt/format.h>

#include "cli/cluster_view.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/local_cluster.h"

namespace seawall::cli {
namespace {

constexpr std::uint64_t kReadyTimeoutMs = 30'000;

void start(const Context& context, const std::string& name, bool wait) {
  LocalCluster cluster(resolve_cluster(context.target));
  const DaemonRecord& daemon = require_daemon(cluster.record(), name);
  const FileLock lock(cluster.record().directory + "/lock", 10'000);
  const bool started = cluster.start(daemon);
  // A node cannot register while there is no controller: then its own word must do.
  const bool controlled = cluster.process(cluster.record().controller()).has_value();
  if (wait && controlled) {
    const InterruptGuard guard;
    cluster.wait_ready({&daemon}, context.timeout_ms(kReadyTimeoutMs));
  }
  const auto process = cluster.process(daemon);
  if (!process) cluster.check_alive(daemon);
  context.print(cluster_json(cluster),
                fmt::format("{} {} with pid {}\n", daemon.name,
                            started ? "was started" : "runs already", process ? process->pid : 0));
}

}  // namespace

void add_cluster_start(CLI::App& cluster, Context& context) {
  CLI::App* const command = cluster.add_subcommand("start", "Start one daemon that does not run");
  struct Options {
    std::string name;
    bool no_wait = false;
  };
  const auto options = std::make_shared<Options>();
  command->add_option("NAME", options->name, "Name of the daemon, such as node-1")->required();
  command->add_flag("--no-wait", options->no_wait, "Do not wait until it is ready");
  command->callback([&context, options] { start(context, options->name, !options->no_wait); });
}

}  // namespace seawall::cli
