// Two checkers of linearizability that know nothing of each other agree on every small history; the
// history of a whole run feeds the fast one.
#include <gtest/gtest.h>

#include <vector>

#include "engine/base/limits.h"
#include "engine/base/prng.h"
#include "sim/checkers/block_log.h"
#include "sim/checkers/search.h"
#include "sim/checkers/zones.h"

namespace seawall::sim {
namespace {

constexpr auto read_op = BlockOp::Kind::read;
constexpr auto write_op = BlockOp::Kind::write;

bool both(const BlockHistory& history) {
  const bool fast = check_zones(history).empty();
  EXPECT_EQ(fast, search_linearizable(history)) << check_zones(history);
  return fast;
}

TEST(SimLinear, ACompletedWriteIsReadUntilTheNextOne) {
  EXPECT_TRUE(both({{write_op, 1, 1, 2}, {read_op, 1, 3, 4}}));
  EXPECT_FALSE(both({{write_op, 1, 1, 2}, {read_op, 0, 3, 4}}));
  EXPECT_FALSE(both({{write_op, 1, 1, 2}, {write_op, 2, 3, 4}, {read_op, 1, 5, 6}}));
}

TEST(SimLinear, I3_a_value_that_was_replaced_never_flickers_back) {
  EXPECT_FALSE(both({{write_op, 1, 1, 10},
                     {write_op, 2, 2, 9},
                     {read_op, 1, 11, 12},
                     {read_op, 2, 13, 14},
                     {read_op, 1, 15, 16}}));
  // Asked while the other one was under way: the oracle's rule alone would let it pass.
  EXPECT_FALSE(both({{write_op, 1, 1, 10},
                     {write_op, 2, 2, 9},
                     {read_op, 1, 11, 20},
                     {read_op, 2, 12, 13}}));
}

TEST(SimLinear, AWriteWithoutAnAnswerMayHaveHappenedOrNotButOnlyOnce) {
  const BlockOp perhaps{write_op, 2, 3, 4, false};
  EXPECT_TRUE(both({{write_op, 1, 1, 2}, perhaps, {read_op, 1, 5, 6}}));
  EXPECT_TRUE(both({{write_op, 1, 1, 2}, perhaps, {read_op, 2, 5, 6}}));
  EXPECT_FALSE(both({{write_op, 1, 1, 2}, perhaps, {read_op, 1, 5, 6}, {read_op, 2, 7, 8}}));
}

// Reads mostly show something plausible, so that about half of all histories are good.
BlockHistory draw_history(Prng& prng) {
  BlockHistory history;
  const std::uint64_t count = prng.range(2, 8);
  Stamp written = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    BlockOp op;
    op.begin = prng.range(1, 24);
    op.end = op.begin + prng.range(1, 10);
    if (prng.coin()) {
      op.kind = write_op;
      op.value = ++written;
      op.certain = prng.chance(percent(70));
    } else {
      op.value = prng.below(written + 2);
    }
    history.push_back(op);
  }
  return history;
}

TEST(SimLinear, I2_the_fast_checker_and_the_search_agree_on_random_small_histories) {
  Prng prng(20260731);
  int good = 0, bad = 0;
  for (int i = 0; i < 40'000; ++i) {
    const BlockHistory history = draw_history(prng);
    const bool fast = check_zones(history).empty();
    ASSERT_EQ(fast, search_linearizable(history)) << "history " << i << " " << check_zones(history);
    ++(fast ? good : bad);
  }
  EXPECT_GT(good, 4'000);
  EXPECT_GT(bad, 4'000);
}

// Plays a history to the oracle in the order of its times; true: it had no objection.
bool oracle_accepts(const BlockHistory& history) {
  Oracle oracle(1, false);
  bool fine = true;
  for (std::uint64_t time = 0; time < 64; ++time) {
    for (std::size_t i = 0; i < history.size(); ++i) {
      const BlockOp& op = history[i];
      const OpNumber number = op.kind == write_op ? op.value : 1000 + i;
      if (op.begin == time && op.kind == write_op) oracle.begin_write(number, 0, 1, false, false);
      if (op.begin == time && op.kind == read_op) oracle.begin_read(number, 0, 1);
    }
    for (std::size_t i = 0; i < history.size(); ++i) {
      const BlockOp& op = history[i];
      if (op.end != time) continue;
      if (op.kind == write_op) {
        oracle.end_write(op.value, op.certain ? Ended::ok : Ended::failed);
        continue;
      }
      std::vector<std::byte> block(limits::block_bytes);
      fill_block(block, op.value, 0);
      fine = fine && oracle.end_read(1000 + i, Ended::ok, block).empty();
    }
  }
  return fine;
}

TEST(SimLinear, TheOracleNeverRefusesWhatTheSearchAccepts) {
  Prng prng(77);
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    const BlockHistory history = draw_history(prng);
    if (oracle_accepts(history)) continue;
    ++refused;
    ASSERT_FALSE(search_linearizable(history)) << "history " << i;
  }
  EXPECT_GT(refused, 2'000);
}

class BlockLogTest : public testing::Test {
 protected:
  void write(OpNumber op, Ended how = Ended::ok) {
    log_.begin(op);
    log_.end_write(op, 0, 1, false, how);
  }
  void read(OpNumber op, Stamp shown) {
    log_.begin(op);
    std::vector<std::byte> block(limits::block_bytes);
    fill_block(block, shown, 0);
    log_.end_read(op, 0, block, Ended::ok);
  }
  BlockLog log_;
};

TEST_F(BlockLogTest, AStaleReadIsFoundAtTheEndOfTheRun) {
  write(1);
  write(2);
  read(3, 2);
  EXPECT_EQ(log_.check(), "");
  read(4, 1);
  EXPECT_NE(log_.check(), "");
}

TEST_F(BlockLogTest, AWriteWithoutAnAnswerMayLandUntilTheNextClientAsks) {
  write(1);
  write(2, Ended::unanswered);
  read(3, 1);
  read(4, 2);
  EXPECT_EQ(log_.check(), "") << "it landed between the two";
  log_.client_reborn();
  read(5, 1);
  EXPECT_NE(log_.check(), "");
}

TEST_F(BlockLogTest, ALossThatWasToldBeginsTheHistoryAnew) {
  write(1);
  write(2);
  log_.loss();
  read(3, 1);
  EXPECT_EQ(log_.check(), "");
  write(4);
  write(5);
  read(6, 4);
  EXPECT_NE(log_.check(), "");
}

}  // namespace
}  // namespace seawall::sim
