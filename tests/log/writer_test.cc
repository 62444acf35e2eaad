#include "tests/log/rig.h"

namespace seawall::wal {
namespace {

TEST(WalWriter, AppendedRecordsAreWrittenThenDurableAndReadBack) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_TRUE(rig.start_term());
  ASSERT_TRUE(rig.write(10, 4));
  ASSERT_TRUE(rig.write(12, 1));
  ASSERT_TRUE(rig.discard(11, 1));
  rig.run();
  EXPECT_EQ(rig.sink.written, Lsn(4));
  EXPECT_EQ(rig.sink.durable, Lsn(0));
  rig.flush();
  EXPECT_EQ(rig.sink.durable, Lsn(4));
  rig.expect_content(Lsn(4));
  rig.close();
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().marks.written, Lsn(4));
  EXPECT_EQ(rig.store->facts().last_term, Term(2));
  EXPECT_TRUE(rig.store->facts().intact);
  rig.expect_content(Lsn(4));
}

TEST(WalWriter, OneRecordAloneIsDurableWithOneOperation) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_TRUE(rig.write(1));
  rig.store->flush();
  rig.pump();
  EXPECT_EQ(rig.disk->pending(), 1u);
  EXPECT_TRUE(rig.disk->run_one());
  EXPECT_EQ(rig.sink.durable, Lsn(1));
  Prng prng(1);
  rig.lose_power(prng);
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().marks.durable, Lsn(1));
  EXPECT_FALSE(rig.store->facts().intact);
}

// The disk takes a write, or a flush, and never answers: it fails nothing and proves nothing.
TEST(WalWriter, F13_an_operation_that_does_not_come_back_fails_the_store_after_its_deadline) {
  for (const bool of_flush : {false, true}) {
    Rig rig;
    ASSERT_TRUE(rig.open().has_value());
    ASSERT_TRUE(rig.write(1));
    if (of_flush) {
      rig.run();
      rig.store->flush();
    }
    rig.pump();
    EXPECT_EQ(rig.disk->pending(), 1u);
    for (int second = 0; second < 14; ++second) {
      ASSERT_TRUE(rig.store->wake_at().has_value()) << "somebody must look";
      EXPECT_LE(rig.store->wake_at()->value(), rig.now + 1000);
      rig.now += 1000;
      rig.pump();
      EXPECT_EQ(rig.sink.failures, 0);
    }
    for (int second = 0; second < 2; ++second) {
      rig.now += 1000;
      rig.pump();
    }
    EXPECT_EQ(rig.sink.failures, 1);
    EXPECT_FALSE(rig.store->idle()) << "its buffer is with the disk until it answers";
    const Lsn durable = rig.sink.durable;
    const Lsn written = rig.sink.written;
    rig.disk->run_all();
    EXPECT_TRUE(rig.store->idle());
    EXPECT_EQ(rig.sink.durable, durable) << "too late to count";
    EXPECT_EQ(rig.sink.written, written);
  }
}

// A process that was paused has not looked: that time is not the disk's. Nor is a disk slow that
// completes something now and then.
TEST(WalWriter, F13_a_pause_of_the_process_or_a_slow_disk_is_no_hung_disk) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_TRUE(rig.write(1));
  rig.pump();
  rig.now += 60'000;
  rig.pump();
  EXPECT_EQ(rig.sink.failures, 0);
  rig.run();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(rig.write(2));
    rig.pump();
    for (int second = 0; second < 13; ++second) {
      rig.now += 1000;
      rig.pump();
    }
    rig.run();
  }
  EXPECT_EQ(rig.sink.failures, 0);
  EXPECT_EQ(rig.sink.written, Lsn(6));
}

TEST(WalWriter, W05_open_append_close_ten_times_equals_one_run) {
  Rig rig;
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(rig.open().has_value());
    for (int i = 0; i < 5; ++i)
      ASSERT_TRUE(rig.write(static_cast<std::uint64_t>(round * 7 + i), 2));
    rig.run();
    rig.expect_content(rig.last());
    rig.close();
  }
  Rig once;
  ASSERT_TRUE(once.open().has_value());
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(once.write(static_cast<std::uint64_t>(round * 7 + i), 2));
      once.run();
    }
  }
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().chain, once.store->facts().chain);
  EXPECT_EQ(rig.store->facts().marks.written, once.store->facts().marks.written);
}

TEST(WalWriter, TheSuperBlockTellsWhenItIsWritten) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  SuperUpdate update;
  update.promised = Epoch(9);
  rig.store->write_super(update, 42);
  EXPECT_EQ(rig.store->facts().promised, Epoch(0));
  rig.run();
  EXPECT_EQ(rig.sink.tokens, std::vector<std::uint64_t>{42});
  EXPECT_EQ(rig.store->facts().promised, Epoch(9));
  rig.disk->power_loss_all_lost();
  rig.store.reset();
  ++rig.boot;
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().promised, Epoch(9));
}

TEST(WalWriter, RecordsStreamOutAsTheyWentIn) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  Prng prng(5);
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(rig.write_any(prng));
    if (i % 7 == 0) rig.run();
  }
  rig.run();
  AlignedBuffer into(64 * 4096);
  std::vector<RecordHeader> headers(16);
  std::vector<std::uint32_t> crcs(64);
  Lsn next(1);
  while (next <= rig.last()) {
    LogReadOp op;
    op.from = next;
    op.upto = rig.last();
    op.into = into.span();
    op.headers = headers;
    op.crcs = crcs;
    op.done = [](LogReadOp&) {};
    rig.store->read_log(op);
    rig.run();
    ASSERT_EQ(op.result, Errc::ok) << next.value();
    ASSERT_GE(op.count, 1u);
    for (std::uint32_t i = 0; i < op.count; ++i) {
      EXPECT_EQ(headers[i], rig.header(next));
      next = next.next();
    }
  }
}

}  // namespace
}  // namespace seawall::wal
