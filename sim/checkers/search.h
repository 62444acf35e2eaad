// Search: is a small history of a block linearizable? By trying every order.
//
// Purpose: independent of zones.h, and of its theorem: a depth-first search over the operations
// that may come next, with the states seen remembered. Exponential: for a dozen operations, in
// tests. Life cycle: a pure function. Thread: any.
#pragma once

#include <cstddef>

#include "sim/checkers/history.h"

namespace seawall::sim {

inline constexpr std::size_t search_ops_max = 20;

[[nodiscard]] bool search_linearizable(const BlockHistory& history);

}  // namespace seawall::sim
