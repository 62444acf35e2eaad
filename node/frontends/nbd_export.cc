#include "node/frontends/nbd_export.h"

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"
#include "wal/crc32c.h"

namespace seawall::nbd {
namespace {

constexpr std::uint64_t kBlock = limits::block_bytes;

WireError wire_error(ClientStatus status) {
  switch (status) {
    case ClientStatus::ok: return WireError::none;
    case ClientStatus::no_space: return WireError::no_space;
    case ClientStatus::out_of_range: return WireError::invalid;
    case ClientStatus::detached:
    case ClientStatus::stale_connection: return WireError::shutdown;
    default: return WireError::io;
  }
}

}  // namespace

Export::Export(std::string name, frontends::BlockTarget& target, runtime::BufferPool& pool)
    : name_(std::move(name)), target_(target), pool_(pool) {}

Export::~Export() {
  CHECK_MSG(in_flight_ == 0 && jobs_open_ == 0, "an export outlives its requests");
  if (zeroes_ != no_slot) pool_.unref(zeroes_);
}

std::size_t Export::piece_bytes() const {
  const std::uint64_t blocks = std::clamp<std::uint64_t>(target_.piece_max().value(), 1,
                                                         limits::record_blocks_max);
  return blocks * kBlock;
}

Job* Export::make_job() {
  if (free_jobs_.empty()) {
    jobs_.push_back(std::make_unique<Job>());
    free_jobs_.push_back(jobs_.back().get());
  }
  Job* job = free_jobs_.back();
  free_jobs_.pop_back();
  std::vector<Slot> slots = std::move(job->slots);
  std::vector<std::size_t> sizes = std::move(job->sizes);
  slots.clear();
  sizes.clear();
  *job = Job{};
  job->slots = std::move(slots);
  job->sizes = std::move(sizes);
  ++jobs_open_;
  return job;
}

void Export::free_job(Job& job) {
  CHECK(job.open == 0);
  for (const Slot slot : job.slots) {
    if (slot != no_slot) pool_.unref(slot);
  }
  job.slots.clear();
  CHECK(jobs_open_ > 0);
  --jobs_open_;
  free_jobs_.push_back(&job);
}

Export::Piece* Export::make_piece(Job& job) {
  if (free_pieces_.empty()) {
    pieces_.push_back(std::make_unique<Piece>());
    free_pieces_.push_back(pieces_.back().get());
  }
  Piece* piece = free_pieces_.back();
  free_pieces_.pop_back();
  *piece = Piece{};
  piece->owner = this;
  piece->job = &job;
  piece->request.op = job.op;
  piece->request.fua = job.fua;
  piece->request.done = &Export::on_done;
  piece->request.owner = piece;
  ++job.open;
  return piece;
}

void Export::count(const Job& job) {
  switch (job.op) {
    case ClientOp::read: ++counters_.reads; break;
    case ClientOp::write: ++counters_.writes; break;
    case ClientOp::flush: ++counters_.flushes; break;
    case ClientOp::discard: ++counters_.discards; break;
    case ClientOp::write_zeroes: ++counters_.zeroes; break;
  }
}

void Export::issue(Job& job) {
  count(job);
  issuing_.push_back(&job);
  pump();
}

void Export::write_piece(Job& job, std::uint64_t at, Slot slot, std::size_t bytes) {
  Piece* piece = make_piece(job);
  piece->request.lba = Lba{(job.wire.offset + at) / kBlock};
  piece->request.blocks = BlockCount{bytes / kBlock};
  piece->request.slot = slot;
  ready_.push_back(piece);
  pump();
}

void Export::finish_write(Job& job) {
  count(job);
  job.whole = true;
  maybe_finish(job);
}

void Export::remove() {
  removed_ = true;
  pump();
}

// Writes and the others take turns, so neither starves; a long job yields after each piece.
void Export::pump() {
  if (pumping_) return;
  pumping_ = true;
  while (in_flight_ < kPiecesMax && (!ready_.empty() || !issuing_.empty())) {
    if (!ready_.empty()) {
      Piece* piece = ready_.front();
      ready_.pop_front();
      submit(*piece);
    }
    if (!issuing_.empty() && in_flight_ < kPiecesMax) {
      Job* job = issuing_.front();
      issuing_.pop_front();
      if (!issue_next(*job) && ready_.empty()) break;
    }
  }
  pumping_ = false;
  if (in_flight_ == 0 && issuing_.empty() && zeroes_ != no_slot) {
    pool_.unref(zeroes_);  // nothing is kept while nobody asks
    zeroes_ = no_slot;
  }
}

// One slot of zeroes serves every whole piece; a shorter tail needs one of its own length.
Slot Export::take_zeroes(std::size_t bytes) {
  const bool shared = bytes == piece_bytes();
  if (shared && zeroes_ != no_slot) {
    pool_.ref(zeroes_);
    return zeroes_;
  }
  const Slot slot = pool_.take(bytes);
  if (slot == no_slot) return no_slot;
  const std::span<std::byte> place = pool_.bytes(slot);
  std::memset(place.data(), 0, place.size());
  const std::uint32_t crc = wal::crc32c(place.first(kBlock));
  for (std::uint32_t& each : pool_.crcs(slot)) each = crc;
  if (shared) {
    zeroes_ = slot;
    pool_.ref(slot);
  }
  return slot;
}

// False: no memory now; the job keeps its turn and retry() goes on with it.
bool Export::issue_next(Job& job) {
  if (removed_ || job.error != WireError::none) {
    if (job.error == WireError::none) job.error = WireError::shutdown;
    job.whole = true;
    maybe_finish(job);
    return true;
  }
  const bool payload = job.op == ClientOp::read || job.zero_payload;
  const std::uint64_t most = payload ? piece_bytes() : limits::discard_bytes_max;
  const std::uint64_t bytes = std::min<std::uint64_t>(most, job.wire.length - job.at);
  const Slot zeroes = job.zero_payload ? take_zeroes(bytes) : no_slot;
  if (job.zero_payload && zeroes == no_slot) {
    issuing_.push_front(&job);
    return false;
  }
  Piece* piece = make_piece(job);
  frontends::BlockRequest& request = piece->request;
  if (job.op == ClientOp::flush) {
    job.whole = true;
    submit(*piece);
    return true;
  }
  request.lba = Lba{(job.wire.offset + job.at) / kBlock};
  request.blocks = BlockCount{bytes / kBlock};
  if (job.op == ClientOp::read) {
    piece->index = job.slots.size();
    job.slots.push_back(no_slot);
    job.sizes.push_back(bytes);
  }
  if (job.zero_payload) {
    request.op = ClientOp::write;
    request.slot = zeroes;
  }
  job.at += bytes;
  job.whole = job.at == job.wire.length;
  if (!job.whole) issuing_.push_back(&job);
  submit(*piece);
  return true;
}

void Export::submit(Piece& piece) {
  ++in_flight_;
  if (removed_) {
    piece.request.result = ClientStatus::detached;
    return piece_done(piece);
  }
  target_.submit(piece.request);
}

void Export::on_done(frontends::BlockRequest& request) {
  auto& piece = *static_cast<Piece*>(request.owner);
  Export& self = *piece.owner;
  self.piece_done(piece);
  self.pump();
}

void Export::piece_done(Piece& piece) {
  Job& job = *piece.job;
  CHECK(in_flight_ > 0);
  CHECK(job.open > 0);
  --in_flight_;
  --job.open;
  const WireError error = wire_error(piece.request.result);
  if (error != WireError::none) ++counters_.errors;
  if (job.error == WireError::none) job.error = error;
  if (job.op == ClientOp::read) {
    job.slots[piece.index] = piece.request.slot;
  } else if (piece.request.slot != no_slot) {
    pool_.unref(piece.request.slot);
  }
  free_pieces_.push_back(&piece);
  maybe_finish(job);
}

void Export::maybe_finish(Job& job) {
  if (!job.whole || job.open > 0) return;
  job.finished(job);
}

}  // namespace seawall::nbd
