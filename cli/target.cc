#include "cli/target.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "cli/failure.h"
#include "cli/files.h"

namespace seawall::cli {
namespace {

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Empty when this user has no home.
std::string state_directory() {
  const std::string state = environment("XDG_STATE_HOME");
  if (!state.empty()) return state + "/seawall";
  const std::string home = environment("HOME");
  return home.empty() ? "" : home + "/.local/state/seawall";
}

std::string current_directory() {
  const std::string state = state_directory();
  if (state.empty() || !std::filesystem::exists(state + "/current")) return "";
  std::string text = read_file(state + "/current");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string directory_of(const TargetOptions& options) {
  if (!options.directory.empty()) return options.directory;
  const std::string named = environment("SEAWALL_DIR");
  return named.empty() ? current_directory() : named;
}

}  // namespace

Target resolve_target(const TargetOptions& options) {
  if (options.directory.empty() && !options.controller.empty()) {
    return Target{std::nullopt, options.controller};
  }
  ClusterRecord cluster = resolve_cluster(TargetOptions{options.directory, ""});
  std::string controller = cluster.controller().address;
  return Target{std::move(cluster), std::move(controller)};
}

ClusterRecord resolve_cluster(const TargetOptions& options) {
  if (options.directory.empty() && !options.controller.empty()) {
    throw Failure(ExitCode::usage,
                  "this command is about a local cluster: name its directory with --dir");
  }
  const std::string directory = directory_of(options);
  if (directory.empty()) {
    throw Failure(ExitCode::usage,
                  "no cluster is named: give --dir or --controller, set SEAWALL_DIR, or make one "
                  "with `seawall cluster up --dir DIR`");
  }
  return load_cluster(absolute_path(directory));
}

void remember_current(const std::string& directory) {
  const std::string state = state_directory();
  if (state.empty()) return;
  make_directories(state);
  write_file(state + "/current", directory + "\n");
}

void forget_current(const std::string& directory) {
  if (current_directory() != directory) return;
  ::unlink((state_directory() + "/current").c_str());
}

}  // namespace seawall::cli
