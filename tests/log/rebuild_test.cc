// What a rebuild does to the bytes of its target: two lanes on the same blocks, crashes, old logs.
#include <algorithm>
#include <functional>

#include "tests/log/rebuild_rig.h"

namespace seawall::wal {
namespace {

void fill_extent(Rig& rig, std::uint64_t lba) {
  for (std::uint64_t i = 0; i < 16; i += 4) ASSERT_TRUE(rig.write(lba + i, 4));
}

// Lane and log in every order: the column of extent 0, and in the log's order a write, a discard
// and a write of zeroes to parts of it. A checkpoint is asked for in between, and must wait.
TEST(WalRebuild, R07_R14_P109_the_log_wins_over_the_base_in_every_order) {
  for (int column_at = 0; column_at <= 3; ++column_at) {
    for (int fold_at = 0; fold_at <= 4; ++fold_at) {
      SCOPED_TRACE(testing::Message() << "column " << column_at << " checkpoint " << fold_at);
      RebuildPair pair;
      fill_extent(pair.source, 0);
      pair.freeze();
      ASSERT_EQ(pair.columns.size(), 1u);
      pair.target.generation = 5;
      fill_extent(pair.target, 0);  // what it held before is older than all of it
      RebuildPair::fold(pair.target);
      pair.prepare();
      Rig& target = pair.target;
      std::vector<std::function<void()>> moves = {
          [&] { ASSERT_TRUE(target.write(1, 3)); },
          [&] { ASSERT_TRUE(target.discard(2, 6)); },
          [&] { ASSERT_TRUE(target.append(target.make(RecordKind::write_zeroes, 10, 3))); }};
      moves.insert(moves.begin() + column_at, [&] { pair.submit(pair.columns[0]); });
      moves.insert(moves.begin() + fold_at, [&] {
        target.settle_stable();
        target.store->request_checkpoint();
      });
      for (std::size_t i = 0; i < moves.size(); ++i) {
        moves[i]();
        target.flush();
        EXPECT_EQ(target.store->folded().lsn, pair.cut.lsn) << "folded while the lane is open";
      }
      target.expect_content(target.last());
      pair.end_lane();
      target.expect_content(target.last());
      RebuildPair::fold(target);
      EXPECT_EQ(target.store->folded().lsn, target.last());
      pair.clear_marker();
      target.expect_content(target.last());
      target.close();
      ASSERT_TRUE(target.open().has_value());
      target.expect_content(target.last());
    }
  }
}

// The same with operations of the disk that end in any order.
TEST(WalRebuild, R14_P109_both_lanes_at_once_with_completions_in_any_order) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Prng prng(seed);
    RebuildPair pair;
    for (std::uint64_t lba = 0; lba < 64; lba += 16) fill_extent(pair.source, lba);
    pair.freeze();
    pair.prepare();
    Rig& target = pair.target;
    std::size_t next = 0;
    std::size_t records = 0;
    while (next < pair.columns.size() || records < 24) {
      if (prng.below(3) == 0 && next < pair.columns.size()) {
        pair.submit(pair.columns[next++]);
      } else if (records < 24) {
        ++records;
        ASSERT_TRUE(target.write_any(prng));
      }
      if (prng.below(4) == 0) target.store->flush();
      if (prng.below(4) == 0) {
        target.settle_stable();
        target.store->request_checkpoint();
      }
      target.run_in_any_order(prng, prng.below(6));
    }
    target.flush();
    EXPECT_EQ(target.store->folded().lsn, pair.cut.lsn);
    target.expect_content(target.last());
    pair.end_lane();
    RebuildPair::fold(target);
    pair.clear_marker();
    target.expect_content(target.last());
  }
}

// Received is not applied: the target dies at any moment between the two, and at any other one. It
// still carries its marker, nothing of the log lane is taken for more than was written, and the
// same rebuild once more makes it equal.
TEST(WalRebuild, R12_R13_a_crash_at_any_moment_of_both_lanes_loses_nothing) {
  for (std::uint64_t seed = 1; seed <= 80; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Prng prng(seed);
    RebuildPair pair;
    for (std::uint64_t lba = 0; lba < 64; lba += 16) fill_extent(pair.source, lba);
    pair.freeze();
    Rig& target = pair.target;
    target.generation = 9;
    fill_extent(target, 16);
    RebuildPair::fold(target);
    pair.prepare();
    target.generation = 0;
    const std::uint64_t moves = prng.below(14);
    std::size_t next = 0;
    for (std::uint64_t i = 0; i < moves; ++i) {
      if (prng.below(2) == 0 && next < pair.columns.size()) pair.submit(pair.columns[next++]);
      else ASSERT_TRUE(target.write_any(prng));
      target.run_in_any_order(prng, prng.below(5));
    }
    if (prng.below(2) == 0) target.kill(prng);
    else target.lose_power(prng);
    ASSERT_TRUE(target.open().has_value());
    ASSERT_TRUE(target.store->facts().marker.has_value()) << "it must not count";
    EXPECT_EQ(target.store->folded().lsn, pair.cut.lsn);
    pair.prepare();
    for (Column& column : pair.columns) pair.submit(column);
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(target.write_any(prng));
    target.flush();
    pair.end_lane();
    RebuildPair::fold(target);
    pair.clear_marker();
    target.expect_content(target.last());
    target.kill(prng);
    ASSERT_TRUE(target.open().has_value());
    EXPECT_FALSE(target.store->facts().marker.has_value());
    target.expect_content(target.last());
  }
}

// No record of the log that the target had before shows through, folded or not.
TEST(WalRebuild, R15_the_old_log_of_the_target_is_forgotten) {
  for (const bool same_history : {true, false}) {
    RebuildPair pair;
    fill_extent(pair.source, 0);
    Rig& target = pair.target;
    target.generation = same_history ? 0 : 7;
    ASSERT_TRUE(target.start_term());
    fill_extent(target, 0);
    fill_extent(target, 32);
    target.flush();
    pair.freeze();
    pair.prepare();
    EXPECT_EQ(target.store->facts().marks.written, pair.cut.lsn);
    target.generation = 0;
    for (Column& column : pair.columns) pair.submit(column);
    target.run();
    target.expect_content(pair.cut.lsn);
    pair.end_lane();
    pair.clear_marker();
    target.close();
    ASSERT_TRUE(target.open().has_value());
    target.expect_content(pair.cut.lsn);
  }
}

// A block that does not verify is not handed out; every other column is.
TEST(WalRebuild, R21_a_rotten_column_of_the_source_is_not_sent) {
  RebuildPair pair;
  for (std::uint64_t lba = 0; lba < 64; lba += 16) fill_extent(pair.source, lba);
  pair.freeze();
  std::vector<std::byte> wanted(4096);
  fill_block(wanted.data(), pair.source.expected(pair.source.last(), 20));
  const std::uint64_t size = pair.source.disk->file_size("base");
  std::uint64_t at = 0;
  while (at < size && pair.source.disk->peek("base", at, 4096) != wanted) at += 4096;
  ASSERT_LT(at, size);
  pair.source.disk->flip_bit("base", at + 77, 2);
  AlignedBuffer into(64 * 1024);
  std::uint32_t crcs[16];
  for (std::uint64_t lba = 0; lba < 64; lba += 16) {
    BaseReadOp op;
    op.from = Lba(lba);
    op.into = into.span();
    op.crcs = crcs;
    op.done = [](BaseReadOp&) {};
    pair.source.store->read_base(op);
    pair.source.run();
    EXPECT_EQ(op.result, lba == 16 ? Errc::corrupt : Errc::ok) << lba;
  }
}

}  // namespace
}  // namespace seawall::wal
