// ControlStream: what the controllers commit is one history a volume, and it tells everything (I9).
//
// Purpose: every committed event follows the one before it by exactly one revision and never falls
// back an epoch, whoever committed it; folding the events from the first on gives the state of the
// record; nothing is said to a node that was not committed before. Life cycle: one run. Thread: the
// run's. Bounded: the last state of each volume.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "controller/core/fields.h"
#include "controller/core/record.h"
#include "node/runtime/control_port.h"
#include "sim/verdict.h"

namespace seawall::sim {

class ControlStream {
 public:
  explicit ControlStream(Verdict& verdict) : verdict_(verdict) {}

  // `next`: the record as it is now; nullptr: it has gone.
  void committed(const controller::VolumeRecord* next, const controller::ChangeEvent& event);
  void delivered(const control::ToNode& message);
  [[nodiscard]] std::uint64_t events() const { return events_; }

 private:
  struct Told {
    controller::Version last;
    controller::VolumeFields state;  // of the folded events
    bool gone = false;
  };
  void told(VolumeId volume, Epoch epoch, Revision revision);
  void fail(const controller::ChangeEvent& event, const std::string& text);

  Verdict& verdict_;
  std::map<VolumeId, Told> volumes_;
  std::uint64_t events_ = 0;
};

}  // namespace seawall::sim
