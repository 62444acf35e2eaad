// Fault kinds: every kind of fault that the simulator can make, by name, and whether a run may have
// it without being asked.
//
// Purpose: nothing hidden. A kind that the product cannot stand yet is here, off, with the reason;
// `seawall-sim --list-faults` prints the table, `--with NAME,...` makes a run have it for sure.
// Life cycle: constants. Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace seawall::sim {

enum class FaultKind : std::uint8_t {
  crash,
  power_loss,
  power_loss_all,
  pause,
  long_pause,
  partition,
  one_way,
  reset,
  control_cut,
  controller_crash,
  controller_rival,
  lost_replies,
  client_crash,
  crash_in_blocking,
  control_duplicate,
  clock_drift,
  new_address,
  address_reuse,
  read_error,
  write_error,
  flush_error,
  bit_flip,
  lost_write,
  misdirected_write,
  stale_read,
  lying_flush,
  slow_disk,
  hung_disk,
  old_copy,
  swapped_disks,
  cloned_disk,
  membership,
  count,
};

struct FaultKindInfo {
  FaultKind kind;
  std::string_view name;
  bool by_default;
  std::string_view note;  // what it is; for one that is off: why
};

std::span<const FaultKindInfo> fault_kinds();
std::optional<FaultKind> fault_kind(std::string_view name);

// A set of kinds.
class FaultKinds {
 public:
  void add(FaultKind kind) { bits_ |= bit(kind); }
  [[nodiscard]] bool has(FaultKind kind) const { return (bits_ & bit(kind)) != 0; }
  [[nodiscard]] bool empty() const { return bits_ == 0; }

 private:
  static constexpr std::uint64_t bit(FaultKind kind) {
    return std::uint64_t{1} << static_cast<unsigned>(kind);
  }
  std::uint64_t bits_ = 0;
};

FaultKinds default_fault_kinds();

}  // namespace seawall::sim
