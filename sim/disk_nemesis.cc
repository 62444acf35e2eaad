#include "sim/disk_nemesis.h"

#include <utility>

namespace seawall::sim {
namespace {

using Fault = wal::MemDisk::Fault;
using Effect = wal::MemDisk::Effect;
using OpKind = wal::Op::Kind;

constexpr int io_error = 5;
constexpr std::uint64_t page = wal::MemDisk::page_bytes;

}  // namespace

void DiskNemesis::start() {
  active_ = true;
  arm(options_.read_error, &DiskNemesis::read_error);
  arm(options_.write_error, &DiskNemesis::write_error);
  arm(options_.flush_error, &DiskNemesis::flush_error);
  arm(options_.bit_flip, &DiskNemesis::bit_flip);
  arm(options_.lost_write, &DiskNemesis::lost_write);
  arm(options_.misdirected_write, &DiskNemesis::misdirected_write);
  arm(options_.stale_read, &DiskNemesis::stale_read);
  arm(options_.lying_flush, &DiskNemesis::lying_flush);
  arm(options_.slow_disk, &DiskNemesis::slow_disk);
  arm(options_.hung_disk, &DiskNemesis::hung_disk);
}

void DiskNemesis::heal() {
  active_ = false;
  for (NodeNumber node = 1; node <= cluster_.machines(); ++node) {
    cluster_.set_slow_disk(node, 0);
    cluster_.disks_of(node).set_hung(false);
    for (const auto& [replica, entry] : cluster_.disks_of(node).entries()) {
      entry.disk->clear_faults();
    }
  }
}

void DiskNemesis::arm(Micros mean, Strike strike) {
  if (mean == 0) return;
  scheduler_.after(1 + prng_.below(2 * mean), world, [this, mean, strike] {
    if (!active_) return;
    const bool quiet = quiet_ && quiet_();
    if (!quiet && cluster_.options().strikes.takes(next_strike_++)) strike_one(strike);
    arm(mean, strike);
  });
}

// A drawn replica of a drawn machine.
void DiskNemesis::strike_one(Strike strike) {
  const NodeNumber node = 1 + static_cast<NodeNumber>(prng_.below(cluster_.storage_nodes()));
  const auto& entries = cluster_.disks_of(node).entries();
  const std::uint64_t skip = prng_.next();
  if (entries.empty() || !cluster_.running(node)) return;
  auto it = entries.begin();
  std::advance(it, static_cast<std::ptrdiff_t>(skip % entries.size()));
  if (!it->second.complete) return;
  ++strikes_;
  (this->*strike)(node, *it->second.disk);
}

std::string DiskNemesis::draw_file(bool also_map) {
  const std::uint64_t draw = prng_.below(also_map ? 10 : 8);
  return draw < 5 ? "log/" : draw < 8 ? "base" : "map";
}

// Leaves wrong bytes behind, or may.
void DiskNemesis::inject(NodeNumber node, wal::MemDisk& disk, const Fault& fault) {
  if (disk.has_faults()) return;  // one after the other: they must not pile up on an idle disk
  if (!options_.beyond && !cluster_.may_doubt(node)) return;
  using enum wal::MemDisk::Effect;
  cluster_.disk_damaged(node, fault.effect != fail && fault.effect != stale);
  disk.inject(fault);
}

void DiskNemesis::read_error(NodeNumber node, wal::MemDisk& disk) {
  Fault fault{.kind = OpKind::read, .error = io_error};
  fault.file = draw_file(true);
  fault.skip = prng_.below(5);
  inject(node, disk, fault);
}

void DiskNemesis::write_error(NodeNumber node, wal::MemDisk& disk) {
  Fault fault{.kind = OpKind::write, .error = io_error};
  fault.file = prng_.coin() ? "" : draw_file(true);
  fault.skip = prng_.below(5);
  inject(node, disk, fault);
}

void DiskNemesis::flush_error(NodeNumber node, wal::MemDisk& disk) {
  Fault fault{.kind = OpKind::sync, .error = io_error};
  fault.file = prng_.coin() ? "" : draw_file(true);
  fault.skip = prng_.below(5);
  inject(node, disk, fault);
}

void DiskNemesis::bit_flip(NodeNumber node, wal::MemDisk& disk) {
  const std::string kind = draw_file(true);
  const std::string file =
      kind == "log/" ? "log/" + std::to_string(prng_.below(limits::segments_per_log)) : kind;
  const std::uint64_t draw = prng_.next();
  const auto bit = static_cast<unsigned>(prng_.below(8));
  if (!options_.beyond && !cluster_.may_doubt(node)) return;
  const std::vector<std::uint64_t> used = disk.used_pages(file);
  if (used.empty()) return;
  cluster_.disk_damaged(node, true);
  const std::uint64_t at = used[draw % used.size()] * page + (draw >> 40) % page;
  disk.flip_bit(file, at, bit);
}

void DiskNemesis::lost_write(NodeNumber node, wal::MemDisk& disk) {
  Fault fault{.kind = OpKind::write, .effect = Effect::lose};
  fault.file = draw_file(false);
  fault.skip = prng_.below(5);
  inject(node, disk, fault);
}

void DiskNemesis::misdirected_write(NodeNumber node, wal::MemDisk& disk) {
  Fault fault{.kind = OpKind::write, .effect = Effect::misdirect};
  fault.file = "base";
  fault.skip = prng_.below(5);
  fault.shift = static_cast<std::int64_t>(prng_.range(1, 16) * page);
  if (prng_.coin()) fault.shift = -fault.shift;
  inject(node, disk, fault);
}

void DiskNemesis::stale_read(NodeNumber node, wal::MemDisk& disk) {
  Fault fault{.kind = OpKind::read, .effect = Effect::stale};
  fault.file = draw_file(false);
  fault.skip = prng_.below(5);
  inject(node, disk, fault);
}

void DiskNemesis::lying_flush(NodeNumber node, wal::MemDisk& disk) {
  Fault fault{.kind = OpKind::sync, .effect = Effect::lie};
  fault.file = draw_file(false);
  fault.skip = prng_.below(5);
  inject(node, disk, fault);
}

void DiskNemesis::slow_disk(NodeNumber node, wal::MemDisk&) {
  cluster_.set_slow_disk(node, prng_.range(5 * ms, 1 * seconds));
  scheduler_.after(prng_.range(100 * ms, 8 * seconds), world,
                   [this, node] { cluster_.set_slow_disk(node, 0); });
}

void DiskNemesis::hung_disk(NodeNumber node, wal::MemDisk&) {
  cluster_.disks_of(node).set_hung(true);
  scheduler_.after(prng_.range(500 * ms, 30 * seconds), world,
                   [this, node] { cluster_.disks_of(node).set_hung(false); });
}

}  // namespace seawall::sim
