// The command lines with which `seawall cluster` starts the daemons: a seam with their main.cc.
//
//   seawall-controller --dir DIR --listen HOST:PORT --insecure
//     DIR      created when missing; holds the store and a lock file
//     --listen gRPC of proto/control.proto (VolumeService and the nodes' stream)
//   seawall-node --name NAME --pool DIR --data HOST:PORT --controller HOST:PORT --socket PATH
//                --insecure
//     --pool       created when missing (pool.json, replicas/)
//     --data       framed TCP; outgoing links, to the controller too, leave from HOST
//     --socket     unix socket of the local gRPC service (LocalNode)
//     --insecure   plain text; every address must then be in 127.0.0.0/8 or a unix socket
//
// Both stay in the foreground, log to standard error, end cleanly on SIGTERM, and exit with 2 for a
// bad command line and with another non-zero status and one clear last line for everything else.
// Ready: the controller when its gRPC answers; a node when it is registered and alive in ListNodes
// and its local service answers.
#pragma once

#include <string>
#include <vector>

namespace seawall::cli {

struct ControllerArgs {
  std::string directory;
  std::string listen;
};

struct NodeArgs {
  std::string name;
  std::string pool;
  std::string data;
  std::string controller;
  std::string socket;
};

// Without the program itself.
std::vector<std::string> command_line(const ControllerArgs& args);
std::vector<std::string> command_line(const NodeArgs& args);

}  // namespace seawall::cli
