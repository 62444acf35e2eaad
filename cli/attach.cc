// seawall attach NAME --frontend nbd --socket PATH [--node NODE]
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/files.h"

namespace seawall::cli {
namespace {

struct Options {
  std::string volume, frontend = "nbd", socket, node, export_name;
};

// The node that serves the front end: the named one, else where it is attached already, else its
// primary's, for the shortest way.
const DaemonRecord& choose_node(const ClusterRecord& cluster, const Options& options,
                                const pb::Volume& volume) {
  std::string name = options.node;
  if (name.empty() && volume.attachments_size() > 0) name = volume.attachments(0).node();
  if (name.empty()) name = volume.primary_node();
  if (name.empty()) {
    throw Failure(
        ExitCode::refused,
        fmt::format("volume \"{}\" has no primary yet; name a node with --node", options.volume));
  }
  const DaemonRecord* const node = cluster.find(name);
  if (node == nullptr || node->role != DaemonRole::node) {
    throw Failure(ExitCode::not_found,
                  fmt::format("the cluster in {} has no node \"{}\"; it has {}", cluster.directory,
                              name, fmt::join(cluster.names(), ", ")));
  }
  return *node;
}

}  // namespace

void add_attach(CLI::App& app, Context& context) {
  CLI::App* const command =
      app.add_subcommand("attach", "Serve a volume to a client of this machine");
  const auto options = std::make_shared<Options>();
  command->add_option("NAME", options->volume, "Name of the volume")->required();
  command->add_option("--frontend", options->frontend, "nbd: an NBD server on a unix socket")
      ->type_name("KIND")
      ->check(choice({"nbd"}));
  command->add_option("--socket", options->socket, "Path of the socket to serve on")
      ->required()
      ->type_name("PATH");
  command->add_option("--node", options->node, "Node that serves it (that of the primary)")
      ->type_name("NODE");
  command->add_option("--export-name", options->export_name, "NBD export name (that of the volume)")
      ->type_name("NAME");
  command->callback([&context, options] {
    const ClusterRecord cluster = resolve_cluster(context.target);
    const pb::Volume volume = context.controller()->get_volume_with_primary(options->volume);
    const DaemonRecord& node = choose_node(cluster, *options, volume);
    pb::LocalAttachRequest request;
    request.set_volume(options->volume);
    request.set_frontend(options->frontend);
    request.set_socket(absolute_path(options->socket));
    request.set_export_name(options->export_name);
    NodeClient client(node.socket, context.timeout_ms(30'000));
    const pb::LocalAttachResponse attached = client.attach(request);
    context.print(
        boost::json::object{{"volume", options->volume},
                            {"node", node.name},
                            {"frontend", options->frontend},
                            {"socket", request.socket()},
                            {"device", attached.device()},
                            {"generation", attached.generation()}},
        fmt::format("attached {} at {}: {}\n", options->volume, node.name, attached.device()));
  });
}

}  // namespace seawall::cli
