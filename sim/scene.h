// Scene: what a scripted run hands to its script.
//
// Life cycle: the first phase of one run; the phases before and after it are those of every run
// (run.h): set-up, convergence, rest, loss of all power. Thread: the run's. Errors: until() is
// false when the limit is over or the run has failed; a script goes on then, what follows judges.
#pragma once

#include <functional>

#include "sim/cluster.h"
#include "sim/workload.h"

namespace seawall::sim {

struct Scene {
  Scheduler& scheduler;
  Trace& trace;
  Cluster& cluster;
  Workload& workload;  // of the first volume
  std::function<bool(const std::function<bool()>& done, Micros limit)> until;
};

}  // namespace seawall::sim
