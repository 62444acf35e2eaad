// What the crash tests share: a drawn workload that a stopped disk ends, and what must be left of
// it.
#pragma once

#include "tests/log/rig.h"

namespace seawall::wal {

// The workload of the crash tests: batches, rolls, flushes, folds, super writes, in a drawn order
// of completions. Ends when the disk stops.
struct Acknowledged {
  Lsn written, durable;
  std::uint64_t promised = 0;
};

inline Acknowledged drive(Rig& rig, Prng& prng, int steps) {
  std::uint64_t promise = rig.store->facts().promised.value();
  for (int i = 0; i < steps && !rig.disk->stopped(); ++i) {
    const std::uint64_t draw = prng.below(20);
    if (draw < 10) {
      MAYBE(rig.write_any(prng));
    } else if (draw == 10) {
      rig.store->flush();
    } else if (draw == 11) {
      rig.store->set_fold_limit(rig.sink.durable);
      rig.store->request_checkpoint();
    } else if (draw == 12) {
      SuperUpdate update;
      update.promised = Epoch(++promise);
      rig.store->write_super(update, promise);
    } else {
      rig.pump();
      rig.disk->run_any(prng);
    }
    rig.now += 1;
  }
  Acknowledged acked;
  acked.written = rig.sink.written;
  acked.durable = rig.sink.durable;
  acked.promised = rig.sink.tokens.empty() ? 0 : rig.sink.tokens.back();
  return acked;
}

inline void expect_prefix(Rig& rig, const Acknowledged& acked, bool power) {
  const ReplicaFacts& facts = rig.store->facts();
  EXPECT_GE(facts.marks.written, power ? acked.durable : acked.written);
  EXPECT_EQ(facts.damage, Damage::none);
  EXPECT_GE(facts.promised.value(), acked.promised);
  EXPECT_FALSE(facts.floor.has_value());
  EXPECT_LE(facts.marks.applied, facts.marks.written);
  if (facts.marks.written > Lsn(0)) {
    EXPECT_EQ(facts.chain, rig.header(facts.marks.written).chain);
  }
  rig.expect_content(facts.marks.written);
}

// A crash at every change of the recovery from a crash: what was acknowledged is there after the
// next opening. The first crash comes after `first_stop` changes.
inline void crash_through_recovery(Rig rig, std::uint64_t seed, std::uint64_t first_stop,
                                   bool power) {
  Prng prng(seed);
  ASSERT_TRUE(rig.open().has_value());
  rig.disk->stop_after(first_stop);
  const Acknowledged acked = drive(rig, prng, 1500);
  power ? rig.lose_power(prng) : rig.kill(prng);
  rig.keep_model = true;  // each round finds its own part of it
  const std::unique_ptr<MemDisk> crashed = rig.disk->clone();
  for (std::uint64_t stop = 1; stop < 60; ++stop) {
    SCOPED_TRACE(stop);
    rig.store.reset();
    rig.disk = crashed->clone();
    rig.disk->stop_after(stop);
    const bool opened = rig.open().has_value();
    power ? rig.lose_power(prng) : rig.kill(prng);
    ASSERT_TRUE(rig.open().has_value());
    // An opening that ended has made all it found durable; one that did not may find less.
    expect_prefix(rig, acked, power);
    if (::testing::Test::HasFailure()) return;
    rig.store.reset();
    if (opened) break;
  }
}

}  // namespace seawall::wal
