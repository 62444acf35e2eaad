// seawall detach NAME
#include <fmt/format.h>

#include "cli/command.h"

namespace seawall::cli {
namespace {

// Through the node that serves it, which drains first; with --force the controller alone decides.
void detach(const Context& context, const std::string& name, bool force) {
  const std::unique_ptr<ControllerClient> controller = context.controller();
  const pb::Volume volume = controller->get_volume(name);
  if (volume.attachments_size() == 0) {
    throw Failure(ExitCode::refused, fmt::format("volume \"{}\" is not attached", name));
  }
  const pb::AttachmentInfo& attachment = volume.attachments(0);
  const Target target = resolve_target(context.target);
  const DaemonRecord* const node =
      target.cluster ? target.cluster->find(attachment.node()) : nullptr;
  if (force || node == nullptr) {
    controller->detach_volume(name, attachment.generation(), force);
    return;
  }
  NodeClient client(node->socket, context.timeout_ms(30'000));
  try {
    client.detach(name);
  } catch (const Failure& failure) {
    if (failure.code() == ExitCode::not_found) {  // it has restarted since: nothing is served there
      controller->detach_volume(name, attachment.generation(), false);
      return;
    }
    if (failure.code() != ExitCode::unreachable) throw;
    throw Failure(ExitCode::unreachable,
                  fmt::format("volume \"{}\" is attached at {}, which does not answer; `seawall "
                              "detach {} --force` fences it off",
                              name, node->name, name));
  }
}

}  // namespace

void add_detach(CLI::App& app, Context& context) {
  CLI::App* const command = app.add_subcommand("detach", "End the attachment of a volume");
  struct Options {
    std::string name;
    bool force = false;
  };
  const auto options = std::make_shared<Options>();
  command->add_option("NAME", options->name, "Name of the volume")->required();
  command->add_flag("--force", options->force,
                    "Fence it off by a new epoch, without the node that has it");
  command->callback([&context, options] {
    detach(context, options->name, options->force);
    context.print(boost::json::object{{"detached", options->name}},
                  fmt::format("detached {}\n", options->name));
  });
}

}  // namespace seawall::cli
