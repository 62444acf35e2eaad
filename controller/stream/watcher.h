// Watcher: the other end of a Feed, as a state machine.
//
// Purpose: folds the events of each volume into its fields, and never loses or applies one twice,
// whatever is dropped, doubled, late or cut off. The owner carries the effects out in their order;
// a Store effect is durable (position and state in one step) before the Acknowledge behind it goes.
// Life cycle: made from what was stored; connected() at every new stream. Thread: one. Ownership:
// owns its state. Errors: a message that cannot be understood ends in a Stop effect with a
// sentence; a claim that the controller calls INVALID fences that volume before anything else.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "controller/stream/message.h"

namespace seawall::controller::stream {

struct Watched {
  Version last;        // newest change whose effect is in `state`
  VolumeFields state;  // empty: the volume is gone
  friend bool operator==(const Watched&, const Watched&) = default;
};

namespace effect {
struct Store {  // replaces what is stored of this volume, in one step
  VolumeId volume;
  Watched now;
};
struct Forget {  // nothing is stored of it any more
  VolumeId volume;
};
struct Fence {  // what was done on this volume's word must stop
  VolumeId volume;
  Version committed;
};
struct Say {
  FromWatcher message;
};
struct Stop {
  std::string reason;
};
}  // namespace effect
using Effect =
    std::variant<effect::Store, effect::Forget, effect::Fence, effect::Say, effect::Stop>;

class Watcher {
 public:
  struct Counts {
    std::uint64_t folded = 0, doubled = 0, gaps = 0, ignored = 0, snapshots = 0, fences = 0;
  };

  explicit Watcher(std::map<VolumeId, Watched> stored = {}) : volumes_(std::move(stored)) {}

  // A new stream: claims what is stored, then, with `all`, everything else.
  void connected(bool all, std::vector<Effect>& out);
  void claim(VolumeId volume, std::vector<Effect>& out);
  void hear(const ToWatcher& message, std::vector<Effect>& out);

  [[nodiscard]] const std::map<VolumeId, Watched>& volumes() const { return volumes_; }
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  void on(const Answer& message, std::vector<Effect>& out);
  void on(const Snapshot& message, std::vector<Effect>& out);
  void on(const ChangeEvent& message, std::vector<Effect>& out);
  void say(FromWatcher message, std::vector<Effect>& out);

  std::map<VolumeId, Watched> volumes_;
  Counts counts_;
  bool stopped_ = false;
};

}  // namespace seawall::controller::stream
