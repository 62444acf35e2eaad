// A replica that a peer brought back is the peer's equal, byte for byte, whatever the way.
#include <algorithm>

#include "tests/log/large_rig.h"
#include "tests/log/rebuild_rig.h"
#include "wal/map_cache.h"

namespace seawall::wal {
namespace {

// The base as a reader of columns sees it; all that must be equal at an lsn.
struct BaseImage {
  struct Line {
    std::uint64_t lba, last_lsn, present;
    std::uint32_t bytes;  // CRC of all present blocks
    bool operator==(const Line&) const = default;
  };
  Lsn lsn;
  std::uint64_t chain = 0;
  std::vector<Line> lines;
  bool operator==(const BaseImage&) const = default;
};

BaseImage image_of(Rig& rig) {
  RebuildPair::fold(rig);
  BaseImage image;
  image.lsn = rig.store->folded().lsn;
  image.chain = rig.store->folded().chain;
  AlignedBuffer bytes(64 * 1024);
  std::uint32_t crcs[16];
  for (Lba from(0);;) {
    BaseReadOp op;
    op.from = from;
    op.into = bytes.span();
    op.crcs = crcs;
    op.done = [](BaseReadOp&) {};
    rig.store->read_base(op);
    rig.run();
    EXPECT_EQ(op.result, Errc::ok);
    if (op.end || op.result != Errc::ok) return image;
    const auto blocks = static_cast<std::size_t>(__builtin_popcountll(op.header.present));
    image.lines.push_back({op.header.lba.value(), op.header.last_lsn.value(), op.header.present,
                           crc32c({bytes.data(), blocks * 4096})});
    from = op.header.lba + BlockCount(16);
  }
}

class Recovery {
 public:
  explicit Recovery(std::uint64_t seed) : pair(512), prng(seed), target_(pair.target) {
    pair.source.store->pin(1, Lsn(1));  // a log that has everything, for whoever catches up
  }

  // Both hold the same records up to here; each folds when it likes.
  void common_past(int records) {
    work(records);
    stream(Lsn(1));
    RebuildPair::fold(target_);
  }

  void work(int records) {
    for (int i = 0; i < records; ++i) {
      ASSERT_TRUE(pair.source.write_any(prng));
      pair.source.run();
      if (prng.below(20) == 0) RebuildPair::fold(pair.source);
    }
    pair.source.flush();
  }

  // Records from `from` on, as the log of the source has them, in batches of a drawn size.
  void stream(Lsn from) {
    for (Lsn lsn = from; lsn <= pair.source.last(); lsn = lsn.next()) {
      Served served = serve(pair.source, lsn);
      ASSERT_EQ(served.result, Errc::ok);
      auto payload =
          std::make_unique<AlignedBuffer>(std::max<std::size_t>(served.bytes.size(), 4096));
      std::copy(served.bytes.begin(), served.bytes.end(), payload->data());
      std::vector<std::uint32_t> crcs;
      for (std::size_t at = 0; at < served.bytes.size(); at += 4096) {
        crcs.push_back(crc32c_block(payload->data() + at));
      }
      ASSERT_TRUE(target_.store->append(served.header, {payload->data(), served.bytes.size()},
                                        crcs));
      payloads_.push_back(std::move(payload));
      if (prng.below(3) == 0) target_.run();
      if (folds && prng.below(25) == 0) RebuildPair::fold(target_);
    }
    target_.flush();
    target_.adopt(pair.source);
  }

  // Those columns of the frozen base that differ from what the target has; all of a fresh one.
  void send_columns(std::size_t at_most = 1000) {
    std::vector<Column> theirs = pair.copy_base_of(target_);
    std::size_t sent = 0;
    for (Column& column : pair.columns) {
      const bool equal = std::any_of(theirs.begin(), theirs.end(), [&](const Column& there) {
        return there.header.lba == column.header.lba &&
               there.header.last_lsn == column.header.last_lsn &&
               there.header.present == column.header.present && there.crcs == column.crcs;
      });
      if (equal || sent == at_most) continue;
      pair.submit(column);
      target_.run();
      ++sent;
    }
    moved = sent;
  }

  void expect_equal() {
    ASSERT_EQ(target_.store->facts().chain, pair.source.store->facts().chain);
    ASSERT_EQ(image_of(target_), image_of(pair.source));
    target_.expect_content(pair.source.last());
    target_.close();
    ASSERT_TRUE(target_.open().has_value());
    target_.expect_content(pair.source.last());
  }

  RebuildPair pair;
  Prng prng;
  std::size_t moved = 0;  // columns
  bool folds = true;      // of the target, in between

 private:
  Rig& target_;
  std::vector<std::unique_ptr<AlignedBuffer>> payloads_;
};

constexpr std::uint64_t repeats = 100;

TEST(WalRecovered, W15_by_catch_up_it_is_equal_at_every_lsn_it_reaches) {
  for (std::uint64_t seed = 1; seed <= repeats; ++seed) {
    SCOPED_TRACE(seed);
    Recovery recovery(seed);
    ASSERT_NO_FATAL_FAILURE(recovery.common_past(12));
    Lsn from = recovery.pair.source.last().next();
    for (int round = 0; round < 3; ++round) {
      ASSERT_NO_FATAL_FAILURE(recovery.work(8));
      ASSERT_NO_FATAL_FAILURE(recovery.stream(from));
      from = recovery.pair.source.last().next();
      ASSERT_NO_FATAL_FAILURE(recovery.expect_equal());
    }
  }
}

enum class Way : std::uint8_t { full, delta, interrupted };

// Returns how many columns travelled, of so many.
struct Columns {
  std::size_t moved = 0, all = 0;
};

void recover(std::uint64_t seed, Way way, Columns& columns) {
  Recovery recovery(seed);
  RebuildPair& pair = recovery.pair;
  if (way != Way::full) {
    ASSERT_NO_FATAL_FAILURE(recovery.common_past(20));
  }
  ASSERT_NO_FATAL_FAILURE(recovery.work(12));
  pair.freeze();
  pair.prepare();
  const std::size_t all = pair.columns.size();
  if (way == Way::interrupted) {
    recovery.send_columns(1 + recovery.prng.below(3));
    recovery.prng.below(2) == 0 ? pair.target.kill(recovery.prng)
                                : pair.target.lose_power(recovery.prng);
    ASSERT_TRUE(pair.target.open().has_value());
    ASSERT_TRUE(pair.target.store->facts().marker.has_value());
    pair.prepare();
  }
  const Lsn cut = pair.cut.lsn;
  ASSERT_NO_FATAL_FAILURE(recovery.work(8));  // goes on meanwhile
  recovery.send_columns();
  columns.moved += recovery.moved;
  columns.all += all;
  pair.end_lane();
  ASSERT_NO_FATAL_FAILURE(recovery.stream(cut.next()));
  pair.source.store->thaw_base();
  pair.clear_marker();
  ASSERT_NO_FATAL_FAILURE(recovery.expect_equal());
}

TEST(WalRecovered, W15_by_a_full_copy_it_is_equal) {
  Columns columns;
  for (std::uint64_t seed = 1; seed <= repeats; ++seed) {
    SCOPED_TRACE(seed);
    ASSERT_NO_FATAL_FAILURE(recover(seed, Way::full, columns));
  }
  EXPECT_EQ(columns.moved, columns.all);
}

TEST(WalRecovered, W15_by_a_delta_it_is_equal) {
  Columns columns;
  for (std::uint64_t seed = 1; seed <= repeats; ++seed) {
    SCOPED_TRACE(seed);
    ASSERT_NO_FATAL_FAILURE(recover(seed, Way::delta, columns));
  }
  EXPECT_LT(columns.moved, columns.all * 3 / 4) << "what is equal does not travel";
}

TEST(WalRecovered, W15_interrupted_and_begun_again_it_is_equal) {
  Columns columns;
  for (std::uint64_t seed = 1; seed <= repeats; ++seed) {
    SCOPED_TRACE(seed);
    ASSERT_NO_FATAL_FAILURE(recover(seed, Way::interrupted, columns));
  }
  EXPECT_GT(columns.moved, 0u);
}

// Nobody can make an entry anew: the replica says so, and the columns come from a peer.
TEST(WalRecovered, W46_a_rotten_entry_of_the_map_costs_columns_from_a_peer) {
  for (std::uint64_t sector = 0; sector < sectors_per_page; ++sector) {
    SCOPED_TRACE(sector);
    Recovery recovery(sector + 1);
    RebuildPair& pair = recovery.pair;
    Rig& target = pair.target;
    ASSERT_NO_FATAL_FAILURE(recovery.common_past(20));
    target.close();
    for (std::uint64_t slot = 0; slot < 2; ++slot) {
      target.disk->flip_bit(map_name, slot * page_bytes + sector * sector_bytes + 50, 4);
    }
    ASSERT_TRUE(target.open().has_value());
    const Lsn next = pair.source.last().next();
    ASSERT_NO_FATAL_FAILURE(recovery.work(5));
    recovery.folds = false;
    ASSERT_NO_FATAL_FAILURE(recovery.stream(next));
    recovery.folds = true;
    RebuildPair::fold(target);
    ASSERT_EQ(target.sink.failures, 1);
    target.store.reset();
    target.reopen_after_failure = true;
    ASSERT_TRUE(target.open().has_value());
    target.reopen_after_failure = false;
    ASSERT_EQ(target.store->facts().damage, Damage::base_untrusted);
    ASSERT_EQ(target.store->facts().marks.written, pair.source.last()) << "its log is whole";
    pair.freeze();
    pair.prepare();
    ASSERT_NO_FATAL_FAILURE(recovery.work(5));
    recovery.send_columns();
    pair.end_lane();
    ASSERT_NO_FATAL_FAILURE(recovery.stream(pair.cut.lsn.next()));
    pair.source.store->thaw_base();
    pair.clear_marker();
    EXPECT_EQ(target.store->facts().damage, Damage::none);
    ASSERT_NO_FATAL_FAILURE(recovery.expect_equal());
  }
}

}  // namespace
}  // namespace seawall::wal
