// seawall-node: the composition root of the data plane.
//
// Reads the command line, opens data port and pool, makes the control edge, starts the shards, and
// waits for SIGTERM or SIGINT. Exit codes: 0 clean stop, 2 usage, else engine/base/fatal.h.
#include <pthread.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdio>
#include <memory>

#include "node/config.h"
#include "node/daemon.h"
#include "node/node_api.h"

namespace {

using namespace seawall;

int refuse(FatalReason reason, const std::string& sentence) {
  std::fprintf(stderr, "seawall-node: %s\n", sentence.c_str());
  return exit_code(reason);
}

sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);  // before any thread starts: all inherit it
  std::signal(SIGPIPE, SIG_IGN);
  return set;
}

void open_log(const node::NodeConfig& config) {
  auto log = spdlog::stderr_logger_mt("node");
  log->set_pattern("%Y-%m-%dT%H:%M:%S.%f%z level=%l node=" + config.name + " %v");
  log->set_level(spdlog::level::from_str(config.log_level));
  spdlog::set_default_logger(std::move(log));
}

}  // namespace

int main(int argc, char** argv) {
  const node::ParsedConfig parsed = node::parse_command_line(argc, argv);
  if (!parsed.config) return parsed.exit_code;
  const node::NodeConfig& config = *parsed.config;
  const sigset_t signals = block_signals();
  open_log(config);

  auto made = node::Daemon::create(config);
  if (const auto* no = std::get_if<node::Refused>(&made)) return refuse(no->reason, no->sentence);
  node::Daemon& daemon = *std::get<0>(made);

  auto edge = node::make_control_edge({.node = daemon.pool().node(),
                                       .name = config.name,
                                       .controller = config.controller,
                                       .control_socket = config.control_socket,
                                       .data_address = daemon.data_address(),
                                       .http_address = config.http_address});
  if (!edge) {
    return refuse(edge.error().code == Errc::busy ? FatalReason::address_in_use
                                                  : FatalReason::bad_configuration,
                  "--socket " + config.control_socket + ": " + edge.error().what);
  }
  daemon.start(**edge);
  if (const Status started = (*edge)->start(daemon); !started) {
    daemon.stop();
    return refuse(started.error().code == Errc::busy ? FatalReason::address_in_use
                                                     : FatalReason::bad_configuration,
                  "--socket " + config.control_socket + ": " + started.error().what);
  }
  spdlog::info("event=started pool={} data={} controller={} shards={}", config.pool,
               daemon.data_address(), config.controller, config.shards);

  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("event=stopping signal={}", signal);
  (*edge)->stop();
  daemon.stop();
  spdlog::info("event=stopped");
  return 0;
}
