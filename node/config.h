// The command line of seawall-node.
//
// Thread: main. Errors: parse_command_line() answers an exit code with one sentence already
// printed: 2 for a bad command line, 10 for values that cannot work together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace seawall::node {

struct NodeConfig {
  std::string name;
  std::string pool;
  std::string data_address;
  std::string controller;
  std::string control_socket;
  std::string http_address;
  std::string attachments;     // directory of what attachments remember; on tmpfs
  unsigned shards = 1;
  unsigned memory_mib = 256;   // payload buffers of all shards
  std::string log_level = "info";
  bool insecure = false;
};

struct ParsedConfig {
  std::optional<NodeConfig> config;
  int exit_code = 0;  // when there is no config
};

ParsedConfig parse_command_line(int argc, char** argv);

}  // namespace seawall::node
