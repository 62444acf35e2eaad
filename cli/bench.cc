// seawall bench NAME: the client protocol in this process, without a front end in between.
#include <fmt/format.h>

#include <algorithm>

#include "cli/bench_run.h"
#include "cli/command.h"
#include "cli/entropy.h"
#include "cli/size.h"
#include "engine/base/limits.h"

namespace seawall::cli {
namespace {

struct Options {
  std::string volume, access = "randwrite", block_size = "4k", runtime = "10", ramp, region;
  std::size_t depth = 1;
  unsigned read_percent = 70;
  std::uint64_t seed = 0;
  bool verify = false, fill = false;
};

control::AttachmentView view_of(const pb::AttachmentView& from) {
  control::AttachmentView view;
  view.volume = VolumeId{from.volume().hi(), from.volume().lo()};
  view.volume_name = from.volume_name();
  view.incarnation = Incarnation{from.incarnation().hi(), from.incarnation().lo()};
  view.attachment = AttachmentId(from.attachment());
  view.epoch = Epoch(from.epoch());
  view.revision = Revision(from.revision());
  view.primary = ReplicaId(from.primary());
  view.size = BlockCount(from.size_blocks());
  view.io_timeout_ms = from.io_timeout_ms();
  for (const pb::ReplicaAddress& address : from.addresses()) {
    view.addresses.push_back({ReplicaId(address.replica()), NodeId(address.node()),
                              EndpointVersion(address.version()), address.address()});
  }
  return view;
}

BenchOptions bench_options(const Options& options, const Context& context, std::uint64_t bytes) {
  const std::uint64_t request = parse_size("--bs", options.block_size);
  if (request == 0 || request % limits::block_bytes != 0 || request > limits::record_bytes_max) {
    throw Failure(ExitCode::usage, fmt::format("--bs is \"{}\": a multiple of 4KiB up to 1MiB is "
                                               "wanted",
                                               options.block_size));
  }
  std::uint64_t region = options.region.empty() ? bytes : parse_size("--region", options.region);
  region = std::min(region, bytes) / request * request;
  if (region == 0) {
    throw Failure(ExitCode::usage, fmt::format("the part of the volume that is used, {}, is less "
                                               "than one request",
                                               exact_size(std::min(region, bytes))));
  }
  BenchOptions out;
  out.work.access = parse_access(options.access).value();
  out.work.region_blocks = region / limits::block_bytes;
  out.work.request_blocks = request / limits::block_bytes;
  out.work.read_percent = options.read_percent;
  out.work.verify = options.verify;
  out.work.seed = options.seed == 0 ? random_bits() >> 12U : options.seed;
  out.depth = options.depth;
  out.runtime_ms = parse_duration_ms("--runtime", options.runtime);
  out.ramp_ms = options.ramp.empty() ? 0 : parse_duration_ms("--ramp", options.ramp);
  out.connect_timeout_ms = context.timeout_ms(10'000);
  out.once = options.fill;
  return out;
}

// Detaches at the end, however it comes.
class Attached {
 public:
  Attached(ControllerClient& controller, const std::string& volume, std::uint64_t node)
      : controller_(controller), volume_(volume), answer_(controller.attach_volume(volume, node)) {}
  ~Attached() {
    try {
      controller_.detach_volume(volume_, answer_.generation(), false);
    } catch (const std::exception& error) {
      std::fputs(fmt::format("seawall: {} stays attached: {}\n", volume_, error.what()).c_str(),
                 stderr);
    }
  }
  Attached(const Attached&) = delete;
  Attached& operator=(const Attached&) = delete;
  [[nodiscard]] const pb::AttachVolumeResponse& answer() const { return answer_; }

 private:
  ControllerClient& controller_;
  const std::string volume_;
  const pb::AttachVolumeResponse answer_;
};

std::uint64_t node_for(const pb::Volume& volume) {
  if (volume.attachments_size() > 0) {
    throw Failure(ExitCode::conflict,
                  fmt::format("volume \"{}\" is attached at {}; `seawall detach {}` frees it",
                              volume.name(), volume.attachments(0).node(), volume.name()));
  }
  for (const pb::ReplicaView& replica : volume.replicas()) {
    if (replica.id() == volume.primary()) return replica.node_id();
  }
  throw Failure(ExitCode::refused, fmt::format("volume \"{}\" has no primary yet", volume.name()));
}

double microseconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1000; }

boost::json::object latency_json(const LatencyHistogram& histogram) {
  return {{"count", histogram.count()},
          {"min", microseconds(histogram.min())},
          {"mean", histogram.mean() / 1000},
          {"p50", microseconds(histogram.percentile(0.5))},
          {"p90", microseconds(histogram.percentile(0.9))},
          {"p99", microseconds(histogram.percentile(0.99))},
          {"p99_9", microseconds(histogram.percentile(0.999))},
          {"max", microseconds(histogram.max())}};
}

boost::json::object result_json(const Options& options, const BenchOptions& run,
                                const BenchResult& result) {
  LatencyHistogram all = result.reads;
  all.merge(result.writes);
  const double iops = static_cast<double>(all.count()) / result.seconds;
  const double bytes = static_cast<double>(run.work.request_blocks * limits::block_bytes);
  return {{"volume", options.volume},
          {"rw", options.access},
          {"block_bytes", run.work.request_blocks * limits::block_bytes},
          {"iodepth", run.depth},
          {"region_bytes", run.work.region_blocks * limits::block_bytes},
          {"seed", run.work.seed},
          {"seconds", result.seconds},
          {"ios", all.count()},
          {"reads", result.reads.count()},
          {"writes", result.writes.count()},
          {"ramp_ios", result.ramp_ios},
          {"iops", iops},
          {"mb_per_s", iops * bytes / 1e6},
          {"latency_us", latency_json(all)},
          {"read_latency_us", latency_json(result.reads)},
          {"write_latency_us", latency_json(result.writes)},
          {"errors", result.errors},
          {"verify", run.work.verify},
          {"blocks_verified", result.blocks_verified},
          {"mismatches", result.mismatches}};
}

std::string result_text(const Options& options, const BenchOptions& run,
                        const BenchResult& result) {
  LatencyHistogram all = result.reads;
  all.merge(result.writes);
  const double iops = static_cast<double>(all.count()) / result.seconds;
  const double bytes = static_cast<double>(run.work.request_blocks * limits::block_bytes);
  std::string text = fmt::format(
      "{} {} bs {} iodepth {}: {:.0f} IOPS, {:.1f} MB/s over {:.1f} s\n"
      "  latency us: min {:.0f}  p50 {:.0f}  p90 {:.0f}  p99 {:.0f}  p99.9 {:.0f}  max {:.0f}\n",
      options.volume, options.access, exact_size(run.work.request_blocks * limits::block_bytes),
      run.depth, iops, iops * bytes / 1e6, result.seconds, microseconds(all.min()),
      microseconds(all.percentile(0.5)), microseconds(all.percentile(0.9)),
      microseconds(all.percentile(0.99)), microseconds(all.percentile(0.999)),
      microseconds(all.max()));
  if (run.work.verify) {
    text += fmt::format("  verified {} blocks, {} of them wrong\n", result.blocks_verified,
                        result.mismatches);
  }
  return text;
}

void bench(Context& context, const Options& options) {
  const std::unique_ptr<ControllerClient> controller = context.controller();
  const pb::Volume volume = controller->get_volume_with_primary(options.volume);
  const BenchOptions run = bench_options(options, context, volume.size_bytes());
  const Attached attached(*controller, options.volume, node_for(volume));
  const BenchResult result = run_bench(view_of(attached.answer().view()), run);
  context.print(result_json(options, run, result), result_text(options, run, result));
  if (result.errors == 0 && result.mismatches == 0) return;
  throw Failure(ExitCode::failed,
                fmt::format("{} requests failed and {} blocks were wrong; the first: "
                            "{}",
                            result.errors, result.mismatches, result.first_problem));
}

}  // namespace

void add_bench(CLI::App& app, Context& context) {
  CLI::App* const command =
      app.add_subcommand("bench", "Measure a volume; what it held is overwritten by writes");
  const auto options = std::make_shared<Options>();
  command->add_option("NAME", options->volume, "Name of the volume, not attached")->required();
  command->add_option("--rw", options->access, "What to ask for")
      ->type_name("ACCESS")
      ->check(choice({"randwrite", "randread", "write", "read", "randrw"}));
  command->add_option("--bs", options->block_size, "Size of a request (4k)")->type_name("SIZE");
  command->add_option("--iodepth", options->depth, "Open requests (1)")
      ->type_name("N")
      ->check(number_between(1, limits::queue_depth_max));
  command->add_option("--runtime", options->runtime, "How long to measure (10s)")
      ->type_name("TIME");
  command->add_option("--ramp", options->ramp, "How long to warm up before")->type_name("TIME");
  command->add_option("--region", options->region, "Use only so much of the volume, from its start")
      ->type_name("SIZE");
  command->add_option("--read-percent", options->read_percent, "Of randrw (70)")
      ->type_name("N")
      ->check(number_between(0, 100));
  command->add_option("--seed", options->seed, "Of the requests (random)")->type_name("N");
  command->add_flag("--verify", options->verify,
                    "Check each block that is read, and read back all that was written");
  command->add_flag("--fill", options->fill,
                    "Each block once instead of for a time; with --rw write");
  command->callback([&context, options] {
    if (options->fill && options->access != "write" && options->access != "read") {
      throw Failure(
          ExitCode::usage,
          fmt::format("--fill goes with --rw write or read, not with \"{}\"", options->access));
    }
    bench(context, *options);
  });
}

}  // namespace seawall::cli
