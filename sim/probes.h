// Probes: rare states that a batch of seeds must have seen, or the seeds test less than they seem.
//
// Purpose: SOMETIMES(probes, name) says that this run has reached the state; over a batch each
// probe counts the seeds that did. One that no seed of a soak reached is a failure of the soak: the
// workload, the faults or the product no longer go there. Some hundred seeds reach every `common`
// one: the runs of CI demand those.
// Life cycle: one run. Thread: the run's. Bounded: a bit a probe.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace seawall::sim {

#define SEAWALL_SIM_PROBES(X)                                                     \
  X(rewind, common, "a replica gave up records of another history")               \
  X(catch_up, common, "a replica was brought up from the log")                    \
  X(rebuild, common, "a replica was rebuilt")                                     \
  X(frozen_base, common, "a source froze its base")                               \
  X(floor_stored, common, "a floor was stored")                                   \
  X(floor_cleared, common, "and reached again")                                   \
  X(intact_lost, common, "a replica opened without its intact bit")               \
  X(intact_restored, common, "a barrier gave the intact bit back")                \
  X(fence_refused, rare, "a fence of a lower epoch was refused")                  \
  X(assignment_refused, rare, "an assignment was refused by its winner")          \
  X(configuration_proposed, common, "a primary proposed a smaller or larger set") \
  X(failover_asked, common, "a primary asked for its own replacement")            \
  X(stale_primary, rare, "two processes held the role of primary at a time")      \
  X(stepped_down, common, "a primary stepped down")                               \
  X(proving, common, "a session waited for its barrier")                          \
  X(peer_failed, rare, "a primary took a peer for failed")                        \
  X(peer_unreachable, common, "a primary could not reach a peer")                 \
  X(marker_seen, common, "a replica with a rebuild under way was seen")           \
  X(log_trimmed, common, "a log began behind record 1")                           \
  X(log_lapped, rare, "every segment of a log was used twice")                    \
  X(four_epochs, common, "a volume reached its fourth epoch")                     \
  X(ten_epochs, rare, "a volume reached its tenth epoch")                         \
  X(damage_unknown, rare, "a log held records that did not verify")               \
  X(damage_regressed, rare, "a log was shorter than it had proved to be")         \
  X(damage_base, rare, "a base was not to be trusted")                            \
  X(log_failed, rare, "a disk failed a replica")                                  \
  X(no_primary, common, "nobody led a volume for a while")                        \
  X(write_unanswered, common, "a client died with requests open")                 \
  X(position_lost, rare, "a client was told that data is gone")                   \
  X(client_reborn, common, "a client attached for the second time")               \
  X(half_open, common, "a partition held bytes of a stream")                      \
  X(rot_found, rare, "a scrub found a block that nobody had asked for")           \
  X(rot_repaired, rare, "bytes of another replica went where bad ones were")      \
  X(map_rotten, rare, "a base was given up: entries of its map had rotted")       \
  X(stranger, rare, "a pool held a replica that was made in another one")         \
  X(older_copy, asked, "a replica came back older than it had been")               \
  X(wish_granted, rare, "an operator's change of a configuration was committed")  \
  X(several_volumes, common, "volumes shared machines")

enum class Probe : std::uint8_t {
#define SEAWALL_SIM_PROBE_NAME(name, often, text) name,
  SEAWALL_SIM_PROBES(SEAWALL_SIM_PROBE_NAME)
#undef SEAWALL_SIM_PROBE_NAME
      count
};

inline constexpr std::size_t probe_count = static_cast<std::size_t>(Probe::count);

enum class Often : std::uint8_t {
  common,
  rare,
  asked,  // only with a kind of faults that is off: no run has to reach it
};
struct ProbeInfo {
  std::string_view name;
  Often often = Often::rare;
  std::string_view text;
};
inline constexpr std::array<ProbeInfo, probe_count> probe_infos = {{
#define SEAWALL_SIM_PROBE_INFO(name, often, text) {#name, Often::often, text},
    SEAWALL_SIM_PROBES(SEAWALL_SIM_PROBE_INFO)
#undef SEAWALL_SIM_PROBE_INFO
}};

using ProbeCounts = std::array<std::uint64_t, probe_count>;  // seeds that reached each

class Probes {
 public:
  void reached(Probe probe) { bits_ |= std::uint64_t{1} << static_cast<unsigned>(probe); }
  [[nodiscard]] bool has(Probe probe) const {
    return (bits_ >> static_cast<unsigned>(probe) & 1) != 0;
  }
  [[nodiscard]] std::uint64_t bits() const { return bits_; }

 private:
  static_assert(probe_count <= 64);
  std::uint64_t bits_ = 0;
};

#define SOMETIMES(probes, name) ((probes).reached(::seawall::sim::Probe::name))

}  // namespace seawall::sim
