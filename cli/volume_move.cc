// seawall volume move NAME --to NODE
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/views.h"

namespace seawall::cli {

void add_volume_move(CLI::App& volume, Context& context) {
  CLI::App* const command = volume.add_subcommand(
      "move", "Make another replica the primary, without an interruption of I/O");
  struct Options {
    std::string name;
    std::string node;
  };
  const auto options = std::make_shared<Options>();
  command->add_option("NAME", options->name, "Name of the volume")->required();
  command->add_option("--to", options->node, "Node whose replica is to be the primary")
      ->type_name("NODE")
      ->required();
  command->callback([&context, options] {
    const pb::Volume moved = context.controller()->move_volume(options->name, options->node);
    context.print(volume_json(moved), fmt::format("{} is served by {} in epoch {}\n", moved.name(),
                                                  moved.primary_node(), moved.epoch()));
  });
}

}  // namespace seawall::cli
