// seawall volume change NAME ..., seawall replica replace NAME --node BAD, seawall replica remove
// ..., seawall replica retry ...
#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "cli/command.h"
#include "cli/views.h"
#include "engine/base/limits.h"

namespace seawall::cli {
namespace {

constexpr std::uint64_t wait_otherwise_ms = 600'000;
constexpr std::chrono::milliseconds look_again{200};

struct Options {
  pb::ChangeVolumeRequest request;
  std::uint32_t replicas = 0;
  std::uint32_t min_in_sync = 0;
  CLI::Option* replicas_given = nullptr;
  CLI::Option* min_in_sync_given = nullptr;
  bool wait = false;
};

// Until nothing is under way any more; what was committed stays when the time is over.
pb::Volume wait_for_end(ControllerClient& controller, const Context& context, pb::Volume volume) {
  const auto deadline = std::chrono::steady_clock::now() +
                        std::chrono::milliseconds(context.timeout_ms(wait_otherwise_ms));
  std::string said;
  while (volume.has_change()) {
    if (volume.change().waiting() != said) {
      said = volume.change().waiting();
      context.progress(fmt::format("{}: {}", volume.name(), said));
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      throw Failure(ExitCode::timed_out,
                    fmt::format("the change of \"{}\" is committed and not yet in force: {}; "
                                "`seawall volume show {}` tells when it is",
                                volume.name(), said, volume.name()));
    }
    std::this_thread::sleep_for(look_again);
    volume = controller.get_volume(volume.name());
  }
  return volume;
}

// Until the replica on that node counts again.
pb::Volume wait_for_replica(ControllerClient& controller, const Context& context,
                            const std::string& volume, const std::string& node) {
  const auto deadline = std::chrono::steady_clock::now() +
                        std::chrono::milliseconds(context.timeout_ms(wait_otherwise_ms));
  for (;;) {
    pb::Volume now = controller.get_volume(volume);
    std::string state = "gone";
    for (const pb::ReplicaView& replica : now.replicas()) {
      if (replica.node() == node) state = replica.state();
    }
    if (state == "in_sync") return now;
    if (std::chrono::steady_clock::now() >= deadline) {
      throw Failure(ExitCode::timed_out,
                    fmt::format("the replica of \"{}\" on {} is {}; `seawall why {}` tells why",
                                volume, node, state, volume));
    }
    std::this_thread::sleep_for(look_again);
  }
}

void change(const Context& context, Options& options) {
  options.request.set_operation_id(new_operation_id());
  const std::unique_ptr<ControllerClient> controller = context.controller();
  pb::Volume volume = controller->change_volume(options.request);
  if (options.wait) volume = wait_for_end(*controller, context, std::move(volume));
  context.print(volume_json(volume), change_text(volume));
}

CLI::App* add_command(CLI::App& group, const char* name, const char* what,
                      const std::shared_ptr<Options>& options, Context& context) {
  CLI::App* const command = group.add_subcommand(name, what);
  command
      ->add_option_function<std::string>(
          "NAME", [options](const std::string& text) { options->request.set_volume(text); },
          "Name of the volume")
      ->required();
  command->add_flag("--wait", options->wait, "Return when the change is in force");
  command->callback([&context, options] { change(context, *options); });
  return command;
}

}  // namespace

void add_volume_change(CLI::App& volume, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command = add_command(
      volume, "change", "Change replicas, policy or write cache, under running I/O", options,
      context);
  pb::ChangeVolumeRequest& request = options->request;
  options->replicas_given =
      command->add_option("--replicas", options->replicas, "Copies, each on a node of its own")
          ->type_name("N")
          ->check(number_between(1, limits::members_max));
  command
      ->add_option_function<std::string>(
          "--policy", [&request](const std::string& text) { request.set_policy(text); },
          "Which copies must have a write")
      ->type_name("POLICY")
      ->check(choice({"quorum", "in-sync", "all", "best-effort"}));
  command
      ->add_option_function<std::string>(
          "--write-cache", [&request](const std::string& text) { request.set_write_cache(text); },
          "writeback: completed when written, flushed on demand; none: durable when completed")
      ->type_name("CACHE")
      ->check(choice({"writeback", "none"}));
  options->min_in_sync_given =
      command
          ->add_option("--min-in-sync", options->min_in_sync,
                       "in-sync: the least copies that must have a write")
          ->type_name("N")
          ->check(number_between(1, limits::members_max));
  command->add_flag_function(
      "--cancel", [&request](std::int64_t) { request.set_cancel(true); },
      "End the change under way; what is in force stays");
  command->callback([&context, options] {
    if (*options->replicas_given) options->request.set_replicas(options->replicas);
    if (*options->min_in_sync_given) options->request.set_min_in_sync(options->min_in_sync);
    change(context, *options);
  });
}

void add_replica_replace(CLI::App& replica, Context& context) {
  const auto options = std::make_shared<Options>();
  pb::ChangeVolumeRequest& request = options->request;
  CLI::App* const command = add_command(
      replica, "replace", "Put a new replica in the place of one, dead or alive", options, context);
  command
      ->add_option_function<std::string>(
          "--node", [&request](const std::string& text) { request.set_replace_node(text); },
          "Name of the node whose replica goes")
      ->type_name("BAD")
      ->required();
  command
      ->add_option_function<std::string>(
          "--to", [&request](const std::string& text) { request.set_to_node(text); },
          "Name of the node that takes the new one (where there is most room)")
      ->type_name("NODE");
}

void add_replica_remove(CLI::App& replica, Context& context) {
  const auto options = std::make_shared<Options>();
  pb::ChangeVolumeRequest& request = options->request;
  CLI::App* const command =
      add_command(replica, "remove", "Take a replica away without another", options, context);
  command
      ->add_option_function<std::string>(
          "--node", [&request](const std::string& text) { request.set_remove_node(text); },
          "Name of the node whose replica goes")
      ->type_name("NODE")
      ->required();
}

void add_replica_retry(CLI::App& replica, Context& context) {
  const auto options = std::make_shared<Options>();
  pb::ChangeVolumeRequest& request = options->request;
  CLI::App* const command = add_command(
      replica, "retry", "Try a replica again that was given up; its cause is mended", options,
      context);
  command
      ->add_option_function<std::string>(
          "--node", [&request](const std::string& text) { request.set_retry_node(text); },
          "Name of the node whose replica is tried again")
      ->type_name("NODE")
      ->required();
  command->callback([&context, options] {
    options->request.set_operation_id(new_operation_id());
    const std::unique_ptr<ControllerClient> controller = context.controller();
    pb::Volume volume = controller->change_volume(options->request);
    if (options->wait) {
      volume = wait_for_replica(*controller, context, volume.name(), options->request.retry_node());
    }
    context.print(volume_json(volume), fmt::format("{}: the replica on {} is tried again\n",
                                                   volume.name(), options->request.retry_node()));
  });
}

}  // namespace seawall::cli
