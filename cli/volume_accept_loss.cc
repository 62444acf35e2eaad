// seawall volume accept-loss NAME --who X --why Y
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/rpc.h"

namespace seawall::cli {
namespace {

// The primary alone knows what is missing, and its word makes every replica of the volume forget
// it.
const DaemonRecord& primary_node(const ClusterRecord& cluster, const pb::Volume& volume) {
  const DaemonRecord* const node = cluster.find(volume.primary_node());
  if (node != nullptr) return *node;
  throw Failure(ExitCode::refused,
                fmt::format("volume \"{}\" has no primary in this cluster", volume.name()));
}

}  // namespace

void add_volume_accept_loss(CLI::App& volume, Context& context) {
  CLI::App* const command = volume.add_subcommand(
      "accept-loss",
      "Stop waiting for records that no replica which is there can give: they are lost. Their "
      "blocks\ncannot be read until they are written again. It is in the log of the primary's "
      "node.");
  struct Options {
    std::string name, who, why;
  };
  const auto options = std::make_shared<Options>();
  command->add_option("NAME", options->name, "Name of the volume")->required();
  command->add_option("--who", options->who, "Who decides it; recorded")->required();
  command->add_option("--why", options->why, "Why; recorded")->required();
  command->callback([&context, options] {
    const ClusterRecord cluster = resolve_cluster(context.target);
    const pb::Volume found = context.controller()->get_volume(options->name);
    const DaemonRecord& node = primary_node(cluster, found);
    pb::LocalAcceptLossRequest request;
    request.set_volume_id(found.id());
    request.set_who(options->who);
    request.set_why(options->why);
    const std::uint64_t records =
        NodeClient(node.socket, context.timeout_ms(10'000)).accept_loss(request);
    context.print(boost::json::object{{"volume", options->name},
                                      {"node", node.name},
                                      {"records", records}},
                  fmt::format("{} gives up {} records that nobody there has\n", options->name,
                              records));
  });
}

}  // namespace seawall::cli
