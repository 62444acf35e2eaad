// seawall volume force NAME --members a,b --who X --why Y [--old-primary-stopped]
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/force_view.h"
#include "cli/views.h"

namespace seawall::cli {

void add_volume_force(CLI::App& volume, Context& context) {
  CLI::App* const command = volume.add_subcommand("force",
                                                  "Serve a volume from the replicas that are left, "
                                                  "when no promotion is allowed. What only the\n"
                                                  "others held is lost. It is recorded.");
  struct Options {
    std::string name;
    std::vector<std::string> members;
    std::string who;
    std::string why;
    bool stopped = false;
  };
  const auto options = std::make_shared<Options>();
  command->add_option("NAME", options->name, "Name of the volume")->required();
  command
      ->add_option("--members", options->members,
                   "Nodes whose replicas are the members from now on")
      ->type_name("NODE,...")
      ->delimiter(',')
      ->required();
  command->add_option("--who", options->who, "Who decides it; recorded")->required();
  command->add_option("--why", options->why, "Why; recorded")->required();
  command->add_flag("--old-primary-stopped", options->stopped,
                    "Your word that the old primary runs no more; needed while replicas that are\n"
                    "left out do not answer");
  command->callback([&context, options] {
    pb::ForceVolumeRequest request;
    request.set_volume(options->name);
    for (const std::string& member : options->members) request.add_nodes(member);
    request.set_who(options->who);
    request.set_why(options->why);
    request.set_old_primary_stopped(options->stopped);
    const pb::Volume forced = context.controller()->force_volume(request);
    context.print(volume_json(forced),
                  fmt::format("{} is served by {} in epoch {}\n{}", forced.name(),
                              forced.primary_node(), forced.epoch(), force_text(forced.force())));
  });
}

}  // namespace seawall::cli
