// seawall cluster status
#include "cli/cluster_view.h"
#include "cli/command.h"

namespace seawall::cli {

void add_cluster_status(CLI::App& cluster, Context& context) {
  CLI::App* const command = cluster.add_subcommand("status", "The daemons of the cluster");
  const auto check = std::make_shared<bool>(false);
  command->add_flag("--check", *check, "The exit code tells: 0 all run, 10 some, 11 none");
  command->callback([&context, check] {
    const LocalCluster shown(resolve_cluster(context.target));
    context.print(cluster_json(shown), cluster_text(shown, context.colours()));
    const std::size_t running = running_daemons(shown);
    if (!*check || running == shown.record().daemons.size()) return;
    context.result = running > 0 ? ExitCode::degraded : ExitCode::unavailable;
  });
}

}  // namespace seawall::cli
