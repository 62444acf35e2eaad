// Rig: one store on a MemDisk, with a model of the volume beside it.
//
// The rig makes records as the engine does (lsn, chain, digest), keeps what every lsn left in every
// block, and compares: content(lsn) is the truth that a store at that lsn must read back.
// Blocks are filled from a stamp, so that a wrong block says which one it is.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "engine/base/chain.h"
#include "engine/base/prng.h"
#include "wal/aligned.h"
#include "wal/crc32c.h"
#include "wal/store.h"
#include "wal/testing/mem_disk.h"

namespace seawall::wal {

inline constexpr Incarnation test_incarnation{0x1111, 0x2222};
inline constexpr ReplicaId test_replica{7};

struct TestSink final : Sink {
  void on_written(Lsn upto) override { written = upto; }
  void on_durable(Lsn upto) override { durable = upto; }
  void on_failed(Error error) override {
    ++failures;
    failure = error;
  }
  void on_super_written(std::uint64_t token) override { tokens.push_back(token); }
  void on_checkpointed(Lsn upto, Lsn gone) override {
    applied = upto;
    trimmed = gone;
    ++checkpoints;
  }
  void on_trim(Lsn upto, Lsn gone) override {
    applied = upto;
    trimmed = gone;
    ++trims;
    if (told) told(gone);
  }
  void on_log_space(std::uint8_t percent) override {
    fill = percent;
    ++space_events;
  }

  Lsn written, durable, applied, trimmed;
  int failures = 0;
  int checkpoints = 0;
  int trims = 0;
  int space_events = 0;
  Error failure{};
  std::uint8_t fill = 0;
  std::vector<std::uint64_t> tokens;
  std::function<void(Lsn trimmed)> told;  // in on_trim
};

using Stamp = std::uint64_t;  // 0: zeroes

inline void fill_block(std::byte* block, Stamp stamp) {
  if (stamp == 0) {
    std::memset(block, 0, 4096);
    return;
  }
  std::uint64_t word = stamp * 0x9e3779b97f4a7c15ull;
  for (std::size_t i = 0; i < 4096; i += 8) {
    std::memcpy(block + i, &word, 8);
    word = word * 6364136223846793005ull + stamp;
  }
}

class Rig {
 public:
  static constexpr std::uint64_t log_bytes = 1 << 20;  // 16 segments of 64 KiB
  static constexpr std::uint32_t record_blocks_max = 4;

  explicit Rig(std::uint64_t blocks = 512, std::uint64_t log = log_bytes,
               std::uint32_t extent_bytes = 64 * 1024)
      : disk(std::make_unique<MemDisk>()), blocks_(blocks) {
    CreateOptions options;
    options.incarnation = test_incarnation;
    options.replica = test_replica;
    options.geometry.size = BlockCount(blocks);
    options.geometry.log_bytes = log;
    options.geometry.extent_bytes = extent_bytes;
    const Status created = Store::create_blocking(*disk, options);
    EXPECT_TRUE(created.has_value());
    states_.push_back({});
    headers_.push_back({});
  }

  [[nodiscard]] OpenOptions open_options() const {
    OpenOptions options;
    options.incarnation = test_incarnation;
    options.replica = test_replica;
    options.boot = {1, boot};
    options.process_start = ProcessStart(start);
    options.keep_log_percent = keep_log_percent;
    options.after_failure = reopen_after_failure;
    return options;
  }

  Status open() {
    sink = TestSink{};
    ++start;
    auto opened = Store::open_blocking(*disk, open_options(), sink);
    if (!opened) return opened.error();
    store = std::move(*opened);
    const Watermarks& marks = store->facts().marks;
    sink.written = marks.written;
    sink.durable = marks.durable;
    next_ = marks.written.next();
    if (marks.written.value() < states_.size() && !keep_model) {
      states_.resize(marks.written.value() + 1);
      headers_.resize(marks.written.value() + 1);
      chain_ = store->facts().chain;
    }
    payloads_.clear();
    return ok();
  }

  void close() {
    store->quiesce();
    run();
    ASSERT_TRUE(store->close_blocking(true).has_value());
    store.reset();
  }
  void kill(Prng& prng) {
    disk->crash_process(prng);
    store.reset();
  }
  void lose_power(Prng& prng) {
    disk->power_loss(prng);
    store.reset();
    ++boot;
  }

  // --- records ---
  RecordHeader make(RecordKind kind, std::uint64_t lba, std::uint64_t count) {
    RecordHeader header;
    header.lsn = next_;
    header.term = term;
    header.kind = kind;
    header.lba = Lba(lba);
    header.blocks = BlockCount(count);
    header.request = RequestNumber(next_.value());
    return header;
  }

  bool append(RecordHeader header) {
    auto payload =
        std::make_unique<AlignedBuffer>(std::max<std::size_t>(payload_bytes(header).value(), 4096));
    std::vector<std::uint32_t> crcs;
    std::map<std::uint64_t, Stamp> state = states_.back();
    for (std::uint64_t i = 0; i < header.blocks.value() && changes_blocks(header.kind); ++i) {
      const Stamp stamp =
          !has_payload(header) ? 0
          : same_bytes != 0    ? same_bytes
                               : header.lsn.value() * 1000 + i + 1 + (generation << 40);
      if (has_payload(header)) {
        fill_block(payload->data() + i * 4096, stamp);
        crcs.push_back(crc32c_block(payload->data() + i * 4096));
      }
      state[header.lba.value() + i] = stamp;
    }
    header.payload_digest = crcs.empty() ? 0 : digest_crcs(crcs);
    header.chain = chain_next(chain_, header);
    if (!store->append(header, {payload->data(), payload_bytes(header).value()}, crcs)) {
      return false;
    }
    chain_ = header.chain;
    payloads_.push_back(std::move(payload));
    states_.push_back(std::move(state));
    headers_.push_back(header);
    next_ = next_.next();
    return true;
  }

  bool write(std::uint64_t lba, std::uint64_t count = 1) {
    return append(make(RecordKind::write, lba, count));
  }
  bool discard(std::uint64_t lba, std::uint64_t count) {
    return append(make(RecordKind::discard, lba, count));
  }
  bool start_term() {
    term = Term(term.value() + 1);
    return append(make(RecordKind::term_start, 0, 0));
  }

  // Any record, drawn; true when it was taken.
  bool write_any(Prng& prng) {
    const std::uint64_t count = prng.range(1, record_blocks_max);
    const std::uint64_t lba = prng.below(blocks_ - 40);
    const std::uint64_t draw = prng.below(16);
    if (large_blocks > 0 && draw >= 10) {
      const std::uint64_t slots =
          blocks_ / large_extent_blocks - large_blocks / large_extent_blocks;
      return write(prng.below(slots + 1) * large_extent_blocks, large_blocks);
    }
    if (draw == 0) return discard(lba, prng.range(1, 40));
    if (draw == 1) return append(make(RecordKind::write_zeroes, lba, prng.range(1, 40)));
    return write(lba, count);
  }

  // --- running ---
  void pump() { store->pump(Instant(now)); }
  // Until nothing moves any more.
  void run() {
    for (int quiet = 0; quiet < 4;) {
      pump();
      quiet = disk->run_all() > 0 ? 0 : quiet + 1;
      if (disk->stopped()) return;
    }
  }
  void run_in_any_order(Prng& prng, std::size_t steps) {
    for (std::size_t i = 0; i < steps; ++i) {
      if (prng.below(3) == 0) pump();
      disk->run_any(prng);
    }
  }
  void flush() {
    store->flush();
    run();
  }
  // The model goes back to `lsn` (the store was rewound, or its disk replaced).
  void forget_beyond(Lsn lsn) {
    states_.resize(lsn.value() + 1);
    headers_.resize(lsn.value() + 1);
    next_ = lsn.next();
    chain_ = lsn == Lsn(0) ? chain_of_empty_log : headers_[lsn.value()].chain;
  }
  // The model becomes that of another replica of the volume.
  void adopt(const Rig& other) {
    states_ = other.states_;
    headers_ = other.headers_;
    next_ = other.next_;
    chain_ = other.chain_;
    term = other.term;
    generation = other.generation;
  }
  void settle_stable() { store->set_fold_limit(sink.durable); }

  // --- truth ---
  [[nodiscard]] Lsn last() const { return Lsn(next_.value() - 1); }
  [[nodiscard]] const RecordHeader& header(Lsn lsn) const { return headers_[lsn.value()]; }
  [[nodiscard]] Stamp expected(Lsn lsn, std::uint64_t lba) const {
    const auto& state = states_[lsn.value()];
    const auto found = state.find(lba);
    return found == state.end() ? 0 : found->second;
  }

  Errc read_block(std::uint64_t lba, std::byte* into) {
    std::uint32_t crc = 0;
    bool done = false;
    ReadOp op;
    op.lba = Lba(lba);
    op.blocks = BlockCount(1);
    op.into = {into, 4096};
    op.crcs = {&crc, 1};
    op.owner = &done;
    op.done = [](ReadOp& finished) { *static_cast<bool*>(finished.owner) = true; };
    store->read(op);
    for (int i = 0; i < 1000 && !done; ++i) {
      pump();
      disk->run_all();
    }
    EXPECT_TRUE(done);
    if (op.result == Errc::ok) {
      EXPECT_EQ(crc, crc32c_block(into));
    }
    return op.result;
  }

  // Every block of the volume reads as the model says for `lsn`, in reads of eight blocks.
  void expect_content(Lsn lsn) {
    AlignedBuffer buffer(8 * 4096);
    std::vector<std::byte> wanted(4096);
    std::uint32_t crcs[8];
    for (std::uint64_t lba = 0; lba + 8 <= blocks_; lba += 8) {
      bool done = false;
      ReadOp op;
      op.lba = Lba(lba);
      op.blocks = BlockCount(8);
      op.into = buffer.span();
      op.crcs = crcs;
      op.owner = &done;
      op.done = [](ReadOp& finished) { *static_cast<bool*>(finished.owner) = true; };
      store->read(op);
      for (int i = 0; i < 1000 && !done; ++i) {
        pump();
        disk->run_all();
      }
      ASSERT_TRUE(done) << "read of block " << lba << " hangs";
      ASSERT_EQ(op.result, Errc::ok) << "block " << lba << " at lsn " << lsn.value();
      for (std::uint64_t i = 0; i < 8; ++i) {
        fill_block(wanted.data(), expected(lsn, lba + i));
        ASSERT_EQ(std::memcmp(wanted.data(), buffer.data() + i * 4096, 4096), 0)
            << "block " << lba + i << " at lsn " << lsn.value();
        ASSERT_EQ(crcs[i], crc32c_block(wanted.data()));
      }
    }
  }

  std::unique_ptr<MemDisk> disk;
  TestSink sink;
  std::unique_ptr<Store> store;
  Term term{1};
  std::uint64_t boot = 1;
  std::uint64_t start = 0;
  std::uint64_t now = 0;
  std::uint64_t large_blocks = 0;  // write_any() makes large writes of this size, too
  std::uint64_t large_extent_blocks = 4;
  std::uint8_t keep_log_percent = limits::log_kept_percent;
  Stamp same_bytes = 0;  // not 0: what every block is written with
  bool reopen_after_failure = false;
  bool keep_model = false;       // open() does not shorten the model to what it finds
  std::uint64_t generation = 0;  // mixed into stamps: other content for the same lsn

 private:
  std::uint64_t blocks_;
  Lsn next_{1};
  std::uint64_t chain_ = chain_of_empty_log;
  std::vector<std::map<std::uint64_t, Stamp>> states_;  // by lsn
  std::vector<RecordHeader> headers_;
  std::vector<std::unique_ptr<AlignedBuffer>> payloads_;
};

}  // namespace seawall::wal
