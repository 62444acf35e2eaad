// What travels between a controller and a watcher of its volumes.
//
// Plain values. Epoch and revision order everything of one volume; a volume's messages are gapless
// and in order on one stream, volumes are independent of each other. Thread: any.
#pragma once

#include <variant>

#include "controller/core/fields.h"
#include "controller/stream/judge.h"

namespace seawall::controller::stream {

// Watcher to controller.
struct Claim {  // "send me what comes after this"; revision 0: from the beginning
  VolumeId volume;
  Version last;
};
struct Follow {};  // claims of nothing for every volume that was not claimed, also of later ones
struct Acknowledge {  // stored, with its effect
  VolumeId volume;
  Version last;
};
using FromWatcher = std::variant<Claim, Follow, Acknowledge>;

// Controller to watcher.
struct Answer {
  VolumeId volume;
  Ruling ruling;
};
struct Snapshot {  // follows STALE and INVALID: all that was committed up to `version`
  VolumeId volume;
  Version version;
  bool gone = false;   // the volume is no more, and `state` is empty
  VolumeFields state;
};
using ToWatcher = std::variant<Answer, Snapshot, ChangeEvent>;

// An event whose type begins with this carries no state, and who does not know it may ignore it.
inline constexpr char optional_mark = '?';

}  // namespace seawall::controller::stream
