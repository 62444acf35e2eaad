#include "node/config.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "engine/base/fatal.h"
#include "engine/base/limits.h"
#include "node/io/socket_address.h"

namespace seawall::node {
namespace {

constexpr int kUsage = 2;

ParsedConfig refuse(FatalReason reason, const std::string& sentence) {
  std::fprintf(stderr, "seawall-node: %s\n", sentence.c_str());
  return {std::nullopt, exit_code(reason)};
}

std::string check_address(const char* flag, const std::string& text, bool insecure) {
  const auto address = io::parse_address(text);
  if (!address) return std::string(flag) + " " + text + ": " + address.error().what;
  if (insecure && !address->is_local()) {
    return std::string(flag) + " " + text +
           " is not loopback: --insecure sends plain text, so it works in 127.0.0.0/8 and on "
           "unix sockets only";
  }
  return {};
}

}  // namespace

ParsedConfig parse_command_line(int argc, char** argv) {
  NodeConfig config;
  CLI::App app{"The data plane of one node: replicas, primaries and front ends"};
  app.add_option("--name", config.name, "Name of this node; the pool belongs to it")
      ->required()
      ->check(CLI::Validator(
          [](const std::string& name) {
            const bool fits = !name.empty() && name.size() <= limits::volume_name_bytes_max;
            return fits ? std::string() : std::string("a name has 1 to 63 characters");
          },
          "NAME"));
  app.add_option("--pool", config.pool, "Directory of the replicas; created when missing")
      ->required();
  app.add_option("--data", config.data_address,
                 "HOST:PORT of the data protocol; outgoing links leave from HOST")
      ->required();
  app.add_option("--controller", config.controller, "HOST:PORT of the controller")->required();
  app.add_option("--socket", config.control_socket, "Unix socket of the local service")
      ->required();
  app.add_option("--attachments", config.attachments,
                 "Directory of what attachments remember when this process dies; on tmpfs, "
                 "SOCKET.attachments by default");
  app.add_option("--http", config.http_address, "HOST:PORT of metrics and health");
  app.add_option("--shards", config.shards, "Threads, each with its own ring and volumes")
      ->check(CLI::Range(1U, static_cast<unsigned>(limits::shards_max)));
  app.add_option("--memory-mib", config.memory_mib, "Payload buffers of all shards, in MiB")
      ->check(CLI::Range(64U, 65536U));
  app.add_option("--log-level", config.log_level, "trace, debug, info, warn or error")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
  app.add_flag("--insecure", config.insecure,
               "Plain text; every address must be loopback or a unix socket");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return {std::nullopt, code == 0 ? 0 : kUsage};
  }
  if (config.attachments.empty()) config.attachments = config.control_socket + ".attachments";
  if (!config.insecure) {
    return refuse(FatalReason::bad_configuration,
                  "transport security is not available in this build: start it with --insecure "
                  "on loopback addresses");
  }
  for (const auto& [flag, text] : {std::pair{"--data", config.data_address},
                                   std::pair{"--controller", config.controller}}) {
    const std::string problem = check_address(flag, text, config.insecure);
    if (!problem.empty()) return refuse(FatalReason::bad_configuration, problem);
  }
  if (const auto socket = io::parse_address("unix:" + config.control_socket); !socket) {
    return refuse(FatalReason::bad_configuration, std::string("--socket: ") + socket.error().what);
  }
  return {config, 0};
}

}  // namespace seawall::node
