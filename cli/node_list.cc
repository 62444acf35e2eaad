// seawall node list
#include "cli/command.h"
#include "cli/views.h"

namespace seawall::cli {

void add_node_list(CLI::App& node, Context& context) {
  CLI::App* const command = node.add_subcommand("list", "All nodes, sorted by name");
  command->callback([&context] {
    const std::vector<pb::Node> nodes = context.controller()->list_nodes();
    boost::json::array list;
    for (const pb::Node& one : nodes) list.push_back(node_json(one));
    context.print(
        boost::json::object{{"nodes", std::move(list)}},
        nodes.empty() ? "no node has registered yet\n" : nodes_table(nodes, context.colours()));
  });
}

}  // namespace seawall::cli
