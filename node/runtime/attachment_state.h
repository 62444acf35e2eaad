// Port: what an attachment must remember beyond the life of its daemon.
//
// Crash contract, in one sentence: whatever a call stored before it returned is there for the
// next daemon as long as the machine stays up; after a power loss it may be gone, and the
// attachment with it. Each call returns before the completion or read reply that it covers
// reaches the kernel.
// Life cycle: one an attachment, load() first. Thread: the shard's. Ownership: its own.
#pragma once

#include <optional>

#include "engine/base/ids.h"
#include "engine/client.h"
#include "node/runtime/control_port.h"

namespace seawall::runtime {

// A request without an answer; its time-out runs from the first submission.
struct OpenRequest {
  RequestNumber number;
  ClientOp op = ClientOp::read;
  Lba lba;
  BlockCount blocks;
  Instant first_submitted;
};

struct AttachmentMemory {
  AttachmentId attachment;
  ConnectionNumber connection;     // the greatest one ever used
  RequestNumber next_request{1};   // never used
  std::optional<Position> seen;
  Epoch proved_by;
};

class AttachmentState {
 public:
  virtual ~AttachmentState() = default;
  // True: an earlier life of this generation is remembered here, the numbers go on from it.
  [[nodiscard]] virtual bool continues() const { return false; }
  virtual AttachmentMemory load() = 0;
  virtual void on_view(const control::AttachmentView& view) { static_cast<void>(view); }
  virtual void on_connection(ConnectionNumber connection) = 0;
  virtual void on_request(const OpenRequest& request) = 0;
  virtual void on_finished(RequestNumber request) { static_cast<void>(request); }
  virtual void on_seen(const Position& seen, Epoch proved_by) = 0;
};

// Forgets with its process.
class VolatileAttachmentState final : public AttachmentState {
 public:
  explicit VolatileAttachmentState(AttachmentId attachment) { memory_.attachment = attachment; }
  AttachmentMemory load() override { return memory_; }
  void on_connection(ConnectionNumber connection) override { memory_.connection = connection; }
  void on_request(const OpenRequest& request) override {
    memory_.next_request = RequestNumber{request.number.value() + 1};
  }
  void on_seen(const Position& seen, Epoch proved_by) override {
    memory_.seen = seen;
    memory_.proved_by = proved_by;
  }

 private:
  AttachmentMemory memory_;
};

}  // namespace seawall::runtime
