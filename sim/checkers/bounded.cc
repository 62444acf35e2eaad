#include "sim/checkers/bounded.h"

#include <algorithm>

namespace seawall::sim {

const std::array<ResourceInfo, resource_count> resource_infos = {{
    {"pool_kib", "the arena of a process"},
    {"queue_kib", "what the lanes of one link may queue, and one frame"},
    {"links", "of the replicas and the front ends of a process"},
    {"tasks", "of one process in the scheduler"},
    {"requests", "open at one attachment"},
    {"log_kib", "the log of the volume's geometry"},
    {"files_kib", "two logs, three times the volume, a map"},
    {"retired", "copies that a record waits to see deleted"},
}};

void Bounded::see(Resource resource, std::uint64_t value, std::uint64_t bound,
                  std::uint32_t where) {
  const auto index = static_cast<std::size_t>(resource);
  greatest_[index] = std::max(greatest_[index], value);
  if (value <= bound) return;
  verdict_.fail(Failure::safety, "unbounded: n" + std::to_string(where) + " has " +
                                     std::string(resource_infos[index].name) + " " +
                                     std::to_string(value) + ", bound " + std::to_string(bound));
}

}  // namespace seawall::sim
