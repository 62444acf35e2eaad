#include "node/edge_calls.h"

#include <future>
#include <memory>
#include <utility>

namespace seawall::node {
namespace {

// Calls `start` with a callback, and waits for it.
template <class Value, class Start>
std::optional<Value> wait_for(Start start, std::chrono::milliseconds timeout) {
  auto promise = std::make_shared<std::promise<Value>>();
  std::future<Value> future = promise->get_future();
  start([promise](Value value) { promise->set_value(std::move(value)); });
  if (future.wait_for(timeout) != std::future_status::ready) return std::nullopt;
  return future.get();
}

}  // namespace

std::optional<NodeStatus> wait_status(NodeDaemon& daemon, std::chrono::milliseconds timeout) {
  return wait_for<NodeStatus>([&](auto done) { daemon.status(std::move(done)); }, timeout);
}

std::optional<Attached> wait_attach(NodeDaemon& daemon, AttachRequest request,
                                    std::chrono::milliseconds timeout) {
  return wait_for<Attached>([&](auto done) { daemon.attach(std::move(request), std::move(done)); },
                            timeout);
}

std::optional<Outcome> wait_detach(NodeDaemon& daemon, VolumeId volume, AttachmentId attachment,
                                   std::chrono::milliseconds timeout) {
  return wait_for<Outcome>([&](auto done) { daemon.detach(volume, attachment, std::move(done)); },
                           timeout);
}

std::optional<LossOutcome> wait_accept_loss(NodeDaemon& daemon, LossAccepted word,
                                            std::chrono::milliseconds timeout) {
  return wait_for<LossOutcome>(
      [&](auto done) { daemon.accept_loss(std::move(word), std::move(done)); }, timeout);
}

void to_proto(const FrontendStatus& in, v1::LocalAttachment& out) {
  out.set_volume(in.volume_name);
  out.set_volume_id(in.volume.to_hex().data());
  out.set_generation(in.attachment.value());
  out.set_epoch(in.epoch.value());
  switch (in.kind) {
    case FrontendKind::nbd: out.set_frontend("nbd"); break;
  }
  out.set_device(in.device);
  out.set_connected(in.connected);
  out.set_clients(in.clients);
  out.set_held(in.held);
  out.set_reason(in.reason);
}

}  // namespace seawall::node
