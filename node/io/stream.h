// One connected socket on a reactor: buffered receiving, gathered sending.
//
// Purpose: both the data transport and the NBD server cut messages out of a byte stream whose large
// payloads belong into pool slots. Receiving: what arrives goes to a small buffer; the user
// consumes from its front, and may direct the rest of a payload straight into a slot. Sending:
// everything appended in one pass leaves in one sendmsg, payloads straight from their slots.
// Life cycle: create with a socket (taken over), start() once it is connected, then retire() at the
// end: the object lives on until the kernel has let go of every buffer.
// Thread: the reactor's. Ownership: a slot that is sent or received into is referenced until done.
// Errors: end of stream and socket errors arrive once, in on_end(); nothing follows retire().
// Invariants: one receive and one send in flight at most; bytes are never skipped or repeated.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "node/io/reactor.h"
#include "node/runtime/buffer_pool.h"

namespace seawall::io {

class Stream;

class StreamUser {
 public:
  virtual ~StreamUser() = default;
  // More of the stream is here: in unread(), or in the slot that receive_into() named.
  virtual void on_readable(Stream& stream) = 0;
  // The peer ended (0) or the socket failed (errno). The user retires the stream, now or later.
  virtual void on_end(Stream& stream, int error) = 0;
  // A send ended: queued_bytes() went down.
  virtual void on_sent(Stream&) {}
};

class Stream final : public Flushable {
 public:
  static constexpr std::size_t kBufferBytes = 64 * 1024;

  Stream(Reactor& reactor, runtime::BufferPool& pool, int fd, StreamUser& user);
  ~Stream() override;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void start();  // the first receive
  static void retire(std::unique_ptr<Stream> stream);
  // As retire(), but what was appended is sent first, for at most `limit`.
  static void retire_after_send(std::unique_ptr<Stream> stream, Duration limit);

  // --- receiving ---
  std::span<const std::byte> unread() const;
  void consume(std::size_t bytes);
  // The next bytes of the stream go to [offset, offset + bytes) of the slot; what is unread counts
  // first. True when that filled it at once, else on_readable() follows when receiving() is false.
  bool receive_into(Slot slot, std::size_t offset, std::size_t bytes);
  bool receiving() const { return target_left_ > 0; }
  // Back-pressure: nothing more is taken from the socket, or shown, until resume(), which shows
  // again what is unread before it returns.
  void pause() { paused_ = true; }
  void resume();

  // --- sending ---
  // Room for `bytes` at the end of what is queued; valid until the next call.
  std::span<std::byte> append(std::size_t bytes);
  void append(std::span<const std::byte> bytes);
  void append_payload(Slot slot, std::size_t offset, std::size_t bytes);
  std::size_t queued_bytes() const { return queued_bytes_; }

  int fd() const { return fd_; }

 private:
  struct Piece {
    std::size_t offset = 0;  // in the batch's bytes, or in the slot
    std::size_t length = 0;
    Slot slot = no_slot;
  };
  struct Batch {
    std::vector<std::byte> bytes;
    std::vector<Piece> pieces;
    std::size_t total = 0;
    void clear();
  };
  class Linger;

  static void on_received(RingOp& op, std::int32_t result, std::uint32_t flags);
  static void on_send_done(RingOp& op, std::int32_t result, std::uint32_t flags);
  static void on_cancelled(RingOp& op, std::int32_t result, std::uint32_t flags);
  void on_flush() override;
  void arm_receive();
  void take_received(std::size_t bytes);
  void deliver();
  void begin_batch();
  void send_rest();
  void finish_batch();
  void end(int error);
  void shut();
  void release_if_idle();

  Reactor& reactor_;
  runtime::BufferPool& pool_;
  const int fd_;
  StreamUser* user_;  // nullptr once retired
  bool started_ = false;
  bool ended_ = false;
  bool retired_ = false;
  std::unique_ptr<Linger> linger_;
  bool cancelling_ = false;

  std::unique_ptr<std::byte[]> buffer_;
  std::size_t head_ = 0, tail_ = 0;
  Slot target_ = no_slot;
  std::size_t target_offset_ = 0, target_left_ = 0;
  bool paused_ = false;
  bool receiving_ = false;      // a receive is in flight
  bool likely_empty_ = true;    // the socket had nothing more: wait first, then receive
  bool delivering_ = false;

  Batch filling_, sending_;
  std::vector<iovec> vector_;
  std::size_t vector_at_ = 0;
  bool in_send_ = false;        // a send is in flight
  std::size_t queued_bytes_ = 0;

  RingOp receive_op_, send_op_, cancel_op_;
  msghdr receive_message_{}, send_message_{};
  iovec receive_vector_[2] = {};
};

}  // namespace seawall::io
