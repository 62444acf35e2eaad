#include "node/control_client.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "node/controller_dial.h"
#include "node/edge_calls.h"
#include "proto/control.grpc.pb.h"
#include "proto/convert.h"

namespace seawall::node {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds heartbeat_every{250};
constexpr milliseconds dial_timeout{1'000};
constexpr milliseconds status_timeout{1'000};
constexpr milliseconds ready_poll{20};
constexpr milliseconds pause_min{100};
constexpr milliseconds pause_max{1'000};

}  // namespace

struct ControlClient::Session {
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::NodeMessage, v1::ControllerMessage>> stream;
  bool ended = false;  // under mutex_: the reader has seen the end
  bool heard = false;  // anything at all, or a registration that lasted
};

void ControlClient::start(NodeDaemon& daemon) {
  daemon_ = &daemon;
  if (options_.controller.empty()) return;
  thread_ = std::thread([this] { run(); });
}

void ControlClient::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    if (context_ != nullptr) context_->TryCancel();
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void ControlClient::send(const control::FromNode& message) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!open_) return;
  if (queue_.size() >= messages_max) {  // the controller does not read: register anew
    if (context_ != nullptr) context_->TryCancel();
    return;
  }
  queue_.push_back(message);
  changed_.notify_all();
}

std::shared_ptr<grpc::Channel> ControlClient::channel() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return registered_ ? channel_ : nullptr;
}

bool ControlClient::is_registered() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return registered_;
}

bool ControlClient::pause(milliseconds time) {
  std::unique_lock<std::mutex> lock(mutex_);
  return !changed_.wait_for(lock, time, [this] { return stopping_; });
}

void ControlClient::run() {
  milliseconds wait = pause_min;
  for (;;) {
    if (run_session()) wait = pause_min;
    if (!pause(wait)) return;
    wait = std::min(wait * 2, pause_max);
  }
}

// Registers only what is known for sure: every replica of the pool is open, or has failed.
bool ControlClient::wait_ready(NodeStatus& status) {
  for (;;) {
    const auto now = wait_status(*daemon_, status_timeout);
    if (now && now->ready) {
      status = *now;
      return true;
    }
    if (!pause(ready_poll)) return false;
  }
}

bool ControlClient::run_session() {
  std::string detail;
  auto channel = dial_controller(options_.controller, options_.data_address, dial_timeout, &detail);
  if (channel == nullptr) {
    spdlog::debug("event=controller_away message=\"{}\"", detail);
    return false;
  }
  NodeStatus status;
  if (!wait_ready(status)) return false;
  control::Register hello;
  hello.node = options_.node;
  hello.name = options_.name;
  hello.pool_id = status.pool_id;
  hello.data_address = options_.data_address;
  hello.http_address = options_.http_address;
  hello.boot_hi = status.boot_hi;
  hello.boot_lo = status.boot_lo;
  hello.process_start = status.process_start;
  hello.pool_bytes = status.pool_bytes;
  hello.pool_free_bytes = status.pool_free_bytes;
  hello.replicas = status.replicas;

  const auto stub = v1::NodeControl::NewStub(channel);
  Session session;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return false;
    context_ = &session.context;
    channel_ = channel;
    queue_.clear();
    open_ = true;  // before the first message can come, or its answer would be lost
  }
  session.stream = stub->Session(&session.context);
  std::thread writer([&] { write_loop(session, hello); });
  const bool heard = read_loop(session);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    session.ended = true;
    open_ = false;
    registered_ = false;
    changed_.notify_all();
  }
  session.context.TryCancel();
  writer.join();
  const grpc::Status end = session.stream->Finish();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    context_ = nullptr;
    channel_.reset();
    queue_.clear();
  }
  spdlog::warn("event=session_ended controller={} message=\"{}\"", options_.controller,
               end.error_message());
  return heard;
}

void ControlClient::write_loop(Session& session, const control::Register& hello) {
  v1::NodeMessage message;
  proto::to_proto(hello, message);
  if (!session.stream->Write(message)) return;
  spdlog::info("event=registered controller={} replicas={}", options_.controller,
               hello.replicas.size());
  auto next_beat = std::chrono::steady_clock::now() + heartbeat_every;
  std::uint64_t sequence = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  registered_ = true;
  while (!session.ended && !stopping_) {
    changed_.wait_until(lock, next_beat, [&] {
      return session.ended || stopping_ || beat_at_once_ || !queue_.empty();
    });
    if (std::exchange(beat_at_once_, false)) next_beat = std::chrono::steady_clock::now();
    std::deque<control::FromNode> batch;
    batch.swap(queue_);
    lock.unlock();
    bool written = true;
    for (const control::FromNode& each : batch) {
      v1::NodeMessage said;
      proto::to_proto(each, said);
      written = written && session.stream->Write(said);
    }
    if (written && std::chrono::steady_clock::now() >= next_beat) {
      next_beat = std::chrono::steady_clock::now() + heartbeat_every;
      // A daemon that does not answer sends no heartbeat: that is what its silence is for.
      if (auto status = wait_status(*daemon_, status_timeout)) {
        v1::NodeMessage beat;
        proto::to_proto(control::Heartbeat{options_.node, ++sequence, status->pool_free_bytes,
                                           std::move(status->replicas)},
                        beat);
        written = session.stream->Write(beat);
      }
    }
    lock.lock();
    if (!written) break;
  }
  session.context.TryCancel();
}

bool ControlClient::read_loop(Session& session) {
  v1::ControllerMessage message;
  bool heard = false;
  while (session.stream->Read(&message)) {
    if (message.kind_case() == v1::ControllerMessage::kRejected) {
      spdlog::error("event=rejected message=\"{}\"", message.rejected().message());
      return false;
    }
    control::ToNode order;
    if (!proto::from_proto(message, order)) {
      spdlog::error("event=bad_message controller={}", options_.controller);
      return heard;
    }
    heard = true;
    if (std::holds_alternative<control::Probe>(order)) {
      const std::lock_guard<std::mutex> lock(mutex_);
      beat_at_once_ = true;
      changed_.notify_all();
      continue;
    }
    if (!daemon_->post(order)) {
      spdlog::warn("event=mailbox_full message=\"the session is dropped and begun anew\"");
      return heard;
    }
  }
  return heard;
}

}  // namespace seawall::node
