#include "sim/workload.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/base/chain.h"
#include "engine/base/check.h"

namespace seawall::sim {
namespace {

std::uint64_t digest(std::span<const std::byte> data) {
  std::uint64_t hash = data.size();
  for (std::size_t at = 0; at + limits::block_bytes <= data.size(); at += limits::block_bytes) {
    std::uint64_t stamp = 0;
    std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(at), sizeof(stamp),
                reinterpret_cast<std::byte*>(&stamp));
    hash = mix64(hash, stamp);
  }
  return hash;
}

}  // namespace

WorkloadStats& WorkloadStats::operator+=(const WorkloadStats& other) {
  asked += other.asked;
  ok += other.ok;
  failed += other.failed;
  unanswered += other.unanswered;
  lost_positions += other.lost_positions;
  writes_ok += other.writes_ok;
  reads_ok += other.reads_ok;
  flushes_ok += other.flushes_ok;
  return *this;
}

Workload::Workload(Scheduler& scheduler, Trace& trace, Verdict& verdict, Prng prng,
                   const WorkloadOptions& options, bool durable_completions, OpNumber last_op)
    : scheduler_(scheduler),
      trace_(trace),
      verdict_(verdict),
      prng_(prng),
      options_(options),
      oracle_(options.volume_blocks, durable_completions),
      last_op_(last_op) {}

void Workload::serve(BlockDevice& device, bool fresh) {
  device_ = &device;
  ++device_generation_;
  if (!fresh) return;
  if (probes_ != nullptr && device_generation_ > 1) SOMETIMES(*probes_, client_reborn);
  oracle_.client_reborn();
  log_.client_reborn();
}

void Workload::client_died() {
  device_ = nullptr;
  ++device_generation_;
  const auto open = std::move(open_);
  open_.clear();
  for (const auto& [op, entry] : open) {
    ++stats_.unanswered;
    if (probes_ != nullptr) SOMETIMES(*probes_, write_unanswered);
    note_end(entry.request, Ended::unanswered, {});
    switch (entry.request.kind) {
      case ClientOp::read: static_cast<void>(oracle_.end_read(op, Ended::unanswered, {})); break;
      case ClientOp::flush: oracle_.end_flush(op, Ended::unanswered); break;
      case ClientOp::write:
      case ClientOp::discard:
      case ClientOp::write_zeroes: oracle_.end_write(op, Ended::unanswered); break;
    }
    if (entry.then) entry.then(false);
  }
}

// --- issuing ---

void Workload::start_issuing() {
  issuing_ = true;
  while (armed_ + open_.size() < options_.queue_depth) arm(prng_.below(options_.think_max + 1));
}

void Workload::arm(Micros delay) {
  ++armed_;
  scheduler_.after(delay, world, [this] {
    --armed_;
    if (issuing_) issue_one();
  });
}

void Workload::issue_one() {
  if (options_.operations > 0 && stats_.asked >= options_.operations) return;
  if (device_ == nullptr || open_.size() >= options_.queue_depth || !submit(draw(), {})) {
    arm(10 * ms);
  }
}

IoRequest Workload::draw() {
  IoRequest request;
  const std::uint32_t total = options_.weight_write + options_.weight_read + options_.weight_flush +
                              options_.weight_discard + options_.weight_zero;
  std::uint64_t at = prng_.below(total);
  const auto takes = [&at](std::uint32_t weight) {
    if (at < weight) return true;
    at -= weight;
    return false;
  };
  request.kind = takes(options_.weight_write)     ? ClientOp::write
                 : takes(options_.weight_read)    ? ClientOp::read
                 : takes(options_.weight_flush)   ? ClientOp::flush
                 : takes(options_.weight_discard) ? ClientOp::discard
                                                  : ClientOp::write_zeroes;
  if (request.kind == ClientOp::flush) return request;
  request.blocks = prng_.range(1, options_.blocks_max);
  const bool hot = prng_.chance(options_.hot);
  const std::uint64_t span =
      hot ? std::max(options_.hot_blocks, request.blocks) : options_.volume_blocks;
  request.lba = prng_.below(span - request.blocks + 1);
  // Whole extents go another way to the disk.
  constexpr std::uint64_t extent = limits::extent_bytes / limits::block_bytes;
  if (options_.blocks_max >= extent && prng_.chance(Ratio{1, 4})) {
    request.blocks = prng_.range(1, options_.blocks_max / extent) * extent;
    request.lba = prng_.below((options_.volume_blocks - request.blocks) / extent + 1) * extent;
  }
  request.fua = request.kind != ClientOp::read && prng_.chance(options_.fua);
  return request;
}

bool Workload::submit(IoRequest request, std::function<void(bool)> then) {
  if (device_ == nullptr) return false;
  request.op = ++last_op_;
  const OpNumber op = request.op;
  log_.begin(op);
  switch (request.kind) {
    case ClientOp::read: oracle_.begin_read(op, request.lba, request.blocks); break;
    case ClientOp::flush: oracle_.begin_flush(op); break;
    case ClientOp::write:
    case ClientOp::discard:
    case ClientOp::write_zeroes:
      oracle_.begin_write(op, request.lba, request.blocks, request.kind != ClientOp::write,
                          request.fua);
      break;
  }
  open_.emplace(op, OpenRequest{request, std::move(then)});
  const std::uint64_t generation = device_generation_;
  const bool taken = device_->submit(
      request, [this, op, generation](ClientStatus status, std::span<const std::byte> data) {
        if (generation == device_generation_) answered(op, status, data);
      });
  if (!taken) {  // never asked: it is as if it had failed before it could do anything
    open_.erase(op);
    log_.forget(op);
    if (request.kind == ClientOp::read) {
      static_cast<void>(oracle_.end_read(op, Ended::failed, {}));
    } else if (request.kind == ClientOp::flush) {
      oracle_.end_flush(op, Ended::failed);
    } else {
      oracle_.end_write(op, Ended::failed);
    }
    return false;
  }
  ++stats_.asked;
  trace_.add(TraceRecord{scheduler_.now(), What::client_begin, 0, op,
                         static_cast<std::uint64_t>(request.kind), request.lba, request.blocks});
  return true;
}

// --- answers ---

void Workload::answered(OpNumber op, ClientStatus status, std::span<const std::byte> data) {
  const auto it = open_.find(op);
  if (it == open_.end()) {
    verdict_.fail(Failure::safety, "request " + std::to_string(op) + " was answered twice");
    return;
  }
  const OpenRequest entry = std::move(it->second);
  open_.erase(it);
  trace_.add(TraceRecord{scheduler_.now(), What::client_end, 0, op,
                         static_cast<std::uint64_t>(status), digest(data)});
  judge(entry.request, status, data);
  const bool durable = entry.request.kind == ClientOp::flush || entry.request.fua;
  if (status == ClientStatus::ok && durable && made_durable_) made_durable_();
  if (status == ClientStatus::ok) last_ok_ = scheduler_.now();
  if (entry.then) entry.then(status == ClientStatus::ok);
  if (issuing_ && !entry.then) arm(prng_.below(options_.think_max + 1));
}

void Workload::note_end(const IoRequest& request, Ended how, std::span<const std::byte> data) {
  switch (request.kind) {
    case ClientOp::read: return log_.end_read(request.op, request.lba, data, how);
    case ClientOp::flush: return log_.forget(request.op);
    case ClientOp::write:
    case ClientOp::discard:
    case ClientOp::write_zeroes:
      return log_.end_write(request.op, request.lba, request.blocks,
                            request.kind != ClientOp::write, how);
  }
}

void Workload::wrong(const std::string& what) {
  if (on_wrong_) on_wrong_(what);
  else verdict_.fail(Failure::safety, what);
}

void Workload::judge(const IoRequest& request, ClientStatus status,
                     std::span<const std::byte> data) {
  const Ended how = status == ClientStatus::ok ? Ended::ok : Ended::failed;
  ++(how == Ended::ok ? stats_.ok : stats_.failed);
  note_end(request, how, data);
  if (request.kind == ClientOp::read) {
    std::string wrong = oracle_.end_read(request.op, how, data);
    if (!wrong.empty()) {
      this->wrong("read " + std::to_string(request.op) + ": " + wrong);
    }
    if (how == Ended::ok) ++stats_.reads_ok;
  } else if (request.kind == ClientOp::flush) {
    oracle_.end_flush(request.op, how);
    if (how == Ended::ok) ++stats_.flushes_ok;
  } else {
    oracle_.end_write(request.op, how);
    if (how == Ended::ok) ++stats_.writes_ok;
  }
  switch (status) {
    case ClientStatus::ok:
      if (heard_) heard_();
      return;
    case ClientStatus::io_error: return;
    case ClientStatus::position_lost:
      ++stats_.lost_positions;
      if (loss_allowed_ && !loss_allowed_()) {
        wrong("the client was told that data it had seen is gone, but no more machines lost power "
              "than the configuration tolerates");
      }
      oracle_.unflushed_data_was_lost();
      log_.loss();
      if (probes_ != nullptr) SOMETIMES(*probes_, position_lost);
      if (device_gone_) device_gone_(status);
      return;
    case ClientStatus::detached:
      if (device_gone_) device_gone_(status);
      return;
    case ClientStatus::not_primary:
    case ClientStatus::not_serving:
    case ClientStatus::no_space:
    case ClientStatus::out_of_range:
    case ClientStatus::stale_connection:
    case ClientStatus::below_low_mark:
    case ClientStatus::busy:
      verdict_.fail(Failure::safety, "request " + std::to_string(request.op) +
                                         " of a well-behaved client ended with status " +
                                         std::to_string(static_cast<int>(status)));
      return;
  }
}

// --- proofs ---

void Workload::read_everything(std::function<void()> done) {
  sweep_next_ = 0;
  sweep_done_ = std::move(done);
  next_sweep_read();
}

void Workload::next_sweep_read() {
  while (sweep_next_ < oracle_.blocks() && !oracle_.ever_written(sweep_next_)) ++sweep_next_;
  if (sweep_next_ >= oracle_.blocks()) {
    if (sweep_done_) std::exchange(sweep_done_, {})();
    return;
  }
  IoRequest request;
  request.kind = ClientOp::read;
  request.lba = sweep_next_;
  request.blocks = std::min<std::uint64_t>(16, oracle_.blocks() - sweep_next_);
  const std::uint64_t next = sweep_next_ + request.blocks;
  const bool taken = submit(request, [this, next](bool ok) {
    // A read that failed (the volume moved, its client died) is asked again.
    if (ok) sweep_next_ = next;
    scheduler_.after(ok ? 0 : 50 * ms, world, [this] { next_sweep_read(); });
  });
  if (!taken) scheduler_.after(50 * ms, world, [this] { next_sweep_read(); });
}

void Workload::flush(std::function<void(bool)> done) {
  IoRequest request;
  request.kind = ClientOp::flush;
  auto shared = std::make_shared<std::function<void(bool)>>(std::move(done));
  if (!submit(request, [shared](bool ok) { (*shared)(ok); })) (*shared)(false);
}

void Workload::write_one(std::function<void(bool)> done) {
  IoRequest request;
  request.kind = ClientOp::write;
  request.lba = prng_.below(options_.volume_blocks);
  request.blocks = 1;
  auto shared = std::make_shared<std::function<void(bool)>>(std::move(done));
  if (!submit(request, [shared](bool ok) { (*shared)(ok); })) (*shared)(false);
}

}  // namespace seawall::sim
