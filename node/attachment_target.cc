#include "node/attachment_target.h"

#include "engine/base/check.h"
#include "engine/base/limits.h"

namespace seawall::node {

AttachmentTarget::AttachmentTarget(io::Reactor& reactor, runtime::BufferPool& pool,
                                   BlockCount size)
    : reactor_(reactor), pool_(pool), size_(size) {
  fail_op_ = io::RingOp{&AttachmentTarget::on_fail, this};
}

AttachmentTarget::~AttachmentTarget() {
  CHECK_MSG(waiting_.empty() && !failing_, "the front end goes first");
}

void AttachmentTarget::unbind() {
  attachment_ = nullptr;
  fail_waiting();
}

BlockCount AttachmentTarget::piece_max() const {
  // A quarter of the smallest segment of a log of log_bytes_min; larger logs allow no more, for a
  // frame and a record end there.
  return BlockCount{limits::record_blocks_max};
}

void AttachmentTarget::submit(frontends::BlockRequest& request) {
  if (!waiting_.empty() || !hand_over(request)) waiting_.push_back(&request);
  if (!waiting_.empty() && (attachment_ == nullptr || attachment_->ended())) fail_waiting();
}

bool AttachmentTarget::hand_over(frontends::BlockRequest& request) {
  if (attachment_ == nullptr) return false;
  runtime::ClientIo io;
  io.op = request.op;
  io.lba = request.lba;
  io.blocks = request.blocks;
  io.fua = request.fua;
  io.slot = request.op == ClientOp::write ? request.slot : no_slot;
  io.cookie = reinterpret_cast<std::uintptr_t>(&request);
  if (io.slot != no_slot) pool_.ref(io.slot);  // the attachment takes over one reference
  if (attachment_->submit(io)) {
    handed_over_ = true;
    return true;
  }
  if (io.slot != no_slot) pool_.unref(io.slot);
  return false;
}

void AttachmentTarget::on_done(std::uint64_t cookie, ClientStatus status, Slot slot) {
  auto& request = *reinterpret_cast<frontends::BlockRequest*>(cookie);
  request.result = status;
  if (request.op == ClientOp::read) {
    request.slot = slot;
  } else {
    CHECK(slot == no_slot);
  }
  request.done(request);
}

bool AttachmentTarget::pump() {
  if (attachment_ != nullptr && attachment_->ended() && !waiting_.empty()) fail_waiting();
  while (!waiting_.empty() && hand_over(*waiting_.front())) waiting_.pop_front();
  return std::exchange(handed_over_, false);
}

void AttachmentTarget::fail_waiting() {
  if (failing_ || waiting_.empty()) return;
  failing_ = true;
  reactor_.defer(fail_op_, 0);
}

void AttachmentTarget::on_fail(io::RingOp& op, std::int32_t, std::uint32_t) {
  auto& self = *static_cast<AttachmentTarget*>(op.owner);
  self.failing_ = false;
  std::deque<frontends::BlockRequest*> failed;
  failed.swap(self.waiting_);
  const bool lost = self.attachment_ != nullptr && !self.attachment_->detached();
  for (frontends::BlockRequest* request : failed) {
    request->result = lost ? ClientStatus::io_error : ClientStatus::detached;
    request->done(*request);
  }
}

}  // namespace seawall::node
