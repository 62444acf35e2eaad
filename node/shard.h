// One shard: a thread with its ring, buffers, links, replicas, attachments and front ends.
//
// Life cycle: construct, launch(), then calls by post(); request_stop() closes everything cleanly
// (checkpoint and clean mark), join() waits for it. The parts are torn down on the shard's thread.
// Thread: construction, launch() and join() are the daemon's; everything named on_* or documented
// so runs on the shard's. Ownership: owns its parts; borrows pool, clock and control port.
// Errors: a replica that does not close within the deadline is fatal (disk_hung).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "node/attachment_target.h"
#include "node/io/attachment_file.h"
#include "node/frontends/nbd_server.h"
#include "node/io/pool_replicas.h"
#include "node/io/tcp_transport.h"
#include "node/io/worker.h"
#include "node/node_api.h"
#include "node/runtime/node_host.h"

namespace seawall::node {

struct ShardOptions {
  unsigned index = 0;
  std::size_t memory_bytes = 256 * limits::MiB;
  runtime::NodeHostOptions host;
  io::TransportOptions transport;
  Duration stop_deadline{30'000};
  std::string attachments;  // directory of what attachments remember; empty: they do not
};

class Shard final : private io::TurnUser, private io::LinkGreeter, private runtime::TimerUser {
 public:
  Shard(std::unique_ptr<io::Reactor> reactor, const io::Pool& pool, control::ControlPort& control,
        const ShardOptions& options);
  ~Shard() override;

  io::Reactor& reactor() { return *reactor_; }
  void launch();
  void request_stop();
  void join();

  // --- any thread: false when the mailbox is full ---
  [[nodiscard]] bool post(std::function<void(Shard&)> call);

  // --- the shard's thread ---
  void on_control(const control::ToNode& message);
  void take(io::AcceptedLink link);
  Attached attach(const AttachRequest& request);
  void detach(VolumeId volume, AttachmentId attachment, std::function<void(Outcome)> done);
  LossOutcome accept_loss(const LossAccepted& word);
  void report(NodeStatus& into) const;

 private:
  struct Served {
    AttachRequest request;
    std::string address;  // of the socket
    std::string device;
    std::unique_ptr<AttachmentTarget> target;
    io::AttachmentFile* file = nullptr;  // lives as long as its runtime::Attachment
    bool leaving = false;
    std::vector<std::function<void(Outcome)>> waiting;  // for its end
  };
  struct Parts;

  void serve();
  // What an earlier process of this node served is served again, on the same sockets.
  void resume();
  Attached begin_serving(const AttachRequest& request, std::unique_ptr<io::AttachmentFile> file);
  void end_detached();
  void tear_down();
  void begin_stop();
  // `ended`: the attachment is over, nothing of it is remembered; else the next process goes on.
  void end_frontend(VolumeId volume, bool ended);
  void on_turn(Instant now) override;
  void on_first_frame(LinkId link, const runtime::Frame& frame) override;
  void on_timer(Instant now) override;

  const ShardOptions options_;
  std::unique_ptr<io::Reactor> reactor_;
  const io::Pool& pool_;
  control::ControlPort& control_;
  std::unique_ptr<Parts> parts_;
  std::map<VolumeId, Served> served_;
  bool stopping_ = false;
  Instant stop_by_;
  std::thread thread_;
};

}  // namespace seawall::node
