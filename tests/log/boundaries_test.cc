// The edges of the log under everything at once: rolling over, wrapping round the files, trimming
// with pins, full logs, crashes, power losses and clean reopenings, for more than a hundred
// segments a seed.
#include <gtest/gtest.h>

#include <map>

#include "tests/log/rig.h"

namespace seawall::wal {
namespace {

constexpr std::uint64_t segment_bytes = 64 * 1024;

class Walk {
 public:
  explicit Walk(std::uint64_t seed) : prng_(seed) {}

  void run() {
    ASSERT_TRUE(rig_.open().has_value());
    std::uint64_t segments = 0;
    for (int round = 0; segments < 130 && round < 20'000; ++round) {
      step();
      if (testing::Test::HasFatalFailure()) return;
      if (round % 120 != 119) continue;
      segments += rig_.store->stats().log_bytes / segment_bytes;
      reopen();
      if (testing::Test::HasFatalFailure()) return;
    }
    EXPECT_GE(segments, 130u) << "the walk is too short to say anything";
    EXPECT_GT(refused_, 0) << "the log was never full";
    EXPECT_GT(trims_, 10) << "it was never trimmed";
  }

 private:
  [[nodiscard]] const Watermarks& marks() const { return rig_.store->facts().marks; }

  void step() {
    const Lsn trimmed = marks().trimmed;
    switch (prng_.below(12)) {
      case 0: rig_.flush(); break;
      case 1: pin(); break;
      case 2: unpin(); break;
      case 3:
        rig_.settle_stable();
        rig_.store->request_checkpoint();
        break;
      case 4: rig_.run_in_any_order(prng_, 20); break;
      case 5: static_cast<void>(rig_.start_term()); break;
      default:
        if (!rig_.write_any(prng_)) make_room();
    }
    rig_.pump();
    rig_.disk->run_any(prng_);
    if (marks().trimmed > trimmed) ++trims_;
    for (const auto& [id, from] : pins_) ASSERT_LT(marks().trimmed, from) << "a pinned record";
  }

  // What an owner does with a full log: it proves, folds, and lets go of the slowest.
  void make_room() {
    ++refused_;
    if (!pins_.empty()) unpin();
    rig_.flush();
    rig_.settle_stable();
    rig_.store->request_checkpoint();
    rig_.run();
  }

  void pin() {
    if (pins_.size() == 3) return;
    const std::uint64_t first = marks().trimmed.value() + 1;
    if (first > marks().written.value()) return;
    const Lsn from{prng_.range(first, marks().written.value())};
    rig_.store->pin(++last_pin_, from);
    pins_[last_pin_] = from;
  }
  void unpin() {
    if (pins_.empty()) return;
    const auto oldest = pins_.begin();
    rig_.store->unpin(oldest->first);
    pins_.erase(oldest);
  }

  Errc read_one(Lsn lsn, RecordHeader& header) {
    AlignedBuffer into(64 * 1024);
    std::uint32_t crcs[16];
    bool done = false;
    LogReadOp op;
    op.from = op.upto = lsn;
    op.into = into.span();
    op.headers = {&header, 1};
    op.crcs = crcs;
    op.owner = &done;
    op.done = [](LogReadOp& finished) { *static_cast<bool*>(finished.owner) = true; };
    rig_.store->read_log(op);
    for (int i = 0; i < 1000 && !done; ++i) {
      rig_.pump();
      rig_.disk->run_all();
    }
    EXPECT_TRUE(done);
    return op.result;
  }

  // I5: a contiguous, hash-chained prefix with everything that was acknowledged; the content is its
  // fold, and each retained record is the one that was appended.
  void expect_prefix(Lsn acknowledged) {
    ASSERT_GE(marks().written, acknowledged);
    ASSERT_EQ(rig_.store->facts().damage, Damage::none);
    ASSERT_EQ(rig_.store->facts().chain, rig_.header(marks().written).chain);
    for (Lsn lsn = marks().trimmed.next(); lsn <= marks().written; lsn = lsn.next()) {
      RecordHeader header;
      const Errc result = read_one(lsn, header);
      if (lsn <= marks().trimmed) continue;  // it went meanwhile
      ASSERT_EQ(result, Errc::ok) << lsn.value() << " trimmed " << marks().trimmed.value();
      ASSERT_EQ(header, rig_.header(lsn)) << lsn.value();
    }
    rig_.expect_content(marks().written);
  }

  void reopen() {
    const Lsn written = rig_.sink.written;
    const Lsn durable = rig_.sink.durable;
    Lsn acknowledged = written;
    pins_.clear();
    switch (prng_.below(3)) {
      case 0:
        rig_.run();
        acknowledged = rig_.sink.written;
        rig_.close();
        break;
      case 1: rig_.kill(prng_); break;
      default:
        rig_.lose_power(prng_);
        acknowledged = durable;
    }
    ASSERT_TRUE(rig_.open().has_value());
    ++rig_.generation;  // other content under lsns that are given anew
    expect_prefix(acknowledged);
  }

  Rig rig_;
  Prng prng_;
  std::map<std::uint64_t, Lsn> pins_;
  std::uint64_t last_pin_ = 0;
  int refused_ = 0;
  int trims_ = 0;
};

TEST(WalBoundaries, F31_more_than_a_hundred_segments_with_pins_crashes_and_a_full_log) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    Walk(seed).run();
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace seawall::wal
