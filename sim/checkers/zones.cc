#include "sim/checkers/zones.h"

#include <algorithm>
#include <map>

namespace seawall::sim {
namespace {

struct Zone {
  Stamp value = 0;
  bool written = false;       // by somebody, or there from the beginning
  bool certain_write = false;
  bool read = false;
  std::uint64_t write_begin = 0;
  std::uint64_t first_end = ~0ull;  // of its operations
  std::uint64_t last_begin = 0;
  [[nodiscard]] bool forward() const { return first_end < last_begin; }
  [[nodiscard]] std::uint64_t low() const { return std::min(first_end, last_begin); }
  [[nodiscard]] std::uint64_t high() const { return std::max(first_end, last_begin); }
};

std::string name(const Zone& zone) { return "value " + std::to_string(zone.value); }

}  // namespace

std::string check_zones(const BlockHistory& history) {
  std::map<Stamp, Zone> zones;
  Zone fresh;  // written before everything
  fresh.written = fresh.certain_write = true;
  fresh.first_end = 0;
  zones[0] = fresh;
  for (const BlockOp& op : history) {
    Zone& zone = zones[op.value];
    zone.value = op.value;
    zone.first_end = std::min(zone.first_end, op.end);
    zone.last_begin = std::max(zone.last_begin, op.begin);
    if (op.kind == BlockOp::Kind::write) {
      zone.written = true;
      zone.certain_write = op.certain;
      zone.write_begin = op.begin;
    } else {
      zone.read = true;
    }
  }
  std::vector<Zone> forward, backward;
  for (const auto& [value, zone] : zones) {
    if (!zone.written) return name(zone) + " was read and never written";
    if (!zone.certain_write && !zone.read) continue;
    if (zone.first_end < zone.write_begin) return name(zone) + " was read before it was written";
    (zone.forward() ? forward : backward).push_back(zone);
  }
  const auto by_low = [](const Zone& a, const Zone& b) { return a.low() < b.low(); };
  std::sort(forward.begin(), forward.end(), by_low);
  for (std::size_t i = 1; i < forward.size(); ++i) {
    if (forward[i].low() < forward[i - 1].high()) {
      return name(forward[i - 1]) + " and " + name(forward[i]) + " were both there at a time";
    }
  }
  for (const Zone& zone : backward) {
    const auto after = std::upper_bound(
        forward.begin(), forward.end(), zone.low(),
        [](std::uint64_t low, const Zone& other) { return low <= other.low(); });
    if (after == forward.begin()) continue;
    const Zone& around = *std::prev(after);
    if (around.low() < zone.low() && zone.high() < around.high()) {
      return name(zone) + " came while " + name(around) + " was there";
    }
  }
  return {};
}

}  // namespace seawall::sim
