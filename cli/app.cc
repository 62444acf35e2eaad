#include "cli/app.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "cli/command.h"
#include "cli/json_text.h"
#include "cli/size.h"
#include "cli/suggest.h"
#include "cli/table.h"

namespace seawall::cli {
namespace {

constexpr const char* kFooter =
    "\nExit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused, 5 conflict, 6 unreachable,\n"
    "7 timed out, 10 degraded or recovering, 11 unavailable.\n"
    "The cluster is named by --dir, --controller, $SEAWALL_DIR, or is the one last made.\n";

void add_globals(CLI::App& app, Context& context) {
  app.add_option("--dir", context.target.directory, "Directory of the local cluster")
      ->type_name("DIR");
  app.add_option("--controller", context.target.controller, "Address of the controller")
      ->type_name("HOST:PORT");
  app.add_option("--output,-o", context.output, "table or json")
      ->type_name("FORMAT")
      ->check(choice({"table", "json"}));
  app.add_option("--timeout", context.timeout, "How long to wait, such as 30s or 500ms")
      ->type_name("TIME");
}

CLI::App& add_group(CLI::App& app, const char* name, const char* what) {
  CLI::App& group = *app.add_subcommand(name, what);
  group.require_subcommand(1);
  return group;
}

void add_commands(CLI::App& app, Context& context) {
  CLI::App& cluster = add_group(app, "cluster", "A local cluster in a directory");
  add_cluster_up(cluster, context);
  add_cluster_status(cluster, context);
  add_cluster_start(cluster, context);
  add_cluster_stop(cluster, context);
  add_cluster_down(cluster, context);
  CLI::App& volume = add_group(
      app, "volume", "Volumes: create, list, show, change, move, force, accept-loss, delete");
  add_volume_create(volume, context);
  add_volume_list(volume, context);
  add_volume_show(volume, context);
  add_volume_move(volume, context);
  add_volume_force(volume, context);
  add_volume_accept_loss(volume, context);
  add_volume_delete(volume, context);
  add_volume_change(volume, context);
  CLI::App& replica = add_group(app, "replica", "Single replicas of a volume: replace, remove");
  add_replica_replace(replica, context);
  add_replica_remove(replica, context);
  add_replica_retry(replica, context);
  add_attach(app, context);
  add_detach(app, context);
  CLI::App& node = add_group(app, "node", "Nodes of the cluster");
  add_node_list(node, context);
  add_node_drain(node, context);
  add_watch(app, context);
  add_why(app, context);
  add_events(app, context);
  add_bench(app, context);
  CLI::App& wal = add_group(app, "wal", "The log of one replica on disk");
  add_wal_dump(wal, context);
  add_wal_verify(wal, context);
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

// The innermost command that the words reached.
const CLI::App& reached(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  return *at;
}

std::string path_of(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name()
                                     : path_of(*app.get_parent()) + " " + app.get_name();
}

// The words that no command took, in a sentence with the nearest known word.
std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = reached(app);
  const std::vector<std::string> left = app.remaining(true);
  std::string message;
  const std::vector<std::string> known = command_names(command);
  if (!left.empty()) {
    const bool option = left.front().rfind("-", 0) == 0;
    message = fmt::format("{} knows no {} \"{}\"", path_of(command), option ? "option" : "command",
                          left.front());
    const auto near = nearest_word(left.front(), option ? option_names(command) : known);
    if (near) message += fmt::format("; did you mean \"{}\"?", *near);
    if (!near && !option && !known.empty()) {
      message += fmt::format("; it has {}", fmt::join(known, ", "));
    }
  } else if (!known.empty() && command.get_subcommands().empty()) {
    message = fmt::format("{} needs a command: {}", path_of(command), fmt::join(known, ", "));
  } else {
    message = error.what();
  }
  return fmt::format("{}\n  {} --help says more", message, path_of(command));
}

void print_failure(const Context& context, ExitCode code, const std::string& message) {
  if (context.json()) {
    const boost::json::object error{
        {"error",
         {{"code", static_cast<int>(code)}, {"kind", exit_code_name(code)}, {"message", message}}}};
    std::fputs(json_text(error).c_str(), stderr);
  } else {
    std::fputs(fmt::format("{} {}\n", paint("seawall:", Colour::red, wants_colour(stderr)), message)
                   .c_str(),
               stderr);
  }
}

}  // namespace

bool Context::colours() const { return wants_colour(stdout); }

CLI::Validator choice(std::vector<std::string> allowed) {
  const auto check = [allowed = std::move(allowed)](const std::string& text) -> std::string {
    if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return "";
    const auto near = nearest_word(text, allowed);
    return fmt::format("it is \"{}\"; one of {} is wanted{}", text, fmt::join(allowed, ", "),
                       near ? fmt::format("; did you mean {}?", *near) : "");
  };
  return {check, ""};
}

CLI::Validator number_between(std::uint64_t least, std::uint64_t greatest) {
  const auto check = [least, greatest](const std::string& text) -> std::string {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc() && stop == end && value >= least && value <= greatest) return "";
    return fmt::format("it is \"{}\"; a whole number from {} to {} is wanted", text, least,
                       greatest);
  };
  return {check, ""};
}

std::uint64_t Context::timeout_ms(std::uint64_t otherwise) const {
  return timeout.empty() ? otherwise : parse_duration_ms("--timeout", timeout);
}

std::unique_ptr<ControllerClient> Context::controller(std::uint64_t timeout_otherwise_ms) const {
  return std::make_unique<ControllerClient>(resolve_target(target).controller,
                                            timeout_ms(timeout_otherwise_ms));
}

void Context::print(const boost::json::value& json_value, const std::string& text) const {
  std::fputs(json() ? json_text(json_value).c_str() : text.c_str(), stdout);
  std::fflush(stdout);
}

void Context::progress(const std::string& text) const {
  if (json()) return;
  std::fputs((text + "\n").c_str(), stderr);
}

ExitCode run_command_line(const std::vector<std::string>& words) {
  Context context;
  CLI::App app("Seawall: a replicated block store", "seawall");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", SEAWALL_VERSION);
  add_globals(app, context);
  add_commands(app, context);
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    return context.result;
  } catch (const CLI::Success& request) {  // --help, --version
    app.exit(request);
    return ExitCode::done;
  } catch (const CLI::ParseError& error) {
    print_failure(context, ExitCode::usage, explain(app, error));
    return ExitCode::usage;
  } catch (const Failure& failure) {
    print_failure(context, failure.code(), failure.what());
    return failure.code();
  } catch (const std::exception& error) {
    print_failure(context, ExitCode::failed, error.what());
    return ExitCode::failed;
  }
}

}  // namespace seawall::cli
