#include "sim/fault_kinds.h"

#include <algorithm>
#include <array>

namespace seawall::sim {
namespace {

using K = FaultKind;

constexpr std::array table = {
    FaultKindInfo{K::crash, "crash", true, "a process dies"},
    FaultKindInfo{K::power_loss, "power-loss", true, "a machine loses power"},
    FaultKindInfo{K::power_loss_all, "power-loss-all", true, "all of them do"},
    FaultKindInfo{K::pause, "pause", true, "a process stands still for seconds"},
    FaultKindInfo{K::long_pause, "long-pause", true, "for up to an hour"},
    FaultKindInfo{K::partition, "partition", true, "a node alone, or two apart (a bridge)"},
    FaultKindInfo{K::one_way, "one-way", true, "one direction of the network holds"},
    FaultKindInfo{K::reset, "reset", true, "streams end in the middle of a frame"},
    FaultKindInfo{K::control_cut, "control-cut", true, "control streams end or hold"},
    FaultKindInfo{K::controller_crash, "controller-crash", true, "the controller dies"},
    FaultKindInfo{K::controller_rival, "controller-rival", true,
                  "the controller is paused, another takes over, the first wakes"},
    FaultKindInfo{K::lost_replies, "lost-replies", true, "the store's answers are lost"},
    FaultKindInfo{K::client_crash, "client-crash", true, "the front end's process dies"},
    FaultKindInfo{K::crash_in_blocking, "crash-in-blocking", true,
                  "a process dies inside opening, rewind, preparation"},
    FaultKindInfo{K::control_duplicate, "control-duplicate", true, "control messages twice, late"},
    FaultKindInfo{K::clock_drift, "clock-drift", true, "clocks of unequal speed, within the bound"},
    FaultKindInfo{K::new_address, "new-address", true, "a node starts with another address"},
    FaultKindInfo{K::address_reuse, "address-reuse", true, "with the address another had before"},
    FaultKindInfo{K::read_error, "read-error", true, "a read fails"},
    FaultKindInfo{K::write_error, "write-error", true, "a write fails"},
    FaultKindInfo{K::flush_error, "flush-error", true, "a flush fails and drops what it covered"},
    FaultKindInfo{K::bit_flip, "bit-flip", true, "a bit of log, base or map changes"},
    FaultKindInfo{K::lost_write, "lost-write", true, "a write to log or base reaches nothing"},
    FaultKindInfo{K::misdirected_write, "misdirected-write", true,
                  "a write to the base lands elsewhere in it"},
    FaultKindInfo{K::stale_read, "stale-read", true,
                  "a read of log or base brings what was there before"},
    FaultKindInfo{K::lying_flush, "lying-flush", true, "a flush of log or base hardens nothing"},
    FaultKindInfo{K::slow_disk, "slow-disk", true, "every operation takes up to a second longer"},
    FaultKindInfo{K::hung_disk, "hung-disk", true, "no operation comes back for seconds"},
    FaultKindInfo{K::old_copy, "old-copy", false,
                  "a replica restored from an older copy of itself: SimCopies seed 3 is open"},
    FaultKindInfo{K::swapped_disks, "swapped-disks", true, "two pools exchanged for a while"},
    FaultKindInfo{K::cloned_disk, "cloned-disk", true,
                  "a copy of a replica in the pool of another node"},
    FaultKindInfo{K::membership, "membership", true,
                  "the configuration changes under load: add, remove, replace, policy, cancel"},
};
static_assert(table.size() == static_cast<std::size_t>(K::count));

}  // namespace

std::span<const FaultKindInfo> fault_kinds() { return table; }

std::optional<FaultKind> fault_kind(std::string_view name) {
  const auto it =
      std::find_if(table.begin(), table.end(), [&](const auto& info) { return info.name == name; });
  if (it == table.end()) return std::nullopt;
  return it->kind;
}

FaultKinds default_fault_kinds() {
  FaultKinds kinds;
  for (const FaultKindInfo& info : table) {
    if (info.by_default) kinds.add(info.kind);
  }
  return kinds;
}

}  // namespace seawall::sim
