// seawall node drain NODE: every replica on it gives way to a new one elsewhere
#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/views.h"

namespace seawall::cli {
namespace {

bool has_replica(const pb::Volume& volume, const std::string& node) {
  return std::ranges::any_of(volume.replicas(), [&node](const pb::ReplicaView& replica) {
    return replica.node() == node && !replica.leaving();
  });
}

// One request a volume; what one volume refuses does not keep the others.
void drain(Context& context, const std::string& node) {
  const std::unique_ptr<ControllerClient> controller = context.controller();
  const std::vector<pb::Node> nodes = controller->list_nodes();
  if (std::ranges::none_of(nodes, [&node](const pb::Node& each) { return each.name() == node; })) {
    throw Failure(ExitCode::not_found, fmt::format("there is no node \"{}\"", node));
  }
  boost::json::array moved;
  boost::json::array stuck;
  std::string text;
  for (const pb::Volume& volume : controller->list_volumes()) {
    if (!has_replica(volume, node)) continue;
    pb::ChangeVolumeRequest request;
    request.set_operation_id(new_operation_id());
    request.set_volume(volume.name());
    request.set_replace_node(node);
    try {
      text += change_text(controller->change_volume(request));
      moved.push_back(boost::json::value(volume.name()));
    } catch (const Failure& failure) {
      if (failure.code() == ExitCode::unreachable) throw;
      text += fmt::format("{}: {}\n", volume.name(), failure.what());
      stuck.push_back(
          boost::json::object{{"volume", volume.name()}, {"reason", std::string(failure.what())}});
    }
  }
  if (!stuck.empty()) context.result = ExitCode::refused;
  if (text.empty()) text = fmt::format("{} holds no replica\n", node);
  context.print(boost::json::object{{"node", node}, {"moving", moved}, {"refused", stuck}}, text);
}

}  // namespace

void add_node_drain(CLI::App& node, Context& context) {
  CLI::App* const command = node.add_subcommand(
      "drain", "Replace every replica on a node by one elsewhere; `volume show` tells how far");
  const auto name = std::make_shared<std::string>();
  command->add_option("NODE", *name, "Name of the node")->required();
  command->callback([&context, name] { drain(context, *name); });
}

}  // namespace seawall::cli
