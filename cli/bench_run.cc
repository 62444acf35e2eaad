#include "cli/bench_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "cli/failure.h"
#include "engine/base/check.h"
#include "node/io/reactor.h"
#include "node/io/steady_clock.h"
#include "node/io/tcp_transport.h"
#include "node/runtime/attachment.h"

namespace seawall::cli {
namespace {

using Moment = std::chrono::steady_clock::time_point;

constexpr std::uint64_t kArenaMin = 64 * limits::MiB;
constexpr Duration kPassMax{20};

std::uint64_t nanoseconds(Moment begin, Moment end) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(end - begin).count());
}

// A client has no replicas, no control edge, nothing that blocks and no accepted links.
class NoReplicas final : public runtime::LocalReplicas {
 public:
  runtime::VolumeHost* find_replica(VolumeId /*volume*/, ReplicaId /*replica*/) override {
    return nullptr;
  }
};
class NoControl final : public control::ControlPort {
 public:
  void send(const control::FromNode& /*message*/) override {}
};
class NoBlocking final : public runtime::Blocking {
 public:
  void run(std::function<void()> work, std::function<void()> done) override {
    work();
    done();
  }
};
class NoGreeter final : public io::LinkGreeter {
 public:
  void on_first_frame(LinkId /*link*/, const runtime::Frame& /*frame*/) override {
    CHECK_MSG(false, "a benchmark listens nowhere");
  }
};

enum class Phase { connecting, ramp, measuring, draining, reading_back, finished };

class Bench final : public io::TurnUser {
 public:
  Bench(io::Reactor& reactor, const control::AttachmentView& view, const BenchOptions& options);

  BenchResult run();

  void on_turn(Instant now) override;

 private:
  struct Open {
    WorkItem item;
    Moment begin;
  };

  void top_up();
  bool submit_next();
  std::optional<WorkItem> choose();
  void on_done(std::uint64_t cookie, ClientStatus status, Slot slot);
  void note_problem(const std::string& problem);
  void advance(Moment now);
  void enter(Phase phase, Moment now);

  io::Reactor& reactor_;
  const BenchOptions options_;
  Workload work_;
  runtime::BufferPool pool_;
  NoReplicas replicas_;
  NoControl control_;
  NoBlocking blocking_;
  NoGreeter greeter_;
  io::TcpTransport transport_;
  runtime::ShardScratch scratch_;
  runtime::Shard shard_;
  runtime::VolatileAttachmentState state_;
  runtime::Attachment attachment_;

  Phase phase_ = Phase::connecting;
  Moment phase_begin_ = std::chrono::steady_clock::now();
  std::vector<Open> open_;           // by cookie
  std::vector<std::uint64_t> free_;  // cookies
  std::uint64_t left_once_ = 0;      // requests that a run over the region still has
  bool read_back_ended_ = false;
  BenchResult result_;
};

std::size_t arena_of(const BenchOptions& options) {
  const std::uint64_t request = options.work.request_blocks * limits::block_bytes;
  const std::uint64_t wanted = std::max(kArenaMin, 4 * options.depth * request);
  return (wanted + limits::MiB - 1) / limits::MiB * limits::MiB;
}

Bench::Bench(io::Reactor& reactor, const control::AttachmentView& view, const BenchOptions& options)
    : reactor_(reactor),
      options_(options),
      work_(options.work),
      pool_(arena_of(options)),
      transport_(reactor, pool_, greeter_, io::TransportOptions{}),
      shard_{reactor.clock(), transport_, reactor, blocking_, control_, pool_, scratch_},
      state_(view.attachment),
      attachment_(shard_, replicas_, state_,
                  [this](std::uint64_t cookie, ClientStatus status, Slot slot) {
                    on_done(cookie, status, slot);
                  }),
      open_(options.depth) {
  for (std::uint64_t cookie = options.depth; cookie > 0; --cookie) free_.push_back(cookie - 1);
  left_once_ = options.work.region_blocks / options.work.request_blocks;
  attachment_.update(view);
}

std::optional<WorkItem> Bench::choose() {
  if (phase_ == Phase::reading_back) {
    std::optional<WorkItem> item = work_.next_read_back();
    read_back_ended_ = !item.has_value();
    return item;
  }
  if (phase_ != Phase::ramp && phase_ != Phase::measuring) return std::nullopt;
  if (options_.once && left_once_ == 0) return std::nullopt;
  std::optional<WorkItem> item = work_.next();
  if (item && options_.once) --left_once_;
  return item;
}

bool Bench::submit_next() {
  const std::uint64_t bytes = options_.work.request_blocks * limits::block_bytes;
  if (pool_.free_bytes() < 2 * bytes) return false;
  const std::optional<WorkItem> item = choose();
  if (!item) return false;
  runtime::ClientIo io;
  io.op = item->write ? ClientOp::write : ClientOp::read;
  io.lba = Lba(item->block);
  io.blocks = BlockCount(options_.work.request_blocks);
  io.cookie = free_.back();
  if (item->write) {
    io.slot = pool_.take(bytes);
    CHECK(io.slot != no_slot);  // the arena holds twice what can be open
    work_.fill(*item, pool_.bytes(io.slot));
  }
  open_[io.cookie] = Open{*item, std::chrono::steady_clock::now()};
  free_.pop_back();
  // open_max is twice the greatest depth, so it is never full; a stopped one ends the run.
  if (attachment_.submit(io)) return true;
  if (item->write) pool_.unref(io.slot);
  free_.push_back(io.cookie);
  work_.complete(*item, false, {});
  note_problem(fmt::format("the attachment has ended: {}", attachment_.reason()));
  enter(Phase::draining, std::chrono::steady_clock::now());
  return false;
}

void Bench::top_up() {
  while (!free_.empty() && submit_next()) {
  }
}

void Bench::note_problem(const std::string& problem) {
  if (result_.first_problem.empty()) result_.first_problem = problem;
}

void Bench::on_done(std::uint64_t cookie, ClientStatus status, Slot slot) {
  const Open open = open_[cookie];
  const bool ok = status == ClientStatus::ok;
  const std::uint64_t took = nanoseconds(open.begin, std::chrono::steady_clock::now());
  const runtime::SlotRef data(pool_, slot);
  const std::string wrong = work_.complete(
      open.item, ok, slot == no_slot ? std::span<const std::byte>{} : pool_.bytes(slot));
  free_.push_back(cookie);
  if (!ok) {
    ++result_.errors;
    note_problem(fmt::format("{} of block {} failed with status {}",
                             open.item.write ? "a write" : "a read", open.item.block,
                             static_cast<unsigned>(status)));
  }
  if (!wrong.empty()) {
    ++result_.mismatches;
    note_problem(wrong);
  }
  if (phase_ == Phase::ramp) ++result_.ramp_ios;
  if (ok && phase_ == Phase::measuring) {
    (open.item.write ? result_.writes : result_.reads).add(took);
  }
  top_up();
}

void Bench::enter(Phase phase, Moment now) {
  if (phase_ == Phase::measuring) {
    result_.seconds = static_cast<double>(nanoseconds(phase_begin_, now)) / 1e9;
  }
  phase_ = phase;
  phase_begin_ = now;
}

void Bench::advance(Moment now) {
  const std::uint64_t ms = nanoseconds(phase_begin_, now) / 1'000'000;
  const bool idle = free_.size() == open_.size();
  switch (phase_) {
    case Phase::connecting:
      if (attachment_.connected()) {
        enter(Phase::ramp, now);
      } else if (ms >= options_.connect_timeout_ms || attachment_.ended()) {
        throw Failure(ExitCode::timed_out,
                      fmt::format("no primary let this client in within {} ms: {}",
                                  options_.connect_timeout_ms, attachment_.reason()));
      }
      break;
    case Phase::ramp:
      if (ms >= options_.ramp_ms) enter(Phase::measuring, now);
      break;
    case Phase::measuring:
      if (options_.once ? left_once_ == 0 && idle : ms >= options_.runtime_ms) {
        enter(Phase::draining, now);
      }
      break;
    case Phase::draining:
      if (idle) enter(options_.work.verify ? Phase::reading_back : Phase::finished, now);
      break;
    case Phase::reading_back:
      if (idle && read_back_ended_) enter(Phase::finished, now);
      break;
    case Phase::finished: break;
  }
}

void Bench::on_turn(Instant now) {
  transport_.retry_parked();
  advance(std::chrono::steady_clock::now());
  top_up();
  attachment_.turn(now);
}

BenchResult Bench::run() {
  while (phase_ != Phase::finished) reactor_.pass(*this, kPassMax);
  attachment_.stop();
  attachment_.turn(reactor_.clock().now());
  CHECK(reactor_.drain(*this, Duration(5'000)));
  result_.blocks_verified = work_.blocks_verified();
  return std::move(result_);
}

}  // namespace

BenchResult run_bench(const control::AttachmentView& view, const BenchOptions& options) {
  CHECK(options.depth > 0);
  CHECK(options.depth <= limits::queue_depth_max);
  const io::SteadyClock clock;
  auto reactor = io::Reactor::create(clock);
  if (!reactor.has_value()) {
    throw Failure(ExitCode::failed,
                  fmt::format("this kernel refuses an io_uring: {}", reactor.error().what));
  }
  Bench bench(*reactor.value(), view, options);
  return bench.run();
}

}  // namespace seawall::cli
