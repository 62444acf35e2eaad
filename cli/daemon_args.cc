#include "cli/daemon_args.h"

namespace seawall::cli {

std::vector<std::string> command_line(const ControllerArgs& args) {
  return {"--dir", args.directory, "--listen", args.listen, "--insecure"};
}

std::vector<std::string> command_line(const NodeArgs& args) {
  return {"--name",       args.name,       "--pool",   args.pool,   "--data",    args.data,
          "--controller", args.controller, "--socket", args.socket, "--insecure"};
}

}  // namespace seawall::cli
