// What every command shares: global options, output, and how it is added to the command line.
//
// Each command is one file with one function add_*(): it declares the command's options and, as its
// callback, what it does. Thread: main. Errors: Failure, caught in run_command_line().
#pragma once

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/failure.h"
#include "cli/rpc.h"
#include "cli/target.h"

namespace seawall::cli {

struct Context {
  TargetOptions target;
  std::string output = "table";  // or json
  std::string timeout;           // as typed; empty: the command's own
  ExitCode result = ExitCode::done;

  [[nodiscard]] bool json() const { return output == "json"; }
  [[nodiscard]] bool colours() const;
  [[nodiscard]] std::uint64_t timeout_ms(std::uint64_t otherwise) const;

  // The client of the cluster that the options name.
  [[nodiscard]] std::unique_ptr<ControllerClient> controller(
      std::uint64_t timeout_otherwise_ms = 30'000) const;

  // The one result of a command: JSON with --output json, else the text.
  void print(const boost::json::value& json, const std::string& text) const;
  // A remark for people, on standard error, not with --output json.
  void progress(const std::string& text) const;
};

// Checks for option values that answer in our words: value, and what would be right.
CLI::Validator choice(std::vector<std::string> allowed);
CLI::Validator number_between(std::uint64_t least, std::uint64_t greatest);

void add_cluster_up(CLI::App& cluster, Context& context);
void add_cluster_status(CLI::App& cluster, Context& context);
void add_cluster_start(CLI::App& cluster, Context& context);
void add_cluster_stop(CLI::App& cluster, Context& context);
void add_cluster_down(CLI::App& cluster, Context& context);
void add_volume_create(CLI::App& volume, Context& context);
void add_volume_list(CLI::App& volume, Context& context);
void add_volume_show(CLI::App& volume, Context& context);
void add_volume_move(CLI::App& volume, Context& context);
void add_volume_force(CLI::App& volume, Context& context);
void add_volume_accept_loss(CLI::App& volume, Context& context);
void add_volume_delete(CLI::App& volume, Context& context);
void add_volume_change(CLI::App& volume, Context& context);
void add_replica_replace(CLI::App& replica, Context& context);
void add_replica_remove(CLI::App& replica, Context& context);
void add_replica_retry(CLI::App& replica, Context& context);
void add_bench(CLI::App& app, Context& context);
void add_attach(CLI::App& app, Context& context);
void add_detach(CLI::App& app, Context& context);
void add_node_list(CLI::App& node, Context& context);
void add_node_drain(CLI::App& node, Context& context);
void add_wal_dump(CLI::App& wal, Context& context);
void add_wal_verify(CLI::App& wal, Context& context);
void add_events(CLI::App& app, Context& context);
void add_watch(CLI::App& app, Context& context);
void add_why(CLI::App& app, Context& context);

}  // namespace seawall::cli
