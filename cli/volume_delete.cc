// seawall volume delete NAME
#include <fmt/format.h>

#include "cli/command.h"

namespace seawall::cli {

void add_volume_delete(CLI::App& volume, Context& context) {
  CLI::App* const command =
      volume.add_subcommand("delete", "Delete a volume and all its data; refused while attached");
  const auto name = std::make_shared<std::string>();
  command->add_option("NAME", *name, "Name of the volume")->required();
  command->callback([&context, name] {
    if (!context.controller()->delete_volume(*name)) {
      throw Failure(ExitCode::not_found, fmt::format("there is no volume \"{}\"", *name));
    }
    context.print(boost::json::object{{"deleted", *name}}, fmt::format("deleted {}\n", *name));
  });
}

}  // namespace seawall::cli
