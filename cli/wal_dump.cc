// seawall wal dump DIR: the super block and every record of a replica's log.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/json_text.h"
#include "cli/log_view.h"
#include "cli/replica_log.h"

namespace seawall::cli {
namespace {

struct Options {
  std::string directory;
  std::uint64_t from = 0, upto = UINT64_MAX;
  bool headers = false;
};

std::string record_line(const LogRecord& r) {
  return fmt::format("  {:>10} {:>6}  {:12} {:>12} {:>7}  {:>6}/{:<8} {:016x}  log/{} at {}{}\n",
                     r.header.lsn.value(), r.header.term.value(), kind_name(r.header.kind),
                     r.header.lba.value(), r.header.blocks.value(), r.header.attachment.value(),
                     r.header.request.value(), r.header.chain, r.slot, r.offset,
                     (r.header.flags & record_flag_lost) != 0 ? "  LOST" : "");
}

void dump(const Context& context, const Options& options) {
  boost::json::array records;
  std::string lines;
  const ReplicaLog log = read_replica(options.directory, [&](const LogRecord& record) {
    const std::uint64_t lsn = record.header.lsn.value();
    if (options.headers || lsn < options.from || lsn > options.upto) return;
    if (context.json()) {
      records.push_back(record_json(record));
    } else {
      lines += record_line(record);
    }
  });
  boost::json::object json = log_json(log);
  if (!options.headers) json["records"] = std::move(records);
  std::string text = log_text(log, context.colours());
  if (!lines.empty()) {
    text += fmt::format("\n  {:>10} {:>6}  {:12} {:>12} {:>7}  {:>15} {:16}  {}\n", "LSN", "TERM",
                        "KIND", "LBA", "BLOCKS", "ATTACH/REQUEST", "CHAIN", "PLACE");
  }
  context.print(json, text + lines);
}

}  // namespace

void add_wal_dump(CLI::App& wal, Context& context) {
  CLI::App* const command = wal.add_subcommand("dump", "Super block, segments and records");
  const auto options = std::make_shared<Options>();
  command->add_option("DIR", options->directory, "A replica: POOL/replicas/ID, no daemon on it")
      ->required();
  command->add_option("--from", options->from, "First lsn to show")->type_name("LSN");
  command->add_option("--upto", options->upto, "Last lsn to show")->type_name("LSN");
  command->add_flag("--headers", options->headers, "No records, only super block and segments");
  command->callback([&context, options] { dump(context, *options); });
}

}  // namespace seawall::cli
