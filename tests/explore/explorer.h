// Explorer: breadth first through every state that a World can reach, each once.
//
// Life cycle: explore() is one search. Thread: the test's. Bounded by `states_max`. Memory: 16
// bytes a state and the path to it; the way to a state of the frontier is taken again from the
// nearest common ancestor. Errors: the first broken rule ends the search, with the shortest way to
// it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/explore/world.h"

namespace seawall::explore {

struct ExploreOptions {
  WorldOptions world;
  std::uint64_t states_max = 100'000;
  // The ways to every n-th state are kept. 0: none.
  std::uint64_t keep_way_every = 0;
  // Every n-th state that was reached again: both ways must go on alike. 0: none.
  std::uint64_t check_equal_every = 0;
};

struct ExploreResult {
  std::uint64_t states = 0;       // different ones
  std::uint64_t transitions = 0;  // steps taken from them
  std::uint64_t depth = 0;        // of the deepest state
  std::uint64_t complete = 0;     // every state up to this depth was visited
  bool exhausted = false;         // there is no other state
  std::uint64_t checked_equal = 0;
  std::string wrong;              // the broken rule
  std::vector<Step> way;          // to it
  std::vector<std::vector<Step>> kept;  // ways to other states
};

ExploreResult explore(const ExploreOptions& options);
// One line, for reports.
std::string summary(const ExploreResult& result);
// The way to a broken rule, a step a line, and as a golden script that tests/script can run.
std::string way_text(const ExploreOptions& options, const ExploreResult& result);

}  // namespace seawall::explore
