// Folded records stay in the log while there is room: for who was away for a while.
#include "tests/log/large_rig.h"
#include "wal/segment.h"

namespace seawall::wal {
namespace {

constexpr std::uint8_t at_once = 0;  // keep_log_percent: nothing stays

// Writes as a volume under load does, until so many log bytes went in; checkpoints come by fill.
void write_bytes(Rig& rig, Prng& prng, std::uint64_t bytes, int& refused) {
  const std::uint64_t begin = log_bytes(rig);
  for (int i = 0; log_bytes(rig) - begin < bytes; ++i) {
    ASSERT_LT(i, 100'000);
    if (!rig.write_any(prng)) ++refused;
    if (i % 8 == 0) rig.store->flush();
    rig.run();
    rig.settle_stable();
  }
  rig.flush();
  rig.settle_stable();
  rig.run();
}

struct Outage {
  std::uint64_t percent;  // of the log's bytes that are written meanwhile
  std::uint8_t keep;
  bool served;
};

class Outages : public ::testing::TestWithParam<Outage> {};

TEST_P(Outages, WhatWasWrittenDuringAnOutageIsInTheLog) {
  const Outage& outage = GetParam();
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    Rig rig(512, 2 << 20);
    rig.keep_log_percent = outage.keep;
    ASSERT_TRUE(rig.open().has_value());
    Prng prng(seed);
    int refused = 0;
    write_bytes(rig, prng, (5 << 20) + seed * 100'000, refused);
    const Lsn last_seen = rig.last();
    write_bytes(rig, prng, (2 << 20) * outage.percent / 100, refused);
    fold(rig);  // all that was written is in the base, and still in the log
    ASSERT_EQ(rig.store->facts().marks.applied, rig.last());
    EXPECT_EQ(rig.store->facts().marks.trimmed <= last_seen, outage.served);
    RecordHeader header;
    for (Lsn lsn = last_seen.next(); outage.served && lsn <= rig.last(); lsn = lsn.next()) {
      ASSERT_NO_FATAL_FAILURE(expect_served(rig, lsn));
    }
    EXPECT_EQ(refused, 0) << "what stays is room, not fill";
    EXPECT_LT(rig.sink.fill, 20);
    EXPECT_EQ(rig.sink.failures, 0);
    rig.expect_content(rig.last());
  }
}

INSTANTIATE_TEST_SUITE_P(
    ByShareOfTheLog, Outages,
    ::testing::Values(Outage{5, limits::log_kept_percent, true},
                      Outage{15, limits::log_kept_percent, true},
                      Outage{30, limits::log_kept_percent, true},
                      Outage{35, limits::log_kept_percent, true},
                      Outage{95, limits::log_kept_percent, false}, Outage{15, at_once, false},
                      Outage{30, at_once, false}),
    [](const auto& each) {
      return std::to_string(each.param.percent) + "PercentKept" + std::to_string(each.param.keep);
    });

// Records of large writes stay as well, as long as they name a part of what may be named only.
TEST(WalKeep, W37_kept_records_of_large_writes_are_served_and_leave_room_for_more) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    Rig rig = large_rig();
    open_warm(rig);
    Prng prng(seed);
    for (int i = 0; i < 400; ++i) {
      const std::uint64_t before = log_bytes(rig);
      ASSERT_TRUE(rig.write(prng.below(31) * large, large));
      rig.store->flush();
      rig.run();
      rig.settle_stable();
      ASSERT_LE(log_bytes(rig) - before, 2 * 4096u) << "the names ran dry after " << i;
    }
    const Lsn last_seen = rig.last();
    // A record names 4 extents of the 256 that may be named; half of them stay.
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(rig.write(prng.below(31) * large, large));
      ASSERT_TRUE(rig.write(prng.below(500), 2));  // into what a kept record names
      rig.run();
    }
    fold(rig);
    EXPECT_LE(rig.store->facts().marks.trimmed, last_seen);
    for (Lsn lsn = last_seen.next(); lsn <= rig.last(); lsn = lsn.next()) {
      ASSERT_NO_FATAL_FAILURE(expect_served(rig, lsn));
    }
    rig.expect_content(rig.last());
    rig.close();
    expect_exact_space(*rig.disk);
    ASSERT_TRUE(rig.open().has_value());
    rig.expect_content(rig.last());
    for (Lsn lsn = last_seen.next(); lsn <= rig.last(); lsn = lsn.next()) {
      ASSERT_NO_FATAL_FAILURE(expect_served(rig, lsn));
    }
  }
}

// From the word that records go, long before the super block says so, a pin that respects the word
// is respected; and whoever is told of a trim can rely on what is beyond it.
TEST(WalKeep, P138_what_is_pinned_behind_the_announced_trim_is_never_lost) {
  int pins = 0;
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  Prng prng(138);
  Lsn pinned;
  rig.sink.told = [&](Lsn trimmed) {
    if (pinned != Lsn{}) return;
    pinned = trimmed.next();
    rig.store->pin(9, pinned);
    ++pins;
  };
  for (int i = 0; i < 2000; ++i) {
    if (rig.write_any(prng)) rig.store->flush();
    rig.settle_stable();
    rig.run_in_any_order(prng, 12);
    ASSERT_LE(rig.sink.trimmed, rig.sink.applied);
    ASSERT_EQ(rig.store->facts().marks.trimmed, rig.sink.trimmed);
    if (pinned == Lsn{} || i % 40 != 0) continue;
    rig.run();
    ASSERT_LT(rig.store->facts().marks.trimmed, pinned);
    ASSERT_NO_FATAL_FAILURE(expect_served(rig, pinned));
    rig.store->unpin(9);
    pinned = Lsn{};
  }
  EXPECT_GT(pins, 10);
}

// A header that rots among records that are in the base costs those records, never the replica.
TEST(WalKeep, W08_W19_a_bad_header_among_folded_records_costs_only_what_lies_before_it) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  Prng prng(8);
  int refused = 0;
  write_bytes(rig, prng, 3 << 20, refused);
  fold(rig);
  ASSERT_TRUE(rig.write(3, 2));
  ASSERT_TRUE(rig.write(9, 1));
  rig.flush();
  const Lsn applied = rig.store->facts().marks.applied;
  const Lsn trimmed = rig.store->facts().marks.trimmed;
  rig.kill(prng);
  int resumed = 0;
  for (int slot = 0; slot < 16; ++slot) {
    const std::string file = "log/" + std::to_string(slot);
    for (std::uint64_t block = 0; block < 16; ++block) {
      SCOPED_TRACE(file + " block " + std::to_string(block));
      Rig copy;
      copy.adopt(rig);
      copy.disk = rig.disk->clone();
      copy.boot = 1 + block % 2;  // with and without a power loss
      copy.disk->flip_bit(file, block * 4096 + 20, 2);
      ASSERT_TRUE(copy.open().has_value());
      copy.run();
      const ReplicaFacts& facts = copy.store->facts();
      // The tail, with what is not folded, is another matter (W08_every_byte_*).
      if (facts.marks.written != rig.last() || facts.damage != Damage::none) continue;
      EXPECT_FALSE(facts.floor.has_value());
      resumed += facts.marks.trimmed > trimmed ? 1 : 0;
      ASSERT_LE(facts.marks.trimmed, applied);
      copy.expect_content(rig.last());
      for (Lsn lsn = facts.marks.trimmed.next(); lsn <= rig.last(); lsn = lsn.next()) {
        const Served served = serve(copy, lsn);
        if (served.result == Errc::corrupt) continue;  // the payload that was hit
        ASSERT_EQ(served.result, Errc::ok);
        ASSERT_EQ(served.header, rig.header(lsn));
      }
      ASSERT_TRUE(copy.write(1, 1));
      fold(copy);
      copy.expect_content(copy.last());
      copy.close();
      ASSERT_TRUE(copy.open().has_value());
      EXPECT_EQ(copy.store->facts().damage, Damage::none);
      copy.expect_content(copy.last());
      copy.run();
    }
  }
  EXPECT_GT(resumed, 20);
}

}  // namespace
}  // namespace seawall::wal
