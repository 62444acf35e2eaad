// Shrink: a failing seed made small: fewer faults, fewer requests, less time, fewer nodes.
//
// Purpose: whatever can be left out while the run still fails in the same kind is left out; what
// remains is a replay line. Faults are left out by number (StrikePlan), so that the others stay
// what and when they were. Life cycle: one call. Thread: one, plus children: each attempt is a
// batch of one seed, which may die. Bounded by `attempts_max` runs. Errors: a seed that does not
// fail has nothing to shrink.
#pragma once

#include <cstdint>
#include <string>

#include "sim/batch.h"

namespace seawall::sim {

// "3,17,1000002"; "none" when every fault is left out.
std::string strikes_text(const StrikePlan& plan);
bool parse_strikes(const char* text, StrikePlan& plan);

struct ShrinkResult {
  Failure failure = Failure::none;  // of the seed, and of what is left of it
  Overrides overrides;              // the small run
  std::uint64_t attempts = 0;
  std::uint64_t strikes = 0;        // that are left
};

ShrinkResult shrink(std::uint64_t seed, const BatchOptions& batch, std::uint64_t attempts_max);

// Prints what it found, the replay line last. Exit status: 0 shrunk, 1 nothing to shrink.
int shrink_main(const BatchOptions& batch);

}  // namespace seawall::sim
