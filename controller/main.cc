// seawall-controller: composition root. Store, desk, server; ends on SIGTERM or SIGINT.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

#include "controller/api/desk.h"
#include "controller/api/listen.h"
#include "controller/api/log.h"
#include "controller/api/server.h"
#include "controller/store/sqlite_store.h"
#include "engine/base/fatal.h"

namespace seawall::controller {
namespace {

constexpr int usage_error = 2;

struct Arguments {
  std::string directory;
  std::string store;
  std::string listen;
  bool insecure = false;
};

int give_up(int code, const std::string& sentence) {
  log_line(LogLevel::error, "event=exit code=" + std::to_string(code));
  std::fprintf(stderr, "seawall-controller: %s\n", sentence.c_str());
  return code;
}

int run(const Arguments& arguments) {
  std::string detail;
  const auto addresses = parse_listen(arguments.listen, &detail);
  if (!addresses) return give_up(usage_error, detail);
  if (!arguments.insecure) {
    return give_up(usage_error,
                   "--insecure is missing: this version speaks plain text only, and "
                   "only on loopback and unix sockets");
  }
  std::string path = arguments.store;
  if (path.empty()) {
    std::error_code error;
    std::filesystem::create_directories(arguments.directory, error);
    if (error) {
      return give_up(exit_code(FatalReason::store_failed),
                     "cannot make the directory " + arguments.directory + ": " + error.message());
    }
    path = (std::filesystem::path(arguments.directory) / "controller.db").string();
  }
  auto store = SqliteStore::open(path, &detail);
  if (!store) return give_up(exit_code(FatalReason::store_failed), detail);

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before any thread: main() alone takes them
  signal(SIGPIPE, SIG_IGN);

  Desk desk(**store);
  if (const Status started = desk.start(); !started) {
    return give_up(exit_code(FatalReason::store_failed),
                   "the store " + path + " cannot be read: " + started.error().what);
  }
  Server server(desk);
  if (!server.start(*addresses, &detail)) {
    return give_up(exit_code(FatalReason::address_in_use), detail);
  }
  log_line(LogLevel::info, "event=ready store=" + path + " listen=" + arguments.listen);
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  log_line(LogLevel::info, "event=stopping signal=" + std::to_string(signal_number));
  desk.stop();
  server.stop();
  return 0;
}

}  // namespace
}  // namespace seawall::controller

int main(int argc, char** argv) {
  seawall::controller::Arguments arguments;
  CLI::App app("The controller of a Seawall cluster", "seawall-controller");
  auto* directory =
      app.add_option("--dir", arguments.directory, "directory of the store, created when missing");
  auto* store = app.add_option("--store", arguments.store, "file of the store, instead of --dir");
  directory->excludes(store);
  app.add_option("--listen", arguments.listen,
                 "HOST:PORT or unix:PATH of the gRPC services; "
                 "several separated by commas")
      ->required();
  app.add_flag("--insecure", arguments.insecure, "plain text; loopback and unix sockets only");
  try {
    app.parse(argc, argv);
    if (arguments.directory.empty() && arguments.store.empty()) {
      throw CLI::RequiredError("--dir or --store");
    }
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return seawall::controller::run(arguments);
}
