#include "sim/checkers/at_most_once.h"

#include <algorithm>
#include <string>

namespace seawall::sim {

// Walks back from `at`; where a record is missing nothing is claimed.
bool AtMostOnce::is_ancestor(VolumeId volume, const Point& older, Point at) const {
  while (at.first > older.first) {
    const auto found = before_.find({volume, at});
    if (found == before_.end()) return false;
    at = {at.first.prev(), found->second};
  }
  return at == older;
}

void AtMostOnce::appended(VolumeId volume, const RecordHeader& header, std::uint64_t before) {
  const Point point{header.lsn, header.chain};
  if (!before_.try_emplace({volume, point}, before).second) return;  // another replica's copy
  if (header.attachment == AttachmentId{0}) return;
  std::vector<Point>& known = records_[{volume, header.attachment, header.request}];
  for (const Point& older : known) {
    ++judged_;
    const bool first = older.first < point.first;
    if (!is_ancestor(volume, first ? older : point, first ? point : older)) continue;
    verdict_.fail(Failure::safety,
                  "request " + std::to_string(header.request.value()) + " of attachment " +
                      std::to_string(header.attachment.value()) + " took effect twice: at " +
                      std::to_string(std::min(older.first, point.first).value()) + " and at " +
                      std::to_string(std::max(older.first, point.first).value()));
    return;
  }
  known.push_back(point);
}

}  // namespace seawall::sim
