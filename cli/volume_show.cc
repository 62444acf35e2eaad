// seawall volume show NAME
#include "cli/command.h"
#include "cli/views.h"

namespace seawall::cli {

void add_volume_show(CLI::App& volume, Context& context) {
  CLI::App* const command = volume.add_subcommand("show", "One volume with its replicas");
  struct Options {
    std::string name;
    bool check = false;
  };
  const auto options = std::make_shared<Options>();
  command->add_option("NAME", options->name, "Name of the volume")->required();
  command->add_flag("--check", options->check,
                    "The exit code tells the health: 0, 10 degraded, 11 unavailable");
  command->callback([&context, options] {
    const pb::Volume shown = context.controller()->get_volume(options->name);
    context.print(volume_json(shown), volume_text(shown, context.colours()));
    if (!options->check || shown.health() == "healthy") return;
    const bool served = shown.health() == "degraded" || shown.health() == "recovering";
    context.result = served ? ExitCode::degraded : ExitCode::unavailable;
  });
}

}  // namespace seawall::cli
