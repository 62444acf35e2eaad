// seawall volume create NAME --size SIZE ...
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/size.h"
#include "cli/views.h"
#include "engine/base/limits.h"

namespace seawall::cli {
namespace {

struct Options {
  std::string name, size, log_size, io_timeout;
  std::string policy, write_cache = "writeback";
  std::uint32_t replicas = 0;
  std::uint32_t min_in_sync = 0;
  CLI::Option* min_in_sync_given = nullptr;
};

pb::CreateVolumeRequest request_of(const Options& options) {
  pb::CreateVolumeRequest request;
  request.set_operation_id(new_operation_id());
  request.set_name(options.name);
  request.set_size_bytes(parse_volume_size("--size", options.size));
  request.set_replicas(options.replicas);
  request.set_policy(options.policy);
  request.set_write_cache(options.write_cache);
  if (!options.log_size.empty()) request.set_log_bytes(parse_size("--log-size", options.log_size));
  if (*options.min_in_sync_given) request.set_min_in_sync(options.min_in_sync);
  if (!options.io_timeout.empty()) {
    request.set_io_timeout_ms(parse_duration_ms("--io-timeout", options.io_timeout));
  }
  return request;
}

}  // namespace

void add_volume_create(CLI::App& volume, Context& context) {
  CLI::App* const command = volume.add_subcommand("create", "Create a volume");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("NAME", options->name, "Name: letters, digits, - and .; at most 63 characters")
      ->required();
  command->add_option("--size", options->size, "Size, such as 1GiB: a multiple of 4KiB")
      ->required()
      ->type_name("SIZE");
  command->add_option("--replicas", options->replicas, "Copies, each on a node of its own (3)")
      ->type_name("N")
      ->check(number_between(1, limits::members_max));
  command
      ->add_option("--policy", options->policy,
                   "Which copies must have a write (quorum; 2: in-sync)")
      ->type_name("POLICY")
      ->check(choice({"quorum", "in-sync", "all", "best-effort"}));
  command
      ->add_option(
          "--write-cache", options->write_cache,
          "writeback: completed when written, flushed on demand; none: durable when completed")
      ->type_name("CACHE")
      ->check(choice({"writeback", "none"}));
  command->add_option("--log-size", options->log_size, "Log of each replica (by the volume's size)")
      ->type_name("SIZE");
  options->min_in_sync_given =
      command
          ->add_option("--min-in-sync", options->min_in_sync,
                       "in-sync: the least copies that must have a write (replicas - 1)")
          ->type_name("N")
          ->check(number_between(1, limits::members_max));
  command
      ->add_option("--io-timeout", options->io_timeout,
                   "How long I/O is held while no primary serves (30s)")
      ->type_name("TIME");
  command->callback([&context, options] {
    const pb::CreateVolumeRequest request = request_of(*options);
    const pb::Volume made = context.controller()->create_volume(request);
    context.print(volume_json(made),
                  fmt::format("created {}: {}, {} replicas, policy {}, write cache {}\n",
                              made.name(), human_size(made.size_bytes()), made.replicas_size(),
                              policy_name(made), made.write_cache()));
  });
}

}  // namespace seawall::cli
