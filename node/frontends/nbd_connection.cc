#include "node/frontends/nbd_connection.h"

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"
#include "wal/crc32c.h"

namespace seawall::nbd {
namespace {

constexpr std::uint64_t kBlock = limits::block_bytes;
constexpr std::uint32_t kRequestBytesMax = 32U << 20;
// A refused write is read and dropped up to this length; beyond it the connection ends.
constexpr std::uint32_t kSkipBytesMax = 256U << 20;

}  // namespace

Connection::Connection(Server& server, const std::string& door, const Catalogue& catalogue,
                       std::function<std::shared_ptr<Export>(const std::string&)> open, int fd)
    : server_(server), door_(door), negotiation_(catalogue), open_(std::move(open)),
      stream_(std::make_unique<io::Stream>(server.reactor_, server.pool_, fd, *this)) {}

Connection::~Connection() {
  CHECK_MSG(phase_ == Phase::ended, "close() comes first");
  server_.reactor_.cancel(*this);
}

void Connection::start() {
  encode_greeting(out_);
  stream_->append(out_);
  stream_->start();
  server_.reactor_.wake_at(*this, server_.reactor_.now() + server_.options_.option_deadline);
}

void Connection::on_timer(Instant) {
  ++server_.counters_.late;
  close();
}

void Connection::close() {
  if (phase_ == Phase::ended) return;
  phase_ = Phase::ended;
  server_.reactor_.cancel(*this);
  for (Job* job : jobs_) {
    job->connection = nullptr;
    ++server_.counters_.orphaned;
  }
  jobs_.clear();
  if (write_slot_ != no_slot) server_.pool_.unref(write_slot_);
  write_slot_ = no_slot;
  if (write_ != nullptr) {
    write_->connection = nullptr;
    Job* job = std::exchange(write_, nullptr);
    export_->finish_write(*job);
  }
  server_.release(std::exchange(unsent_reads_, 0));
  io::Stream::retire_after_send(std::move(stream_), Duration{1'000});
  server_.ended(*this);
}

void Connection::on_end(io::Stream&, int) { close(); }

void Connection::on_sent(io::Stream& stream) {
  const std::size_t queued = stream.queued_bytes();
  const std::size_t keep = std::min(unsent_reads_, queued);
  const std::size_t sent = unsent_reads_ - keep;
  unsent_reads_ = keep;
  if (sent > 0) server_.release(sent);
  if (phase_ == Phase::ended) return;
  if (queued < kUnsentMax) resume();
}

void Connection::resume() {
  if (phase_ != Phase::ended && !stepping_) stream_->resume();
}

void Connection::on_readable(io::Stream&) {
  stepping_ = true;
  while (step()) {
  }
  stepping_ = false;
}

// One step; false when it waits: for bytes, or (paused) for its turn.
bool Connection::step() {
  if (phase_ == Phase::ended || phase_ == Phase::leaving) {
    if (phase_ == Phase::leaving) stream_->consume(stream_->unread().size());
    return false;
  }
  if (skip_ > 0) return step_skip();
  if (phase_ == Phase::flags) return step_flags();
  if (phase_ == Phase::options) return step_option();
  if (write_ != nullptr) return step_payload();
  return step_request();
}

bool Connection::garbage() {
  ++server_.counters_.garbage;
  close();
  return false;
}

bool Connection::hold() {
  stream_->pause();
  return false;
}

// --- negotiation ---

bool Connection::step_flags() {
  if (stream_->unread().size() < kClientFlagsBytes) return false;
  const std::uint32_t flags = read_u32(stream_->unread());
  stream_->consume(kClientFlagsBytes);
  phase_ = Phase::options;
  return act(negotiation_.client_flags(flags));
}

bool Connection::step_option() {
  const std::span<const std::byte> unread = stream_->unread();
  if (unread.size() < kOptionHeaderBytes) return false;
  OptionHeader header;
  if (!parse_option_header(unread.first(kOptionHeaderBytes), header)) return garbage();
  if (header.length > kOptionBytesMax) {
    if (header.length > kSkipBytesMax) return garbage();
    stream_->consume(kOptionHeaderBytes);
    skip_ = header.length;
    skipped_option_ = header;
    return true;
  }
  if (unread.size() < kOptionHeaderBytes + header.length) return false;
  out_.clear();
  const auto next =
      negotiation_.option(header, unread.subspan(kOptionHeaderBytes, header.length), out_);
  stream_->consume(kOptionHeaderBytes + header.length);
  stream_->append(out_);
  return act(next);
}

bool Connection::act(Negotiation::Next next) {
  if (next == Negotiation::Next::close) {
    close();
    return false;
  }
  if (next == Negotiation::Next::transmit) {
    export_ = open_(negotiation_.export_name());
    if (export_ == nullptr) return garbage();
    phase_ = Phase::transmission;
    server_.reactor_.cancel(*this);
    return true;
  }
  server_.reactor_.wake_at(*this, server_.reactor_.now() + server_.options_.option_deadline);
  return true;
}

bool Connection::step_skip() {
  const std::size_t here = std::min<std::uint64_t>(skip_, stream_->unread().size());
  if (here == 0) return false;
  stream_->consume(here);
  skip_ -= here;
  if (skip_ > 0) return false;
  if (skipped_option_) {
    out_.clear();
    const auto next = negotiation_.oversized(*std::exchange(skipped_option_, std::nullopt), out_);
    stream_->append(out_);
    return act(next);
  }
  reply(*std::exchange(skipped_request_, std::nullopt), skipped_error_);
  return true;
}

// --- transmission ---

bool Connection::step_request() {
  if (jobs_.size() >= kJobsMax || stream_->queued_bytes() >= kUnsentMax) return hold();
  if (held_) {
    const Request request = *held_;
    return begin(request);
  }
  if (stream_->unread().size() < kRequestBytes) return false;
  Request request;
  if (!parse_request(stream_->unread().first(kRequestBytes), request)) return garbage();
  stream_->consume(kRequestBytes);
  return begin(request);
}

WireError Connection::judge_range(const Request& request, WireError beyond) const {
  if (request.length == 0) return WireError::invalid;
  if (request.offset % kBlock != 0 || request.length % kBlock != 0) return WireError::invalid;
  const std::uint64_t size = export_->size_bytes();
  if (request.offset > size || request.length > size - request.offset) return beyond;
  return WireError::none;
}

WireError Connection::judge(const Request& request) const {
  using namespace command_flag;
  std::uint16_t allowed = fua;  // the specification lets FUA come with every command
  WireError range = WireError::none;
  switch (static_cast<Command>(request.type)) {
    case Command::read:
      if (structured()) allowed |= df;
      range = judge_range(request, WireError::invalid);
      // EOVERFLOW is kept for what cannot be sent in one chunk.
      if (request.length > kRequestBytesMax) {
        range = (request.flags & df) != 0 ? WireError::overflow : WireError::invalid;
      }
      break;
    case Command::write:
      range = judge_range(request, WireError::no_space);
      if (request.length > kRequestBytesMax) range = WireError::invalid;
      break;
    case Command::write_zeroes:
      allowed |= no_hole | fast_zero;
      range = judge_range(request, WireError::no_space);
      break;
    case Command::trim: range = judge_range(request, WireError::invalid); break;
    case Command::flush:
      if (request.offset != 0 || request.length != 0) range = WireError::invalid;
      break;
    case Command::block_status:
      allowed |= req_one;
      if (!negotiation_.allocation()) return WireError::invalid;
      range = judge_range(request, WireError::invalid);
      break;
    default: return WireError::invalid;
  }
  if ((request.flags & ~allowed) != 0) return WireError::invalid;
  return range;
}

bool Connection::begin(const Request& request) {
  const auto command = static_cast<Command>(request.type);
  if (command == Command::disc) {
    phase_ = Phase::leaving;
    maybe_leave();
    return false;
  }
  if (const WireError error = judge(request); error != WireError::none) {
    return refuse(request, error);
  }
  switch (command) {
    case Command::read: return begin_job(request, ClientOp::read);
    case Command::write: return begin_write(request);
    case Command::flush: return begin_job(request, ClientOp::flush);
    case Command::trim: return begin_job(request, ClientOp::discard);
    case Command::write_zeroes:
      // Zeroes without NO_HOLE are one record without payload; allocated ones cost a write.
      if ((request.flags & command_flag::no_hole) != 0) {
        if ((request.flags & command_flag::fast_zero) != 0) {
          return refuse(request, WireError::not_supported);
        }
      }
      return begin_job(request, ClientOp::write_zeroes);
    case Command::block_status: block_status(request); return true;
    default: return refuse(request, WireError::invalid);
  }
}

// A refused write's payload is still in the stream.
bool Connection::refuse(const Request& request, WireError error) {
  ++server_.counters_.refused_requests;
  if (static_cast<Command>(request.type) != Command::write || request.length == 0) {
    reply(request, error);
    return true;
  }
  if (request.length > kSkipBytesMax) return garbage();
  skip_ = request.length;
  skipped_request_ = request;
  skipped_error_ = error;
  return true;
}

bool Connection::begin_job(const Request& request, ClientOp op) {
  if (op == ClientOp::read && !server_.reserve(*this, request.length)) {
    held_ = request;
    return hold();
  }
  held_.reset();
  Job* job = export_->make_job();
  job->wire = request;
  job->op = op;
  job->fua = (request.flags & command_flag::fua) != 0 && op != ClientOp::read &&
             op != ClientOp::flush;
  job->zero_payload =
      op == ClientOp::write_zeroes && (request.flags & command_flag::no_hole) != 0;
  job->connection = this;
  job->server = &server_;
  job->home = export_.get();
  job->finished = &Connection::on_job;
  jobs_.push_back(job);
  export_->issue(*job);
  return phase_ == Phase::transmission;
}

bool Connection::begin_write(const Request& request) {
  Job* job = export_->make_job();
  job->wire = request;
  job->op = ClientOp::write;
  job->fua = (request.flags & command_flag::fua) != 0;
  job->connection = this;
  job->server = &server_;
  job->home = export_.get();
  job->finished = &Connection::on_job;
  write_ = job;
  write_at_ = 0;
  return true;
}

// Receives the payload piece by piece; each is on its way as soon as it is whole.
bool Connection::step_payload() {
  if (stream_->receiving()) return false;
  if (write_slot_ == no_slot) {
    write_slot_bytes_ =
        std::min<std::uint64_t>(export_->piece_bytes(), write_->wire.length - write_at_);
    write_slot_ = server_.pool_.take(write_slot_bytes_);
    if (write_slot_ == no_slot) {
      server_.wait_for_memory(*this);
      return hold();
    }
    if (!stream_->receive_into(write_slot_, 0, write_slot_bytes_)) return false;
  }
  const std::span<const std::byte> payload = server_.pool_.bytes(write_slot_);
  const std::span<std::uint32_t> crcs = server_.pool_.crcs(write_slot_);
  for (std::size_t i = 0; i < write_slot_bytes_ / kBlock; ++i) {
    crcs[i] = wal::crc32c(payload.subspan(i * kBlock, kBlock));
  }
  Job* job = write_;
  const std::uint64_t at = write_at_;
  write_at_ += write_slot_bytes_;
  export_->write_piece(*job, at, std::exchange(write_slot_, no_slot), write_slot_bytes_);
  if (write_at_ == job->wire.length) {
    write_ = nullptr;
    jobs_.push_back(job);
    export_->finish_write(*job);
  }
  return phase_ == Phase::transmission;
}

// Everything is told as allocated: true of what was written, and allowed for what is not known.
void Connection::block_status(const Request& request) {
  constexpr std::uint32_t kLength = 12;
  const auto out = stream_->append(kChunkHeaderBytes + kLength);
  encode_chunk(request.cookie, Chunk::block_status, kChunkDone, kLength,
               out.first<kChunkHeaderBytes>());
  put_u32(out.data() + kChunkHeaderBytes, kAllocationContext);
  put_u32(out.data() + kChunkHeaderBytes + 4, request.length);
  put_u32(out.data() + kChunkHeaderBytes + 8, 0);
}

// --- replies ---

void Connection::on_job(Job& job) {
  auto* self = static_cast<Connection*>(job.connection);
  if (self != nullptr) {
    self->finish(job);
  } else {
    if (job.op == ClientOp::read) job.server->release(job.wire.length);
    job.home->free_job(job);
  }
}

void Connection::finish(Job& job) {
  jobs_.erase(std::find(jobs_.begin(), jobs_.end(), &job));
  if (job.op == ClientOp::read && job.error == WireError::none) {
    reply_read(job);
    unsent_reads_ += job.wire.length;
  } else {
    reply(job.wire, job.error);
    if (job.op == ClientOp::read) server_.release(job.wire.length);
  }
  export_->free_job(job);
  if (phase_ == Phase::leaving) return maybe_leave();
  if (jobs_.size() + 1 == kJobsMax) resume();
}

void Connection::reply(const Request& request, WireError error) {
  if (!structured()) {
    encode_simple_reply(request.cookie, error,
                        stream_->append(kSimpleReplyBytes).first<kSimpleReplyBytes>());
    return;
  }
  if (error == WireError::none) {
    encode_chunk(request.cookie, Chunk::none, kChunkDone, 0,
                 stream_->append(kChunkHeaderBytes).first<kChunkHeaderBytes>());
    return;
  }
  constexpr std::uint32_t kLength = 6;  // error, and a message of no bytes
  const auto out = stream_->append(kChunkHeaderBytes + kLength);
  encode_chunk(request.cookie, Chunk::error, kChunkDone, kLength, out.first<kChunkHeaderBytes>());
  put_u32(out.data() + kChunkHeaderBytes, static_cast<std::uint32_t>(error));
  put_u16(out.data() + kChunkHeaderBytes + 4, 0);
}

// One chunk with all the data, so that DF is always kept.
void Connection::reply_read(Job& job) {
  if (structured()) {
    constexpr std::size_t kOffset = 8;
    const auto out = stream_->append(kChunkHeaderBytes + kOffset);
    encode_chunk(job.wire.cookie, Chunk::offset_data, kChunkDone, job.wire.length + kOffset,
                 out.first<kChunkHeaderBytes>());
    put_u64(out.data() + kChunkHeaderBytes, job.wire.offset);
  } else {
    encode_simple_reply(job.wire.cookie, WireError::none,
                        stream_->append(kSimpleReplyBytes).first<kSimpleReplyBytes>());
  }
  for (std::size_t i = 0; i < job.slots.size(); ++i) {
    stream_->append_payload(job.slots[i], 0, job.sizes[i]);
  }
}

// After DISC: what is under way is answered first.
void Connection::maybe_leave() {
  if (jobs_.empty()) close();
}

}  // namespace seawall::nbd
