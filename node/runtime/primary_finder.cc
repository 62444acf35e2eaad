#include "node/runtime/primary_finder.h"

namespace seawall::runtime {

void PrimaryFinder::start(VolumeId volume, Incarnation incarnation,
                          const std::vector<control::ReplicaAddress>& addresses) {
  if (running()) return;
  question_ = {volume, incarnation};
  for (const control::ReplicaAddress& address : addresses) {
    if (links_.full()) return;
    if (address.address.empty()) continue;
    links_.push_back(shard_.transport.dial(Endpoint{address.address}, user_));
  }
}

void PrimaryFinder::stop() {
  for (const LinkId link : links_) shard_.transport.close(link);
  links_.clear();
}

void PrimaryFinder::on_connected(LinkId link) {
  shard_.transport.send(link, encode(question_, shard_.scratch.meta));
}

std::optional<PrimaryIs> PrimaryFinder::on_frame(LinkId link, const Frame& frame) {
  shard_.transport.close(link);
  on_closed(link);
  if (frame.header.type != FrameType::primary_is) return std::nullopt;
  if (frame.header.volume != question_.volume) return std::nullopt;
  const Result<PrimaryIs> answer = decode_primary_is(frame);
  if (!answer.has_value()) return std::nullopt;
  return *answer;
}

void PrimaryFinder::on_closed(LinkId link) {
  links_.erase_if([&](const LinkId& other) { return other == link; });
}

}  // namespace seawall::runtime
