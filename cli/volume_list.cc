// seawall volume list
#include "cli/command.h"
#include "cli/views.h"

namespace seawall::cli {

void add_volume_list(CLI::App& volume, Context& context) {
  CLI::App* const command = volume.add_subcommand("list", "All volumes, sorted by name");
  command->callback([&context] {
    const std::vector<pb::Volume> volumes = context.controller()->list_volumes();
    boost::json::array list;
    for (const pb::Volume& one : volumes) list.push_back(volume_json(one));
    context.print(boost::json::object{{"volumes", std::move(list)}},
                  volumes.empty() ? "there are no volumes; `seawall volume create` makes one\n"
                                  : volumes_table(volumes, context.colours()));
  });
}

}  // namespace seawall::cli
