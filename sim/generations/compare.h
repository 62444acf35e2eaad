// Compare: every scenario under every generation, as a table, as JSON, and as a page to look at.
//
// Life cycle: run_compare() runs the cells one after the other; the rest renders its result.
// Thread: one. Determinism: the table is a function of the code. Errors: a scenario that does not
// exist gives no rows. Units: bytes; milliseconds of simulated time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/generations/scenarios.h"

namespace seawall::sim {

struct Cell {
  const Scenario* scenario = nullptr;
  const Generation* generation = nullptr;
  Measures measures;
  std::vector<StageEvent> events;
  std::vector<StageSample> samples;
};

// `row`: G05 runs G05, G13 runs its three parts; empty: all.
std::vector<Cell> run_compare(std::string_view row);
Cell run_cell(const Scenario& scenario, const Generation& generation);

// One line a cell. Without `figures` only what a decision can change: the golden table.
std::string compare_table(const std::vector<Cell>& cells, bool figures);
std::string compare_json(const std::vector<Cell>& cells);
// Self-contained: nothing is loaded from anywhere.
std::string compare_page(const std::vector<Cell>& cells);

// The command `seawall-sim compare`; argv[0] is its first argument.
int compare_main(int argc, char** argv);

}  // namespace seawall::sim
