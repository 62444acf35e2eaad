#include "cli/rpc.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <thread>

#include "cli/entropy.h"
#include "cli/failure.h"
#include "proto/control.grpc.pb.h"

namespace seawall::cli {
namespace {

constexpr std::chrono::seconds primary_wait{10};

ExitCode exit_code_of(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE: return ExitCode::usage;
    case grpc::StatusCode::NOT_FOUND: return ExitCode::not_found;
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::RESOURCE_EXHAUSTED: return ExitCode::refused;
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::ABORTED: return ExitCode::conflict;
    case grpc::StatusCode::UNAVAILABLE: return ExitCode::unreachable;
    case grpc::StatusCode::DEADLINE_EXCEEDED: return ExitCode::timed_out;
    default: return ExitCode::failed;
  }
}

std::shared_ptr<grpc::Channel> make_channel(const std::string& target) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // Each client has its own connection: a restart of the daemon is seen by the next command.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

// What both clients share: the peer's name for messages, and how a call is made.
struct Peer {
  std::string who;
  std::uint64_t timeout_ms;

  template <class Stub, class Method, class Request, class Response>
  void call(Stub& stub, Method method, const Request& request, Response& response) const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
    const grpc::Status status = (stub.*method)(&context, request, &response);
    // Its own deadline, or the server's word of what it still waits for.
    const bool answered = context.GetServerTrailingMetadata().contains("seawall-error-bin");
    if (!status.ok()) fail(status, answered);
  }

  [[noreturn]] void fail(const grpc::Status& status, bool answered = false) const {
    const ExitCode code = exit_code_of(status.error_code());
    if (code == ExitCode::unreachable) {
      throw Failure(code, fmt::format("{} cannot be reached: {}", who, status.error_message()));
    }
    if (code == ExitCode::timed_out && !answered) {
      throw Failure(code, fmt::format("{} did not answer within {} ms; --timeout allows more", who,
                                      timeout_ms));
    }
    throw Failure(code, status.error_message());
  }
};

}  // namespace

struct ControllerClient::Impl {
  Peer peer;
  std::unique_ptr<pb::VolumeService::Stub> stub;
};

ControllerClient::ControllerClient(const std::string& address, std::uint64_t timeout_ms)
    : impl_(std::make_unique<Impl>()) {
  impl_->peer = Peer{fmt::format("the controller at {}", address), timeout_ms};
  impl_->stub = pb::VolumeService::NewStub(make_channel(address));
}

ControllerClient::~ControllerClient() = default;

pb::Volume ControllerClient::create_volume(const pb::CreateVolumeRequest& request) {
  pb::CreateVolumeResponse response;
  impl_->peer.call(*impl_->stub, &pb::VolumeService::Stub::CreateVolume, request, response);
  return response.volume();
}

pb::Volume ControllerClient::change_volume(const pb::ChangeVolumeRequest& request) {
  pb::ChangeVolumeResponse response;
  impl_->peer.call(*impl_->stub, &pb::VolumeService::Stub::ChangeVolume, request, response);
  return response.volume();
}

bool ControllerClient::delete_volume(const std::string& name) {
  pb::DeleteVolumeRequest request;
  request.set_operation_id(new_operation_id());
  request.set_name(name);
  pb::DeleteVolumeResponse response;
  impl_->peer.call(*impl_->stub, &pb::VolumeService::Stub::DeleteVolume, request, response);
  return response.existed();
}

std::vector<pb::Volume> ControllerClient::list_volumes() {
  pb::ListVolumesResponse response;
  impl_->peer.call(*impl_->stub, &pb::VolumeService::Stub::ListVolumes, pb::ListVolumesRequest(),
                   response);
  return {response.volumes().begin(), response.volumes().end()};
}

pb::Volume ControllerClient::get_volume(const std::string& name) {
  pb::GetVolumeRequest request;
  request.set_name(name);
  pb::GetVolumeResponse response;
  impl_->peer.call(*impl_->stub, &pb::VolumeService::Stub::GetVolume, request, response);
  return response.volume();
}

pb::Volume ControllerClient::get_volume_with_primary(const std::string& name) {
  const auto deadline = std::chrono::steady_clock::now() + primary_wait;
  pb::Volume volume = get_volume(name);
  while (volume.primary() == 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    volume = get_volume(name);
  }
  return volume;
}

pb::AttachVolumeResponse ControllerClient::attach_volume(const std::string& name,
                                                         std::uint64_t node_id) {
  pb::AttachVolumeRequest request;
  request.set_operation_id(new_operation_id());
  request.set_volume(name);
  request.set_node_id(node_id);
  pb::AttachVolumeResponse response;
  impl_->peer.call(*impl_->stub, &pb::VolumeService::Stub::AttachVolume, request, response);
  return response;
}

pb::Volume ControllerClient::detach_volume(const std::string& name, std::uint64_t generation,
                                           bool force) {
  pb::DetachVolumeRequest request;
  request.set_operation_id(new_operation_id());
  request.set_volume(name);
  request.set_generation(generation);
  request.set_force(force);
  pb::DetachVolumeResponse response;
  impl_->peer.call(*impl_->stub, &pb::VolumeService::Stub::DetachVolume, request, response);
  return response.volume();
}

pb::Volume ControllerClient::move_volume(const std::string& name, const std::string& node) {
  pb::MoveVolumeRequest request;
  request.set_operation_id(new_operation_id());
  request.set_volume(name);
  request.set_node(node);
  pb::MoveVolumeResponse response;
  impl_->peer.call(*impl_->stub, &pb::VolumeService::Stub::MoveVolume, request, response);
  return response.volume();
}

pb::Volume ControllerClient::force_volume(pb::ForceVolumeRequest request) {
  request.set_operation_id(new_operation_id());
  pb::ForceVolumeResponse response;
  impl_->peer.call(*impl_->stub, &pb::VolumeService::Stub::ForceVolume, request, response);
  return response.volume();
}

std::vector<pb::Node> ControllerClient::list_nodes() {
  pb::ListNodesResponse response;
  impl_->peer.call(*impl_->stub, &pb::VolumeService::Stub::ListNodes, pb::ListNodesRequest(),
                   response);
  return {response.nodes().begin(), response.nodes().end()};
}

pb::Cluster ControllerClient::get_cluster() {
  pb::Cluster cluster;
  impl_->peer.call(*impl_->stub, &pb::VolumeService::Stub::GetCluster, pb::ClusterRequest(),
                   cluster);
  return cluster;
}

void ControllerClient::watch_cluster(const std::function<bool(const pb::Cluster&)>& on_cluster) {
  grpc::ClientContext context;
  const auto stream = impl_->stub->WatchCluster(&context, pb::ClusterRequest());
  pb::Cluster cluster;
  bool wanted = true;
  while (wanted && stream->Read(&cluster)) wanted = on_cluster(cluster);
  if (!wanted) context.TryCancel();
  const grpc::Status status = stream->Finish();
  if (!wanted) return;
  if (!status.ok()) impl_->peer.fail(status);
  throw Failure(ExitCode::unreachable, fmt::format("{} has ended the stream", impl_->peer.who));
}

void ControllerClient::watch_volumes(
    const Requests& first,
    const std::function<std::optional<Requests>(const pb::WatchReply&)>& on_reply) {
  grpc::ClientContext context;
  const auto stream = impl_->stub->WatchVolumes(&context);
  std::optional<Requests> next = first;
  pb::WatchReply reply;
  bool open = true;
  while (next && open) {
    for (const pb::WatchRequest& request : *next) open = open && stream->Write(request);
    open = open && stream->Read(&reply);
    try {
      if (open) next = on_reply(reply);
    } catch (...) {
      context.TryCancel();  // or the stream would wait for its end
      throw;
    }
  }
  context.TryCancel();
  const grpc::Status status = stream->Finish();
  if (!next) return;
  if (status.error_code() != grpc::StatusCode::CANCELLED && !status.ok()) impl_->peer.fail(status);
  throw Failure(ExitCode::unreachable, fmt::format("{} has ended the stream", impl_->peer.who));
}

struct NodeClient::Impl {
  Peer peer;
  std::unique_ptr<pb::LocalNode::Stub> stub;
};

NodeClient::NodeClient(const std::string& socket, std::uint64_t timeout_ms)
    : impl_(std::make_unique<Impl>()) {
  impl_->peer = Peer{fmt::format("the node's socket {}", socket), timeout_ms};
  impl_->stub = pb::LocalNode::NewStub(make_channel("unix:" + socket));
}

NodeClient::~NodeClient() = default;

pb::LocalAttachResponse NodeClient::attach(const pb::LocalAttachRequest& request) {
  pb::LocalAttachResponse response;
  impl_->peer.call(*impl_->stub, &pb::LocalNode::Stub::Attach, request, response);
  return response;
}

void NodeClient::detach(const std::string& volume) {
  pb::LocalDetachRequest request;
  request.set_volume(volume);
  pb::LocalDetachResponse response;
  impl_->peer.call(*impl_->stub, &pb::LocalNode::Stub::Detach, request, response);
}

std::uint64_t NodeClient::accept_loss(const pb::LocalAcceptLossRequest& request) {
  pb::LocalAcceptLossResponse response;
  impl_->peer.call(*impl_->stub, &pb::LocalNode::Stub::AcceptLoss, request, response);
  return response.records();
}

pb::LocalStatusResponse NodeClient::status() {
  pb::LocalStatusResponse response;
  impl_->peer.call(*impl_->stub, &pb::LocalNode::Stub::Status, pb::LocalStatusRequest(), response);
  return response;
}

std::string new_operation_id() {
  return fmt::format("{:016x}{:016x}", random_bits(), random_bits());
}

}  // namespace seawall::cli
