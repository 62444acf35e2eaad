// Bounded: every resource of every process stays within its stated bound, at every look.
//
// Purpose: queues, pools, maps, tasks and files that grow under a fault and never shrink are leaks
// that only an hour shows. What is counted here has a bound that somebody wrote down (node/runtime,
// engine/base/limits.h, the geometry of the log); the greatest value over a batch is printed beside
// it, so that a bound nobody comes near can be seen, too.
// Life cycle: one run. Thread: the run's. Units: as the name of each says.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "sim/verdict.h"

namespace seawall::sim {

enum class Resource : std::uint8_t {
  pool_kib,       // payload of a process
  queue_kib,      // waiting to be sent on one link
  links,          // of a process
  tasks,          // timers, completions and frames under way, of a process
  requests,       // open at one device
  log_kib,        // files of one log
  files_kib,      // pages that one replica's files take
  retired,        // copies of a volume that wait for their deletion
  count,
};
inline constexpr std::size_t resource_count = static_cast<std::size_t>(Resource::count);
using Greatest = std::array<std::uint64_t, resource_count>;

struct ResourceInfo {
  std::string_view name;
  std::string_view bound;  // in words, for the report
};
extern const std::array<ResourceInfo, resource_count> resource_infos;

class Bounded {
 public:
  explicit Bounded(Verdict& verdict) : verdict_(verdict) {}

  // `where` says whose it is, when it is too much.
  void see(Resource resource, std::uint64_t value, std::uint64_t bound, std::uint32_t where);
  [[nodiscard]] const Greatest& greatest() const { return greatest_; }

 private:
  Verdict& verdict_;
  Greatest greatest_{};
};

}  // namespace seawall::sim
