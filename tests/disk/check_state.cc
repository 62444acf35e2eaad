// Opens the replicas of one volume as a power loss left them, over the real disk, and asks: does
// every quorum that may elect a primary elect one that has all that was flushed?
//
//   check_state MODEL DIR DIR DIR
//
// DIR: a replica (POOL/replicas/ID). MODEL: a line a block that was ever written: its number and
// the stamps that it may hold, 0 for zeroes; a block of stamp S is S in each of its 8-byte words.
// The election is the product's own (engine/promotion.h). Exit: 0 right, 1 wrong (said on standard
// output), 2 usage. Prints one line: who won, how far the logs go, what opening found.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "engine/promotion.h"
#include "node/io/uring_disk.h"
#include "tests/support/io_loop.h"
#include "wal/aligned.h"
#include "wal/store.h"
#include "wal/super.h"

namespace seawall {
namespace {

using Model = std::map<std::uint64_t, std::set<std::uint64_t>>;

constexpr std::uint64_t chunk_blocks = 64;
constexpr std::uint64_t torn = ~0ull;  // no whole stamp

struct Quiet final : wal::Sink {
  void on_written(Lsn) override {}
  void on_durable(Lsn) override {}
  void on_failed(Error error) override { failure = error.what; }
  void on_super_written(std::uint64_t) override {}
  void on_checkpointed(Lsn, Lsn) override {}
  void on_trim(Lsn, Lsn) override {}
  void on_log_space(std::uint8_t) override {}
  const char* failure = nullptr;
};

std::uint64_t stamp_of(const std::byte* block) {
  std::uint64_t first = 0;
  std::memcpy(&first, block, sizeof first);
  for (std::size_t at = 8; at < limits::block_bytes; at += 8) {
    if (std::memcmp(block, block + at, 8) != 0) return torn;
  }
  return first;
}

class Replica {
 public:
  explicit Replica(const std::string& directory) : name_(directory) {}

  bool open() {
    auto disk = io::UringDisk::open(loops_[0], name_);
    if (!disk) return refuse(disk.error());
    disk_ = std::move(*disk);
    wal::OpenOptions options;
    auto file = disk_->open(wal::super_name);
    if (!file) return refuse(file.error());
    const auto loaded = wal::load_super(*disk_, *file);
    disk_->close(*file);
    if (!loaded) return refuse(loaded.error());
    const wal::DiskSuper& super = loaded->super;
    options.incarnation = {super.incarnation_hi, super.incarnation_lo};
    options.replica = ReplicaId(super.replica);
    options.boot = {super.boot_hi + 1, super.boot_lo};  // the machine has lost its power
    options.process_start = ProcessStart(1);
    auto store = wal::Store::open_blocking(*disk_, options, sink_);
    if (!store) return refuse(store.error());
    store_ = std::move(*store);
    return true;
  }
  void close() {
    if (store_ == nullptr) return;
    store_->quiesce();
    CHECK(run([&] { return store_->idle(); }));
    CHECK(store_->close_blocking(true).has_value());
    store_.reset();
    CHECK(loops_.drain());
  }

  // Every block of the model holds one of its stamps.
  bool holds(const Model& model) {
    wal::AlignedBuffer buffer(chunk_blocks * limits::block_bytes);
    for (auto at = model.begin(); at != model.end();) {
      const std::uint64_t from = at->first / chunk_blocks * chunk_blocks;
      if (!read(from, buffer.span())) return false;
      for (; at != model.end() && at->first < from + chunk_blocks; ++at) {
        const std::uint64_t found =
            stamp_of(buffer.data() + (at->first - from) * limits::block_bytes);
        if (at->second.contains(found)) continue;
        std::printf("%s: block %lu holds stamp %lu, and not %lu or later ones\n", name_.c_str(),
                    at->first, found, *at->second.begin());
        return false;
      }
    }
    return true;
  }
  [[nodiscard]] const ReplicaFacts& facts() const { return store_->facts(); }

 private:
  bool refuse(const Error& error) {
    std::printf("%s: does not open: %s (%s)\n", name_.c_str(), error.what,
                errc_name(error.code));
    return false;
  }
  template <class Condition>
  bool run(Condition condition) {
    return loops_.run_until([&] {
      store_->pump(loops_.clock().now());
      return condition();
    });
  }
  bool read(std::uint64_t from, std::span<std::byte> into) {
    std::uint32_t crcs[chunk_blocks];
    bool done = false;
    wal::ReadOp op;
    op.lba = Lba(from);
    op.blocks = BlockCount(std::min(chunk_blocks, facts().size.value() - from));
    op.into = into.first(op.blocks.value() * limits::block_bytes);
    op.crcs = crcs;
    op.owner = &done;
    op.done = [](wal::ReadOp& finished) { *static_cast<bool*>(finished.owner) = true; };
    store_->read(op);
    CHECK(run([&] { return done; }));
    if (op.result == Errc::ok) return true;
    std::printf("%s: blocks from %lu: %s\n", name_.c_str(), from, errc_name(op.result));
    return false;
  }

  const std::string name_;
  testing::Loops loops_;
  Quiet sink_;
  std::unique_ptr<io::UringDisk> disk_;
  std::unique_ptr<wal::Store> store_;
};

Model load_model(const char* path) {
  Model model;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::uint64_t block = 0;
    words >> block;
    for (std::uint64_t stamp = 0; words >> stamp;) model[block].insert(stamp);
  }
  return model;
}

using Replicas = std::vector<std::unique_ptr<Replica>>;

// The primary that these replicas, and no others, would elect.
PromotionDecision elect(const std::vector<Replica*>& electors, const Configuration& config) {
  PromotionFacts facts;
  facts.config = &config;
  facts.since_fence = facts.since_enough = Duration{1'000'000'000};
  std::vector<FenceReport> reports;
  for (const Replica* replica : electors) {
    const ReplicaFacts& own = replica->facts();
    facts.record_epoch = std::max(facts.record_epoch, own.seen_epoch);
    facts.record_revision = std::max(facts.record_revision, own.seen_revision);
    reports.push_back({VolumeId{1, 1}, Epoch(1), own});
  }
  facts.pending = Epoch(1);
  facts.reports = reports;
  return decide_promotion(facts);
}

int check(const Model& model, Replicas& replicas) {
  Configuration config;
  for (const auto& replica : replicas) config.members.push_back(replica->facts().replica);
  std::sort(config.members.begin(), config.members.end());
  std::map<ReplicaId, bool> right;
  int wrong = 0;
  for (std::size_t away = 0; away <= replicas.size(); ++away) {  // the last: nobody is away
    std::vector<Replica*> electors;
    for (std::size_t i = 0; i < replicas.size(); ++i) {
      if (i != away) electors.push_back(replicas[i].get());
    }
    const PromotionDecision decision = elect(electors, config);
    if (decision.kind != PromotionKind::promote) {
      std::printf("without replica %zu nobody is elected: %s\n", away, decision.reason);
      ++wrong;
      continue;
    }
    for (Replica* replica : electors) {
      if (replica->facts().replica != decision.winner) continue;
      const auto [at, fresh] = right.try_emplace(decision.winner, true);
      if (fresh) at->second = replica->holds(model);
      if (!at->second) ++wrong;
    }
  }
  for (const auto& replica : replicas) {
    const ReplicaFacts& facts = replica->facts();
    std::printf("%lu:%lu/%lu/%lu%s ", facts.last_term.value(), facts.marks.applied.value(),
                facts.marks.durable.value(), facts.marks.written.value(),
                facts.damage == Damage::none ? "" : "!");
  }
  std::printf("%s\n", wrong == 0 ? "right" : "WRONG");
  return wrong == 0 ? 0 : 1;
}

int main_of(const std::vector<const char*>& words) {
  if (words.size() < 4) {
    std::fprintf(stderr, "usage: check_state MODEL DIR DIR DIR\n");
    return 2;
  }
  const Model model = load_model(words[1]);
  Replicas replicas;
  bool opened = true;
  for (std::size_t i = 2; i < words.size(); ++i) {
    replicas.push_back(std::make_unique<Replica>(words[i]));
    opened = replicas.back()->open() && opened;
  }
  const int code = opened ? check(model, replicas) : 1;
  for (const auto& replica : replicas) replica->close();
  return code;
}

}  // namespace
}  // namespace seawall

int main(int argc, char** argv) { return seawall::main_of({argv, argv + argc}); }
