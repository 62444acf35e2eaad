#include "node/io/stream.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "engine/base/check.h"

namespace seawall::io {
namespace {

constexpr std::size_t kReceiveRoomMin = 16 * 1024;
constexpr std::size_t kVectorMax = IOV_MAX;

bool passing(std::int32_t result) { return result == -EINTR || result == -EAGAIN; }

}  // namespace

// Ends a retired stream that still sends when its time is up.
class Stream::Linger final : public runtime::TimerUser {
 public:
  explicit Linger(Stream& stream) : stream_(stream) {}
  ~Linger() override { stream_.reactor_.cancel(*this); }
  void on_timer(Instant) override { stream_.shut(); }

 private:
  Stream& stream_;
};

void Stream::Batch::clear() {
  bytes.clear();
  pieces.clear();
  total = 0;
}

Stream::Stream(Reactor& reactor, runtime::BufferPool& pool, int fd, StreamUser& user)
    : reactor_(reactor), pool_(pool), fd_(fd), user_(&user),
      buffer_(new std::byte[kBufferBytes]) {
  CHECK(fd >= 0);
  receive_op_ = RingOp{&Stream::on_received, this};
  send_op_ = RingOp{&Stream::on_send_done, this};
  cancel_op_ = RingOp{&Stream::on_cancelled, this};
}

Stream::~Stream() {
  CHECK_MSG(!receiving_ && !in_send_ && !cancelling_, "the kernel still uses this stream");
  reactor_.forget_flush(*this);
  for (Batch* batch : {&sending_, &filling_}) {
    for (const Piece& piece : batch->pieces) {
      if (piece.slot != no_slot) pool_.unref(piece.slot);
    }
  }
  if (target_ != no_slot) pool_.unref(target_);
  ::close(fd_);
}

void Stream::start() {
  started_ = true;
  if (filling_.total > 0) reactor_.flush_later(*this);
  arm_receive();
}

void Stream::retire(std::unique_ptr<Stream> stream) {
  Stream* self = stream.release();
  CHECK(!self->retired_);
  self->retired_ = true;
  self->user_ = nullptr;
  self->shut();
}

void Stream::retire_after_send(std::unique_ptr<Stream> stream, Duration limit) {
  const bool nothing = stream->ended_ || !stream->started_ || stream->queued_bytes_ == 0;
  if (nothing) return retire(std::move(stream));
  Stream* self = stream.release();
  CHECK(!self->retired_);
  self->retired_ = true;
  self->user_ = nullptr;
  self->linger_ = std::make_unique<Linger>(*self);
  self->reactor_.wake_at(*self->linger_, self->reactor_.now() + limit);
}

// Ends whatever the kernel does with this socket; the completions release the object.
void Stream::shut() {
  if (!ended_) ::shutdown(fd_, SHUT_RDWR);
  ended_ = true;
  if ((receiving_ || in_send_) && !cancelling_) {
    io_uring_sqe* sqe = reactor_.entry();
    io_uring_prep_cancel_fd(sqe, fd_, IORING_ASYNC_CANCEL_ALL);
    reactor_.submit(sqe, cancel_op_);
    cancelling_ = true;
    return;
  }
  if (!cancelling_) {
    reactor_.defer(cancel_op_, 0);  // the object goes in the next pass, never inside a callback
    cancelling_ = true;
  }
}

void Stream::on_cancelled(RingOp& op, std::int32_t, std::uint32_t) {
  auto& self = *static_cast<Stream*>(op.owner);
  self.cancelling_ = false;
  self.release_if_idle();
}

void Stream::release_if_idle() {
  if (retired_ && ended_ && !receiving_ && !in_send_ && !cancelling_) delete this;
}

void Stream::end(int error) {
  if (ended_) return;
  ended_ = true;
  ::shutdown(fd_, SHUT_RDWR);
  if (retired_) return;
  user_->on_end(*this, error);
}

// --- receiving ---

std::span<const std::byte> Stream::unread() const {
  return {buffer_.get() + head_, tail_ - head_};
}

void Stream::consume(std::size_t bytes) {
  CHECK(bytes <= tail_ - head_);
  head_ += bytes;
  if (head_ == tail_) head_ = tail_ = 0;
}

bool Stream::receive_into(Slot slot, std::size_t offset, std::size_t bytes) {
  CHECK(target_left_ == 0);
  const std::span<std::byte> place = pool_.bytes(slot);
  CHECK(offset <= place.size() && bytes <= place.size() - offset);
  const std::size_t here = std::min(bytes, tail_ - head_);
  std::memcpy(place.data() + offset, buffer_.get() + head_, here);
  consume(here);
  if (here == bytes) return true;
  CHECK_MSG(!receiving_, "a target is set while data is delivered");
  pool_.ref(slot);
  target_ = slot;
  target_offset_ = offset + here;
  target_left_ = bytes - here;
  return false;
}

void Stream::resume() {
  if (!paused_) return;
  paused_ = false;
  if (delivering_ || ended_ || retired_) return;
  if (receiving_ || target_left_ > 0) return arm_receive();
  deliver();
}

void Stream::arm_receive() {
  if (receiving_ || paused_ || ended_ || retired_) return;
  if (kBufferBytes - tail_ < kReceiveRoomMin && head_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + head_, tail_ - head_);
    tail_ -= head_;
    head_ = 0;
  }
  const std::size_t room = kBufferBytes - tail_;
  CHECK_MSG(room > 0 || target_left_ > 0, "a user consumes messages, or pauses");
  io_uring_sqe* sqe = reactor_.entry();
  if (target_left_ > 0) {
    receive_vector_[0] = {pool_.bytes(target_).data() + target_offset_, target_left_};
    receive_vector_[1] = {buffer_.get() + tail_, room};
    receive_message_ = {};
    receive_message_.msg_iov = receive_vector_;
    receive_message_.msg_iovlen = room > 0 ? 2 : 1;
    io_uring_prep_recvmsg(sqe, fd_, &receive_message_, 0);
  } else {
    io_uring_prep_recv(sqe, fd_, buffer_.get() + tail_, room, 0);
  }
  if (likely_empty_) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  reactor_.submit(sqe, receive_op_);
  receiving_ = true;
}

void Stream::on_received(RingOp& op, std::int32_t result, std::uint32_t flags) {
  auto& self = *static_cast<Stream*>(op.owner);
  self.receiving_ = false;
  if (self.retired_) return self.release_if_idle();
  if (self.ended_) return;
  if (passing(result)) return self.arm_receive();
  if (result <= 0) return self.end(-result);
  self.likely_empty_ = (flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
  self.take_received(static_cast<std::size_t>(result));
  if (!self.paused_) self.deliver();
}

void Stream::take_received(std::size_t bytes) {
  const std::size_t direct = std::min(bytes, target_left_);
  target_offset_ += direct;
  target_left_ -= direct;
  tail_ += bytes - direct;
  CHECK(tail_ <= kBufferBytes);
  if (target_left_ == 0 && target_ != no_slot) {
    pool_.unref(target_);  // the user holds its own reference
    target_ = no_slot;
  }
}

void Stream::deliver() {
  if (target_left_ > 0) return arm_receive();
  delivering_ = true;
  user_->on_readable(*this);
  delivering_ = false;
  arm_receive();
}

// --- sending ---

std::span<std::byte> Stream::append(std::size_t bytes) {
  const std::size_t at = filling_.bytes.size();
  filling_.bytes.resize(at + bytes);
  if (filling_.pieces.empty() || filling_.pieces.back().slot != no_slot) {
    filling_.pieces.push_back(Piece{at, bytes, no_slot});
  } else {
    filling_.pieces.back().length += bytes;
  }
  filling_.total += bytes;
  queued_bytes_ += bytes;
  if (!in_send_) reactor_.flush_later(*this);
  return {filling_.bytes.data() + at, bytes};
}

void Stream::append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  std::memcpy(append(bytes.size()).data(), bytes.data(), bytes.size());
}

void Stream::append_payload(Slot slot, std::size_t offset, std::size_t bytes) {
  if (bytes == 0) return;
  CHECK(offset + bytes <= pool_.bytes(slot).size());
  pool_.ref(slot);
  filling_.pieces.push_back(Piece{offset, bytes, slot});
  filling_.total += bytes;
  queued_bytes_ += bytes;
  if (!in_send_) reactor_.flush_later(*this);
}

void Stream::on_flush() {
  if (in_send_ || ended_ || !started_ || filling_.total == 0) return;
  begin_batch();
}

void Stream::begin_batch() {
  std::swap(filling_, sending_);
  vector_.clear();
  vector_at_ = 0;
  for (const Piece& piece : sending_.pieces) {
    const bool own = piece.slot == no_slot;
    std::byte* base = own ? sending_.bytes.data() : pool_.bytes(piece.slot).data();
    vector_.push_back({base + piece.offset, piece.length});
  }
  send_rest();
}

void Stream::send_rest() {
  send_message_ = {};
  send_message_.msg_iov = vector_.data() + vector_at_;
  send_message_.msg_iovlen = std::min(vector_.size() - vector_at_, kVectorMax);
  io_uring_sqe* sqe = reactor_.entry();
  // The kernel itself continues a short send of a stream with MSG_WAITALL; we do if it does not.
  io_uring_prep_sendmsg(sqe, fd_, &send_message_, MSG_NOSIGNAL | MSG_WAITALL);
  reactor_.submit(sqe, send_op_);
  in_send_ = true;
}

void Stream::on_send_done(RingOp& op, std::int32_t result, std::uint32_t) {
  auto& self = *static_cast<Stream*>(op.owner);
  self.in_send_ = false;
  if (self.ended_) return self.release_if_idle();
  if (passing(result)) return self.send_rest();
  if (result <= 0) {
    self.end(result < 0 ? -result : EPIPE);
    if (self.retired_) self.shut();
    return;
  }
  auto left = static_cast<std::size_t>(result);
  self.queued_bytes_ -= left;
  while (left > 0) {
    iovec& piece = self.vector_[self.vector_at_];
    const std::size_t step = std::min(left, piece.iov_len);
    piece.iov_base = static_cast<std::byte*>(piece.iov_base) + step;
    piece.iov_len -= step;
    left -= step;
    if (piece.iov_len == 0) ++self.vector_at_;
  }
  if (self.vector_at_ < self.vector_.size()) return self.send_rest();
  self.finish_batch();
}

void Stream::finish_batch() {
  for (const Piece& piece : sending_.pieces) {
    if (piece.slot != no_slot) pool_.unref(piece.slot);
  }
  sending_.clear();
  if (filling_.total > 0) reactor_.flush_later(*this);
  if (retired_) {
    if (filling_.total == 0) shut();
    return;
  }
  user_->on_sent(*this);
}

}  // namespace seawall::io
