// The scenarios of acceptance section G: what breaks, one function each.
//
// Life cycle: constants. Thread: any.
#pragma once

#include <span>

#include "sim/generations/stage.h"

namespace seawall::sim {

struct Scenario {
  const char* id;     // G01 .. G20; parts of a row have a letter
  const char* title;
  const char* hook;   // the decisions that it turns on
  StageOptions options;
  void (*play)(Stage& stage);
};

std::span<const Scenario> all_scenarios();

}  // namespace seawall::sim
