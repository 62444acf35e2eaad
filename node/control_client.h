// ControlClient: keeps one session with the controller, for as long as the process lives.
//
// Purpose: registers, sends a heartbeat every 250 ms and what the shards say, and posts what the
// controller says to the daemon. The controller may be away for hours: I/O goes on, this dials
// again with a pause of 100 ms to 1 s. Whatever was queued when a session ends is dropped; the next
// one begins with a Register that says everything. Life cycle: start() once; stop() joins. Threads:
// two of its own; send() and call() from any. Bounds: the queue to the controller; a full one ends
// the session.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "node/node_api.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace seawall::node {

class ControlClient {
 public:
  static constexpr std::size_t messages_max = 8192;

  explicit ControlClient(const ControlEdgeOptions& options) : options_(options) {}
  ~ControlClient() { stop(); }
  ControlClient(const ControlClient&) = delete;
  ControlClient& operator=(const ControlClient&) = delete;

  void start(NodeDaemon& daemon);
  void stop();
  // Queues a message of a shard; drops it while there is no session. Never blocks.
  void send(const control::FromNode& message);
  // The channel of the present session, for further calls; nullptr: there is none.
  std::shared_ptr<grpc::Channel> channel() const;
  [[nodiscard]] bool is_registered() const;
  [[nodiscard]] const ControlEdgeOptions& options() const { return options_; }

 private:
  struct Session;

  void run();
  bool run_session();  // true: it was registered for a while, dial again at once
  void write_loop(Session& session, const control::Register& hello);
  bool read_loop(Session& session);
  bool wait_ready(NodeStatus& status);
  bool pause(std::chrono::milliseconds time);  // false: stopping

  const ControlEdgeOptions options_;
  NodeDaemon* daemon_ = nullptr;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<control::FromNode> queue_;
  std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext* context_ = nullptr;  // of the session under way, to cancel it
  bool open_ = false;                       // a session takes messages
  bool registered_ = false;
  bool beat_at_once_ = false;               // the controller has asked how things are
  bool stopping_ = false;
};

}  // namespace seawall::node
