// A runtime::Attachment as the block device of a front end.
//
// Life cycle: construct, bind() to its attachment, unbind() before that goes; every request that is
// still here then ends as `detached`. Thread: the shard's. Ownership: the attachment is borrowed; a
// write's slot is shared with it, a read's goes to the request. Bounds: what the attachment does
// not take now waits here, in order; the front end bounds how much that can be.
// Errors: the status that the attachment ends a request with.
#pragma once

#include <deque>

#include "node/frontends/block_target.h"
#include "node/io/reactor.h"
#include "node/runtime/attachment.h"

namespace seawall::node {

class AttachmentTarget final : public frontends::BlockTarget {
 public:
  AttachmentTarget(io::Reactor& reactor, runtime::BufferPool& pool, BlockCount size);
  ~AttachmentTarget() override;

  void bind(runtime::Attachment& attachment) { attachment_ = &attachment; }
  void unbind();

  BlockCount size() const override { return size_; }
  BlockCount piece_max() const override;
  void submit(frontends::BlockRequest& request) override;
  // From Attachment::Done.
  void on_done(std::uint64_t cookie, ClientStatus status, Slot slot);
  // Hands over what waits; true when something new was handed over since the last call.
  bool pump();

  std::size_t waiting() const { return waiting_.size(); }

 private:
  bool hand_over(frontends::BlockRequest& request);
  void fail_waiting();
  static void on_fail(io::RingOp& op, std::int32_t result, std::uint32_t flags);

  io::Reactor& reactor_;
  runtime::BufferPool& pool_;
  BlockCount size_;
  runtime::Attachment* attachment_ = nullptr;
  std::deque<frontends::BlockRequest*> waiting_;
  bool handed_over_ = false;
  io::RingOp fail_op_;
  bool failing_ = false;
};

}  // namespace seawall::node
