// seawall cluster stop NAME
#include <fmt/format.h>

#include "cli/cluster_view.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/local_cluster.h"

namespace seawall::cli {

void add_cluster_stop(CLI::App& cluster, Context& context) {
  CLI::App* const command = cluster.add_subcommand("stop", "Stop one daemon cleanly");
  const auto name = std::make_shared<std::string>();
  command->add_option("NAME", *name, "Name of the daemon, such as node-1")->required();
  command->callback([&context, name] {
    LocalCluster stopped(resolve_cluster(context.target));
    const DaemonRecord& daemon = require_daemon(stopped.record(), *name);
    const FileLock lock(stopped.record().directory + "/lock", 10'000);
    const bool running = stopped.process(daemon).has_value();
    const bool clean = stopped.stop(daemon);
    context.print(cluster_json(stopped),
                  fmt::format("{} {}\n", daemon.name,
                              !running ? "did not run"
                              : clean  ? "was stopped"
                                       : "had to be killed: it did not end within 10 s"));
  });
}

}  // namespace seawall::cli
