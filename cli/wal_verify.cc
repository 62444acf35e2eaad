// seawall wal verify DIR: reads super block and log as opening does, and says what it would find.
#include "cli/command.h"
#include "cli/log_view.h"
#include "cli/replica_log.h"

namespace seawall::cli {

void add_wal_verify(CLI::App& wal, Context& context) {
  CLI::App* const command = wal.add_subcommand(
      "verify", "Check super block and log; the exit code is 1 when something is damaged");
  const auto directory = std::make_shared<std::string>();
  command->add_option("DIR", *directory, "A replica: POOL/replicas/ID, no daemon on it")
      ->required();
  command->callback([&context, directory] {
    const ReplicaLog log = read_replica(*directory, [](const LogRecord&) {});
    context.print(log_json(log), log_text(log, context.colours()));
    if (!is_sound(log)) context.result = ExitCode::failed;
  });
}

}  // namespace seawall::cli
