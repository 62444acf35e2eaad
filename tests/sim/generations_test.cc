// G01 .. G20: what older generations do wrong is reproduced, and this one does it right.
//
// Every row of the table is compared with tests/sim/generations.golden;
// `seawall-sim compare --verdicts` prints the table, to be read before it becomes golden.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "sim/generations/compare.h"
#include "sim/generations/stage.h"

namespace seawall::sim {
namespace {

std::string golden_rows(const std::string& id) {
  std::ifstream file(std::string(SIM_TEST_DIR) + "/generations.golden");
  std::string rows;
  for (std::string line; std::getline(file, line);) {
    const std::size_t at = line.find_first_not_of(' ');
    if (at != std::string::npos && line.compare(at, id.size(), id) == 0) rows += line + "\n";
  }
  return rows;
}

class Row {
 public:
  explicit Row(const std::string& id) : cells_(run_compare(id)) {
    EXPECT_EQ(compare_table(cells_, false), golden_rows(id));
    for (const Cell& cell : cells_) {
      if (cell.generation != &generation_v2) continue;
      EXPECT_TRUE(cell.measures.safe) << cell.measures.wrong;
      EXPECT_TRUE(cell.measures.kept_out) << cell.measures.wrong;
      EXPECT_TRUE(cell.measures.completed);
      EXPECT_FALSE(cell.measures.accidental);
      EXPECT_FALSE(cell.measures.as_it_is);
    }
  }
  [[nodiscard]] const Measures& of(const std::string& generation, std::size_t part = 0) const {
    for (const Cell& cell : cells_) {
      if (cell.generation->name == generation && part-- == 0) return cell.measures;
    }
    static const Measures none;
    ADD_FAILURE() << "no such cell";
    return none;
  }

 private:
  std::vector<Cell> cells_;
};

bool is(const Measures& measures, const std::vector<RecoveryWay>& ways) {
  return measures.ways == ways;
}
constexpr RecoveryWay full = RecoveryWay::full;
constexpr RecoveryWay delta = RecoveryWay::delta;
constexpr RecoveryWay catch_up = RecoveryWay::catch_up;
constexpr RecoveryWay rewind = RecoveryWay::rewind;

TEST(Generations, G01_short_outage_is_a_copy_a_catch_up_a_reserved_catch_up) {
  const Row row("G01");
  EXPECT_TRUE(is(row.of("v1"), {full}));
  EXPECT_TRUE(is(row.of("v1_5"), {catch_up}));
  EXPECT_TRUE(is(row.of("v2"), {catch_up}));
}

TEST(Generations, G02_a_trimmed_log_is_noticed_late_by_v1_5) {
  const Row row("G02");
  EXPECT_TRUE(is(row.of("v1"), {full}));
  EXPECT_TRUE(is(row.of("v1_5"), {catch_up, full}));
  EXPECT_TRUE(row.of("v1_5").accidental);
  EXPECT_TRUE(is(row.of("v2"), {delta}));
}

// 16 MiB were written; three of 256 extents changed while it was away, until the log was trimmed.
TEST(Generations, R03_one_percent_changed_moves_about_one_percent) {
  constexpr std::uint64_t volume = 4096;
  Stage stage({.volume_blocks = volume}, generation_v2);
  const NodeNumber away = stage.follower(1);
  stage.write(0, volume);
  stage.flush();
  stage.run(5 * seconds);
  stage.cut(away);
  const NodeNumber old = stage.primary();
  stage.crash(old);
  stage.start(old);
  stage.run(6 * seconds);
  const std::uint64_t end = stage.written(away);
  for (int i = 0; i < 60 && stage.trimmed(stage.primary()) <= end; ++i) {
    stage.write(64, 48);
    stage.flush();
    stage.run(1 * seconds);
  }
  ASSERT_GT(stage.trimmed(stage.primary()), end);
  stage.mend(away);
  stage.recovers(away);
  stage.settle(60 * seconds);
  const Measures measures = stage.finish();
  EXPECT_TRUE(measures.completed);
  EXPECT_TRUE(is(measures, {delta}));
  const std::uint64_t changed = std::uint64_t{48} * 4096;
  EXPECT_GE(measures.bytes, changed);
  EXPECT_LE(measures.bytes, changed + volume * 4096 / 100) << "heartbeats and the map included";
}

TEST(Generations, G05_writers_that_outrun_a_replica_are_slowed_and_a_delta_follows) {
  const Row row("G05");
  EXPECT_TRUE(is(row.of("v2"), {delta}));
  EXPECT_LT(row.of("v2").stalled, 1 * seconds);
  EXPECT_GT(row.of("v1_5").stalled, 3 * seconds);  // it chases, and the log is held meanwhile
}

TEST(Generations, G03_flapping_costs_v1_a_full_copy_each_time) {
  const Row row("G03");
  EXPECT_TRUE(is(row.of("v1"), {full, full, full, full, full}));
  EXPECT_TRUE(is(row.of("v2"), {catch_up, catch_up, catch_up, catch_up, catch_up}));
}

TEST(Generations, G04_flapping_beyond_the_budget_is_one_escalation_that_stays) {
  const Row row("G04");
  EXPECT_TRUE(is(row.of("v1"), {full, full, full, full}));
  EXPECT_TRUE(row.of("v1_5").accidental);
  EXPECT_GT(row.of("v1_5").stalled, 1 * seconds);  // the log is held for it
  EXPECT_TRUE(is(row.of("v2"), {delta, delta, delta, delta}));
  EXPECT_EQ(row.of("v2").escalations, 1u);
  EXPECT_LT(row.of("v2").stalled, 1 * seconds);
}

TEST(Generations, G06_a_restart_at_the_same_address_catches_up) {
  const Row row("G06");
  EXPECT_TRUE(is(row.of("v1"), {full}));
  EXPECT_TRUE(is(row.of("v2"), {catch_up}));
}

TEST(Generations, G07_a_new_address_is_assigned_and_catches_up) {
  const Row row("G07");
  EXPECT_TRUE(is(row.of("v1"), {full}));
  EXPECT_TRUE(is(row.of("v2"), {catch_up}));
}

TEST(Generations, G08_a_slow_controller_delays_the_return_and_not_the_client) {
  const Row row("G08");
  EXPECT_TRUE(is(row.of("v2"), {catch_up}));
  EXPECT_LT(row.of("v2").stalled, 1 * seconds);
}

TEST(Generations, G09_a_new_address_beyond_the_log_is_no_accident_under_v2) {
  const Row row("G09");
  EXPECT_TRUE(row.of("v1_5").accidental);
  EXPECT_TRUE(is(row.of("v2"), {delta}));
}

TEST(Generations, G10_v1_5_loses_the_log_it_is_catching_up_from) {
  const Row row("G10");
  EXPECT_TRUE(is(row.of("v1_5"), {catch_up, full}));
  EXPECT_TRUE(row.of("v1_5").accidental);
}

TEST(Generations, G11_a_laggard_stalls_the_writers_of_v1_5_only) {
  const Row row("G11");
  EXPECT_GT(row.of("v1_5").stalled, 5 * seconds);
  EXPECT_LT(row.of("v2").stalled, 2 * seconds);
  EXPECT_TRUE(is(row.of("v2"), {delta}));
}

TEST(Generations, G12_four_laggards_stall_the_writers_of_v1_5_and_come_back_in_order_under_v2) {
  const Row row("G12");
  EXPECT_GT(row.of("v1_5").stalled, row.of("v2").stalled + 1 * seconds);
  EXPECT_TRUE(is(row.of("v2"), {delta, delta, delta, delta}));
}

TEST(Generations, G13_an_old_primary_is_believed_by_v1_and_rewound_by_v2) {
  const Row row("G13");
  for (const std::size_t tail : {0u, 1u, 2u}) {  // ahead, equal, behind
    EXPECT_FALSE(row.of("v1", tail).safe);
    EXPECT_TRUE(is(row.of("v2", tail), {rewind, catch_up}));
  }
  EXPECT_TRUE(is(row.of("v1_5", 0), {full}));
  EXPECT_FALSE(row.of("v1_5", 1).safe);
  EXPECT_FALSE(row.of("v1_5", 2).safe);
}

TEST(Generations, G14_the_longest_log_of_a_dead_term_wins_under_v1_and_v1_5) {
  const Row row("G14");
  for (const char* old : {"v1", "v1_5"}) {
    EXPECT_FALSE(row.of(old).safe);
    EXPECT_FALSE(row.of(old).kept_out);
  }
  EXPECT_TRUE(is(row.of("v2"), {rewind, catch_up}));
}

TEST(Generations, G15_one_report_is_not_enough_under_v2) {
  const Row row("G15");
  EXPECT_FALSE(row.of("v1").safe);
  EXPECT_FALSE(row.of("v1_5").safe);
}

TEST(Generations, G16_positions_read_before_the_fence_lose_what_was_completed_since) {
  const Row row("G16");
  EXPECT_FALSE(row.of("v1").safe);
  EXPECT_FALSE(row.of("v1_5").safe);
}

TEST(Generations, G17_a_cut_to_an_old_commit_loses_an_acknowledged_tail) {
  const Row row("G17");
  EXPECT_FALSE(row.of("v1_5").safe);
  EXPECT_TRUE(is(row.of("v2"), {catch_up}));
}

TEST(Generations, G18_a_copy_that_was_interrupted_is_not_believed_by_its_lsn) {
  const Row row("G18");
  EXPECT_TRUE(is(row.of("v1"), {full, full}));
  EXPECT_FALSE(row.of("v1_5").safe);
  // A base that its own crash left between two moments is given up: nothing of it is called equal.
  EXPECT_TRUE(is(row.of("v2"), {delta, full, catch_up}));
}

TEST(Generations, G19_an_own_tail_is_shown_after_the_term_start_only) {
  const Row row("G19");
  EXPECT_FALSE(row.of("v1").kept_out);
  EXPECT_FALSE(row.of("v1_5").kept_out);
}

TEST(Generations, G20_the_first_one_back_does_not_serve_alone) {
  const Row row("G20");
  EXPECT_FALSE(row.of("v1").safe);
  EXPECT_FALSE(row.of("v1_5").safe);
}

TEST(Generations, one_run_is_as_the_other) {
  const std::vector<Cell> first = run_compare("G01");
  EXPECT_EQ(compare_json(first), compare_json(run_compare("G01")));
}

TEST(Generations, the_page_needs_nothing_from_anywhere) {
  const std::string page = compare_page(run_compare("G01"));
  EXPECT_EQ(page.find("src="), std::string::npos);
  EXPECT_EQ(page.find("https:"), std::string::npos);
  EXPECT_NE(page.find("\"G01\""), std::string::npos);
}

}  // namespace
}  // namespace seawall::sim
