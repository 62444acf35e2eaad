// The oracle must refuse what contract 1 to 5 forbid, and nothing else.
#include "sim/oracle.h"

#include <gtest/gtest.h>

#include <vector>

#include "engine/base/limits.h"

namespace seawall::sim {
namespace {

class OracleTest : public testing::Test {
 protected:
  void write(OpNumber op, Ended how = Ended::ok, bool fua = false) {
    oracle_.begin_write(op, 0, 1, false, fua);
    oracle_.end_write(op, how);
  }
  std::string end_read(OpNumber op, Stamp shown) {
    std::vector<std::byte> block(limits::block_bytes);
    fill_block(block, shown, 0);
    return oracle_.end_read(op, Ended::ok, block);
  }
  std::string read(Stamp shown) {
    const OpNumber op = ++last_read_;
    oracle_.begin_read(op, 0, 1);
    return end_read(op, shown);
  }
  void flush() {
    const OpNumber op = ++last_read_;
    oracle_.begin_flush(op);
    oracle_.end_flush(op, Ended::ok);
  }

  Oracle oracle_{4, false};
  OpNumber last_read_ = 1000;
};

TEST_F(OracleTest, AFreshBlockIsZeroes) {
  EXPECT_EQ(read(zeroes), "");
  EXPECT_NE(read(7), "");
}

TEST_F(OracleTest, ACompletedWriteMustBeRead) {
  write(1);
  EXPECT_NE(read(zeroes), "");
  EXPECT_EQ(read(1), "");
  write(2);
  EXPECT_NE(read(1), "");
}

TEST_F(OracleTest, TornMixedAndMisplacedBlocksAreRefused) {
  write(1);
  std::vector<std::byte> block(limits::block_bytes);
  fill_block(block, 1, 0);
  block[4000] ^= std::byte{1};
  oracle_.begin_read(50, 0, 1);
  EXPECT_NE(oracle_.end_read(50, Ended::ok, block), "");
  fill_block(block, 1, 3);
  oracle_.begin_read(51, 0, 1);
  EXPECT_NE(oracle_.end_read(51, Ended::ok, block), "");
}

TEST_F(OracleTest, AWriteUnderWayMayOrMayNotBeSeenButNeverFlips) {
  write(1);
  oracle_.begin_write(2, 0, 1, false, false);
  EXPECT_EQ(read(1), "");
  EXPECT_EQ(read(2), "");
  EXPECT_NE(read(1), "") << "seen, then gone";
}

TEST_F(OracleTest, AFailedWriteIsDecidedByTheFirstLookAtIt) {
  write(1);
  write(2, Ended::failed);
  EXPECT_EQ(read(1), "");
  EXPECT_NE(read(2), "") << "absent, then there";
}

TEST_F(OracleTest, AFailedWriteThatWasSeenStays) {
  write(1);
  write(2, Ended::failed);
  EXPECT_EQ(read(2), "");
  EXPECT_NE(read(1), "");
}

TEST_F(OracleTest, ConcurrentWritesMayEndInEitherOrder) {
  oracle_.begin_write(1, 0, 1, false, false);
  oracle_.begin_write(2, 0, 1, false, false);
  oracle_.end_write(2, Ended::ok);
  oracle_.end_write(1, Ended::ok);
  EXPECT_EQ(read(2), "");
  EXPECT_NE(read(1), "");
}

TEST_F(OracleTest, AReadThatWasAskedBeforeAWriteCompletedMayShowTheOldBlock) {
  write(1);
  oracle_.begin_read(60, 0, 1);
  write(2);
  EXPECT_EQ(end_read(60, 1), "");
  EXPECT_NE(read(1), "");
}

TEST_F(OracleTest, AnUnansweredWriteIsOpenUntilTheNextClientAsks) {
  write(1);
  oracle_.begin_write(2, 0, 1, false, false);
  oracle_.end_write(2, Ended::unanswered);
  oracle_.client_reborn();
  EXPECT_EQ(read(1), "");
  EXPECT_NE(read(2), "") << "the next client saw it absent";
}

TEST_F(OracleTest, AnAllowedLossBringsBackOnlyWhatWasNotFlushed) {
  write(1);
  write(2);
  flush();
  write(3);
  oracle_.unflushed_data_was_lost();
  EXPECT_NE(read(1), "") << "2 was flushed";
  EXPECT_EQ(read(2), "");
  EXPECT_NE(read(3), "") << "lost, then there";
}

TEST_F(OracleTest, AFlushCoversOnlyWhatHadCompletedWhenItWasAsked) {
  write(1);
  flush();
  oracle_.begin_flush(70);
  write(2);
  oracle_.end_flush(70, Ended::ok);
  oracle_.unflushed_data_was_lost();
  EXPECT_EQ(read(1), "");
}

TEST_F(OracleTest, FuaIsDurableWhenItCompletes) {
  write(1);
  write(2, Ended::ok, true);
  oracle_.unflushed_data_was_lost();
  EXPECT_NE(read(1), "");
  EXPECT_EQ(read(2), "");
}

TEST(Oracle, WithoutAVolatileCacheACompletedWriteIsNeverLost) {
  Oracle oracle(1, true);
  oracle.begin_write(1, 0, 1, false, false);
  oracle.end_write(1, Ended::ok);
  oracle.unflushed_data_was_lost();
  std::vector<std::byte> block(limits::block_bytes);
  fill_block(block, zeroes, 0);
  oracle.begin_read(2, 0, 1);
  EXPECT_NE(oracle.end_read(2, Ended::ok, block), "");
}

}  // namespace
}  // namespace seawall::sim
