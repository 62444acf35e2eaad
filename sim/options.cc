#include "sim/options.h"

#include <algorithm>
#include <array>

namespace seawall::sim {
namespace {

// On in `on` of 100 runs, with a mean interval drawn between the two.
Micros rate(Prng& prng, std::uint64_t on, Micros low, Micros high) {
  const bool wanted = prng.chance(percent(on));
  const Micros mean = prng.range(low, high);
  return wanted ? mean : 0;
}

std::string draw_policy(Prng& prng) {
  const std::uint64_t draw = prng.below(100);
  return draw < 70 ? "quorum" : draw < 85 ? "in-sync" : draw < 93 ? "all" : "best-effort";
}

void draw_network(Prng& prng, NetworkOptions& network) {
  network.latency_min = prng.range(20, 200);
  network.latency_max = network.latency_min + prng.range(50, 3 * ms);
  if (prng.chance(percent(40))) network.spike = Ratio{1, prng.range(20, 400)};
  network.spike_max = prng.range(5 * ms, 800 * ms);
  if (prng.chance(percent(30))) network.cut = Ratio{1, prng.range(200, 4000)};
  if (prng.chance(percent(20))) network.flip = Ratio{1, prng.range(500, 5000)};
  network.chunk_bytes_max = prng.coin()                ? 64 * 1024
                            : prng.chance(percent(90)) ? prng.range(1000, 16 * 1024)
                                                       : prng.range(20, 500);
  network.socket_buffer_bytes = prng.range(16 * 1024, 512 * 1024);
  network.user_timeout = prng.range(2 * seconds, 12 * seconds);
}

void draw_workload(Prng& prng, WorkloadOptions& workload, std::uint64_t log_bytes) {
  constexpr std::array<std::uint64_t, 4> sizes = {64, 256, 1024, 4096};
  workload.volume_blocks = sizes[prng.below(sizes.size())];
  workload.queue_depth = static_cast<std::uint32_t>(prng.range(1, 32));
  // A record is at most a quarter of a segment, a segment a sixteenth of the log.
  const std::uint64_t record_blocks =
      log_bytes / limits::segments_per_log / 4 / limits::block_bytes;
  workload.blocks_max = static_cast<std::uint32_t>(
      prng.range(1, std::min<std::uint64_t>({record_blocks, 64, workload.volume_blocks})));
  // Some runs live on writes of whole extents.
  if (record_blocks >= 16 && workload.volume_blocks >= 64 && prng.chance(percent(50))) {
    workload.blocks_max = std::max(workload.blocks_max, 16u);
  }
  // Some hundred requests a second, however deep the queue: more seeds find more than longer ones.
  workload.think_max = workload.queue_depth * prng.range(3 * ms, 25 * ms);
  workload.weight_write = static_cast<std::uint32_t>(prng.range(20, 80));
  workload.weight_read = static_cast<std::uint32_t>(prng.range(10, 60));
  workload.weight_flush = static_cast<std::uint32_t>(prng.below(15));
  workload.weight_discard = static_cast<std::uint32_t>(prng.below(8));
  workload.weight_zero = static_cast<std::uint32_t>(prng.below(8));
  workload.fua = percent(prng.below(30));
  workload.hot = percent(prng.below(80));
  workload.hot_blocks = prng.range(1, std::min<std::uint64_t>(16, workload.volume_blocks));
}

void draw_faults(Prng& prng, FaultOptions& faults) {
  faults.crash = rate(prng, 60, 1 * seconds, 8 * seconds);
  faults.power_loss = rate(prng, 40, 3 * seconds, 10 * seconds);
  faults.power_loss_all = rate(prng, 15, 8 * seconds, 20 * seconds);
  faults.pause = rate(prng, 30, 1 * seconds, 8 * seconds);
  faults.partition = rate(prng, 40, 2 * seconds, 8 * seconds);
  faults.one_way = rate(prng, 30, 2 * seconds, 8 * seconds);
  faults.reset = rate(prng, 40, 200 * ms, 4 * seconds);
  faults.control_cut = rate(prng, 30, 2 * seconds, 8 * seconds);
  faults.controller_crash = rate(prng, 30, 2 * seconds, 10 * seconds);
  faults.client_crash = rate(prng, 20, 4 * seconds, 12 * seconds);
  if (prng.chance(percent(25))) faults.crash_in_blocking = percent(prng.range(2, 30));
  if (prng.chance(percent(30))) faults.control_duplicate = percent(prng.range(1, 20));
  faults.strike_after_flush = Ratio{1, prng.range(5, 100)};
  faults.beyond_tolerance = prng.chance(percent(20));
  faults.down_max = prng.range(10 * ms, 5 * seconds);
  faults.cut_max = prng.range(100 * ms, 10 * seconds);
  faults.pause_max = prng.range(10 * ms, 5 * seconds);
}

// Other volumes with other policies on the same machines, with a smaller load each.
void draw_more_volumes(RunOptions& options) {
  Prng prng(options.seed ^ 0x766f6c756d6573ull);
  if (!prng.chance(percent(20))) return;
  const std::uint64_t count = prng.range(1, 3);
  for (std::uint64_t i = 0; i < count; ++i) {
    VolumeOptions volume;
    volume.policy = draw_policy(prng);
    volume.write_cache = prng.chance(percent(80)) ? "writeback" : "none";
    volume.replicas = std::min<std::uint32_t>(options.nodes, prng.coin() ? 3 : 2);
    draw_workload(prng, volume.workload, options.log_bytes);
    volume.workload.think_max *= 2;
    if (options.network.chunk_bytes_max < 1000) volume.workload.blocks_max = 1;
    options.more_volumes.push_back(volume);
  }
}

// Which kinds this run may have, and which it must.
class Kinds {
 public:
  Kinds(Prng& prng, const Overrides& overrides)
      : prng_(prng), may_(default_fault_kinds()), must_(overrides.with) {}
  // The mean interval of a kind that `on` of 100 runs have.
  Micros rate(FaultKind kind, std::uint64_t on, Micros low, Micros high) {
    const bool wanted = prng_.chance(percent(on));
    const Micros mean = prng_.range(low, high);
    return must_.has(kind) || (may_.has(kind) && wanted) ? mean : 0;
  }
  Ratio ratio(FaultKind kind, std::uint64_t on, std::uint64_t low, std::uint64_t high) {
    return Ratio{rate(kind, on, low, high), 100};
  }

 private:
  Prng& prng_;
  FaultKinds may_, must_;
};

// Drawn from generators of their own: a new kind leaves what older ones draw as it was.
void draw_disk_faults(std::uint64_t seed, const Overrides& overrides, RunOptions& options) {
  Prng prng(seed ^ 0x6469736b73ull);
  Kinds kinds(prng, overrides);
  DiskFaultOptions& disk = options.disk_faults;
  disk.read_error = kinds.rate(FaultKind::read_error, 8, 1 * seconds, 8 * seconds);
  disk.write_error = kinds.rate(FaultKind::write_error, 8, 2 * seconds, 12 * seconds);
  disk.flush_error = kinds.rate(FaultKind::flush_error, 8, 2 * seconds, 12 * seconds);
  disk.bit_flip = kinds.rate(FaultKind::bit_flip, 12, 500 * ms, 8 * seconds);
  disk.lost_write = kinds.rate(FaultKind::lost_write, 6, 2 * seconds, 12 * seconds);
  disk.misdirected_write = kinds.rate(FaultKind::misdirected_write, 6, 1 * seconds, 8 * seconds);
  disk.stale_read = kinds.rate(FaultKind::stale_read, 6, 1 * seconds, 8 * seconds);
  disk.lying_flush = kinds.rate(FaultKind::lying_flush, 6, 1 * seconds, 8 * seconds);
  disk.slow_disk = kinds.rate(FaultKind::slow_disk, 15, 2 * seconds, 10 * seconds);
  disk.hung_disk = kinds.rate(FaultKind::hung_disk, 8, 5 * seconds, 20 * seconds);
  disk.beyond = overrides.beyond;
}

void draw_time_and_place(std::uint64_t seed, const Overrides& overrides, RunOptions& options) {
  Prng prng(seed ^ 0x74696d65ull);
  Kinds kinds(prng, overrides);
  FaultOptions& faults = options.faults;
  // Two clocks may differ by 1/64 (engine/lease.h): each by less than 1/128 from the world's.
  options.clock_drift_ppm_max =
      static_cast<std::uint32_t>(kinds.rate(FaultKind::clock_drift, 50, 10, 7700));
  faults.long_pause = kinds.rate(FaultKind::long_pause, 15, 1 * seconds, 6 * seconds);
  faults.controller_rival = kinds.rate(FaultKind::controller_rival, 15, 3 * seconds, 12 * seconds);
  faults.lost_replies = kinds.ratio(FaultKind::lost_replies, 25, 1, 15);
  faults.new_address = kinds.ratio(FaultKind::new_address, 20, 10, 60);
  faults.address_reuse = kinds.rate(FaultKind::address_reuse, 50, 1, 1) != 0;
}

void draw_places_of_copies(std::uint64_t seed, const Overrides& overrides, RunOptions& options) {
  Prng prng(seed ^ 0x706c6163ull);
  Kinds kinds(prng, overrides);
  FaultOptions& faults = options.faults;
  faults.membership = kinds.rate(FaultKind::membership, 20, 1 * seconds, 6 * seconds);
  faults.swapped_disks = kinds.rate(FaultKind::swapped_disks, 5, 3 * seconds, 12 * seconds);
  faults.cloned_disk = kinds.rate(FaultKind::cloned_disk, 8, 2 * seconds, 8 * seconds);
  faults.old_copy = kinds.rate(FaultKind::old_copy, 5, 3 * seconds, 12 * seconds);
  // A copy that is to go elsewhere needs somewhere to go.
  const bool elsewhere = prng.chance(percent(70));
  const auto more = static_cast<std::uint32_t>(prng.range(4, 5));
  if ((faults.membership != 0 || faults.cloned_disk != 0) && elsewhere && !overrides.nodes) {
    options.nodes = std::max(options.nodes, more);
  }
}

}  // namespace

RunOptions draw_options(std::uint64_t seed, const Overrides& overrides) {
  Prng prng(seed);
  RunOptions options;
  options.seed = seed;
  options.nodes = prng.chance(percent(80)) ? 3 : static_cast<std::uint32_t>(prng.range(2, 5));
  options.client_apart = prng.chance(percent(60));
  options.policy = draw_policy(prng);
  options.write_cache = prng.chance(percent(80)) ? "writeback" : "none";
  constexpr std::array<std::uint64_t, 4> logs = {1 << 20, 1 << 20, 4 << 20, 16 << 20};
  options.log_bytes = logs[prng.below(logs.size())];
  options.chaos = prng.range(8 * seconds, 30 * seconds);
  options.disk_write_max = prng.range(20, 2 * ms);
  options.disk_sync_max = prng.range(100, 10 * ms);
  options.disk_read_max = prng.range(20, 1 * ms);
  options.timer_lateness_max = prng.below(20 * ms);
  options.blocking_max = prng.range(100, 40 * ms);
  draw_network(prng, options.network);
  draw_workload(prng, options.workload, options.log_bytes);
  draw_faults(prng, options.faults);
  Prng moves(seed ^ 0x6d6f766573ull);  // its own: a seed's other faults stay what they were
  options.faults.planned_move = rate(moves, 25, 2 * seconds, 8 * seconds);
  if (overrides.nodes) options.nodes = *overrides.nodes;
  if (overrides.policy) options.policy = *overrides.policy;
  if (overrides.write_cache) options.write_cache = *overrides.write_cache;
  if (overrides.log_bytes) options.log_bytes = *overrides.log_bytes;
  // Without folded records a short absence costs a rebuild: half of the runs live that way.
  if (Prng(seed ^ 0x6b656570ull).coin()) options.keep_log_percent = 0;
  draw_disk_faults(seed, overrides, options);
  draw_time_and_place(seed, overrides, options);
  draw_places_of_copies(seed, overrides, options);
  options.beyond = overrides.beyond;
  options.faults.beyond_tolerance = options.faults.beyond_tolerance || overrides.beyond;
  if (overrides.no_faults) {
    options.faults = FaultOptions{};
    options.disk_faults = DiskFaultOptions{};
    options.clock_drift_ppm_max = 0;
    options.network.spike = options.network.cut = options.network.flip = Ratio{0, 1};
  }
  if (options.network.chunk_bytes_max < 1000) {
    // Rates are a chunk: with tiny ones nothing would ever get through, and nothing would end.
    options.network.cut = options.network.flip = options.network.spike = Ratio{0, 1};
    options.workload.blocks_max = std::min<std::uint32_t>(options.workload.blocks_max, 2);
  }
  if (overrides.chaos) options.chaos = *overrides.chaos;
  if (overrides.generation != nullptr) options.generation = overrides.generation;
  options.strikes = overrides.strikes;
  if (overrides.operations) {
    options.workload.operations = *overrides.operations;
    for (VolumeOptions& volume : options.more_volumes) {
      volume.workload.operations = *overrides.operations;
    }
  }
  options.canary = overrides.canary;
  options.replicas = std::min<std::uint32_t>(options.nodes, 3);
  if (options.nodes >= 5 && prng.coin()) options.replicas = 5;
  draw_more_volumes(options);
  return options;
}

std::string describe(const RunOptions& o) {
  std::string text;
  const auto add = [&text](const char* name, std::uint64_t value) {
    text += std::string(" ") + name + "=" + std::to_string(value);
  };
  const auto add_rate = [&](const char* name, Micros value) {
    if (value != 0) add(name, value / ms);
  };
  text = "policy=" + o.policy + " write_cache=" + o.write_cache;
  add("nodes", o.nodes);
  add("replicas", o.replicas);
  add("client_apart", o.client_apart ? 1 : 0);
  add("volume_blocks", o.workload.volume_blocks);
  add("log_bytes", o.log_bytes);
  add("keep_log", o.keep_log_percent);
  add("depth", o.workload.queue_depth);
  add("blocks_max", o.workload.blocks_max);
  add("chaos_ms", o.chaos / ms);
  add("chunk", o.network.chunk_bytes_max);
  if (o.network.spike.numerator != 0) add("spike_1_in", o.network.spike.denominator);
  if (o.network.cut.numerator != 0) add("cut_1_in", o.network.cut.denominator);
  if (o.network.flip.numerator != 0) add("flip_1_in", o.network.flip.denominator);
  const FaultOptions& f = o.faults;
  add_rate("crash_ms", f.crash);
  add_rate("power_loss_ms", f.power_loss);
  add_rate("power_loss_all_ms", f.power_loss_all);
  add_rate("pause_ms", f.pause);
  add_rate("partition_ms", f.partition);
  add_rate("one_way_ms", f.one_way);
  add_rate("reset_ms", f.reset);
  add_rate("control_cut_ms", f.control_cut);
  add_rate("controller_crash_ms", f.controller_crash);
  add_rate("client_crash_ms", f.client_crash);
  add_rate("long_pause_ms", f.long_pause);
  add_rate("controller_rival_ms", f.controller_rival);
  add_rate("membership_ms", f.membership);
  add_rate("swapped_disks_ms", f.swapped_disks);
  add_rate("cloned_disk_ms", f.cloned_disk);
  add_rate("old_copy_ms", f.old_copy);
  if (f.lost_replies.numerator != 0) add("lost_replies_pct", f.lost_replies.numerator);
  if (f.new_address.numerator != 0) add("new_address_pct", f.new_address.numerator);
  if (f.new_address.numerator != 0 && f.address_reuse) text += " address_reuse";
  if (o.clock_drift_ppm_max != 0) add("clock_drift_ppm", o.clock_drift_ppm_max);
  const DiskFaultOptions& d = o.disk_faults;
  add_rate("read_error_ms", d.read_error);
  add_rate("write_error_ms", d.write_error);
  add_rate("flush_error_ms", d.flush_error);
  add_rate("bit_flip_ms", d.bit_flip);
  add_rate("lost_write_ms", d.lost_write);
  add_rate("misdirected_write_ms", d.misdirected_write);
  add_rate("stale_read_ms", d.stale_read);
  add_rate("lying_flush_ms", d.lying_flush);
  add_rate("slow_disk_ms", d.slow_disk);
  add_rate("hung_disk_ms", d.hung_disk);
  if (o.beyond) text += " beyond";
  add_rate("planned_move_ms", f.planned_move);
  if (f.crash_in_blocking.numerator != 0)
    add("crash_in_blocking_pct", f.crash_in_blocking.numerator);
  if (f.control_duplicate.numerator != 0)
    add("control_duplicate_pct", f.control_duplicate.numerator);
  for (const VolumeOptions& v : o.more_volumes) {
    text += " and volume(policy=" + v.policy + " write_cache=" + v.write_cache;
    add("replicas", v.replicas);
    add("volume_blocks", v.workload.volume_blocks);
    text += ")";
  }
  if (f.beyond_tolerance) text += " beyond_tolerance";
  return text;
}

}  // namespace seawall::sim
