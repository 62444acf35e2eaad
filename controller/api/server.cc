#include "controller/api/server.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <sys/random.h>

#include <algorithm>
#include <future>
#include <thread>
#include <utility>

#include "controller/api/log.h"
#include "controller/stream/convert.h"
#include "proto/control.grpc.pb.h"
#include "proto/convert.h"

namespace seawall::controller {
namespace {

constexpr std::chrono::milliseconds timeout_default{15'000};
constexpr std::chrono::milliseconds timeout_max{60'000};
constexpr std::chrono::milliseconds timeout_reserve{300};  // for the answer to travel
constexpr std::chrono::milliseconds farewell{500};
constexpr int threads_max = 256;
constexpr int message_bytes_max = 64 << 20;
constexpr int keepalive_ms = 5'000;

std::uint64_t random_bits() {
  std::uint64_t bits = 0;
  while (getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
  }
  return bits;
}

grpc::StatusCode code_of(RefusalCode code) {
  switch (code) {
    case RefusalCode::invalid_argument: return grpc::StatusCode::INVALID_ARGUMENT;
    case RefusalCode::already_exists: return grpc::StatusCode::ALREADY_EXISTS;
    case RefusalCode::not_found: return grpc::StatusCode::NOT_FOUND;
    case RefusalCode::attached_elsewhere:
    case RefusalCode::not_attached:
    case RefusalCode::still_attached:
    case RefusalCode::not_ready:
    case RefusalCode::still_serving:
    case RefusalCode::too_few_nodes: return grpc::StatusCode::FAILED_PRECONDITION;
    case RefusalCode::no_space:
    case RefusalCode::busy: return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case RefusalCode::timed_out: return grpc::StatusCode::DEADLINE_EXCEEDED;
    case RefusalCode::not_moved:
    case RefusalCode::not_forced:
    case RefusalCode::create_failed: return grpc::StatusCode::ABORTED;
  }
  return grpc::StatusCode::INTERNAL;
}

grpc::Status status_of(grpc::ServerContext& context, const Refusal& refusal) {
  v1::ErrorDetail detail;
  detail.set_code(refusal_name(refusal.code));
  detail.set_field(refusal.field);
  detail.set_value(refusal.value);
  detail.set_wanted(refusal.wanted);
  context.AddTrailingMetadata("seawall-error-bin", detail.SerializeAsString());
  return grpc::Status(code_of(refusal.code), refusal.message);
}

std::chrono::milliseconds timeout_of(const grpc::ServerContext& context) {
  const auto left = context.deadline() - std::chrono::system_clock::now();
  if (left > std::chrono::hours(24)) return timeout_default;  // the client set none
  const auto usable = std::chrono::duration_cast<std::chrono::milliseconds>(left) - timeout_reserve;
  return std::clamp(usable, std::chrono::milliseconds(1), timeout_max);
}

grpc::Status stopping() {
  return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the controller stops, ask again in a moment");
}

class NodeControlService final : public v1::NodeControl::Service {
 public:
  explicit NodeControlService(Desk& desk) : desk_(desk) {}

  grpc::Status Session(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::ControllerMessage, v1::NodeMessage>* stream) override {
    v1::NodeMessage message;
    if (!stream->Read(&message)) return grpc::Status::OK;
    if (message.kind_case() != v1::NodeMessage::kRegister) {
      return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                          "the first message of a session is register");
    }
    const auto link = std::make_shared<NodeLink>();
    const std::uint64_t session = desk_.open(link);
    std::promise<void> reader_done;
    std::thread writer([&, done = reader_done.get_future()] {
      v1::ControllerMessage next;
      while (link->pop(next) && stream->Write(next)) {
      }
      link->end(std::nullopt);
      // A moment for the peer to take the last word and to leave; then its stream is cut.
      if (done.wait_for(farewell) != std::future_status::ready) context->TryCancel();
    });
    do {
      control::FromNode said;
      if (!proto::from_proto(message, said)) {
        log_line(LogLevel::warning, "event=bad_message session=" + std::to_string(session));
        break;
      }
      if (!desk_.say(session, std::move(said))) break;
    } while (stream->Read(&message));
    desk_.close(session);
    link->end(std::nullopt);
    reader_done.set_value();
    writer.join();
    return grpc::Status::OK;
  }

 private:
  Desk& desk_;
};

class Volumes final : public v1::VolumeService::Service {
 public:
  explicit Volumes(Desk& desk) : desk_(desk) {}

  grpc::Status CreateVolume(grpc::ServerContext* context, const v1::CreateVolumeRequest* request,
                            v1::CreateVolumeResponse* response) override {
    struct CreateVolume wanted;
    wanted.operation = request->operation_id();
    wanted.name = request->name();
    wanted.size_bytes = request->size_bytes();
    wanted.replicas = request->replicas();
    wanted.policy = request->policy();
    wanted.write_cache = request->write_cache();
    wanted.log_bytes = request->log_bytes();
    if (request->has_min_in_sync()) wanted.min_in_sync = request->min_in_sync();
    wanted.io_timeout_ms = request->io_timeout_ms();
    wanted.fresh_id = VolumeId{random_bits(), random_bits()};
    wanted.fresh_incarnation = Incarnation{random_bits(), random_bits()};
    const Answer answer = desk_.ask(wanted, timeout_of(*context));
    if (answer.refusal) return status_of(*context, *answer.refusal);
    return fill_volume(*context, request->name(), *response->mutable_volume());
  }

  grpc::Status DeleteVolume(grpc::ServerContext* context, const v1::DeleteVolumeRequest* request,
                            v1::DeleteVolumeResponse* response) override {
    const Answer answer = desk_.ask(
        controller::DeleteVolume{request->operation_id(), request->name()}, timeout_of(*context));
    if (answer.refusal) return status_of(*context, *answer.refusal);
    response->set_existed(answer.existed);
    return grpc::Status::OK;
  }

  grpc::Status AttachVolume(grpc::ServerContext* context, const v1::AttachVolumeRequest* request,
                            v1::AttachVolumeResponse* response) override {
    const Answer answer =
        desk_.ask(controller::AttachVolume{request->operation_id(), request->volume(),
                                           request->node(), NodeId(request->node_id())},
                  timeout_of(*context));
    if (answer.refusal) return status_of(*context, *answer.refusal);
    response->set_generation(answer.generation.value());
    proto::to_proto(*answer.view, *response->mutable_view());
    return fill_volume(*context, request->volume(), *response->mutable_volume());
  }

  grpc::Status DetachVolume(grpc::ServerContext* context, const v1::DetachVolumeRequest* request,
                            v1::DetachVolumeResponse* response) override {
    const Answer answer =
        desk_.ask(controller::DetachVolume{request->operation_id(), request->volume(),
                                           request->node(), NodeId(request->node_id()),
                                           AttachmentId(request->generation()), request->force()},
                  timeout_of(*context));
    if (answer.refusal) return status_of(*context, *answer.refusal);
    return fill_volume(*context, request->volume(), *response->mutable_volume());
  }

  grpc::Status MoveVolume(grpc::ServerContext* context, const v1::MoveVolumeRequest* request,
                          v1::MoveVolumeResponse* response) override {
    const Answer answer =
        desk_.ask(controller::MoveVolume{request->operation_id(), request->volume(),
                                         request->node(), NodeId(request->node_id())},
                  timeout_of(*context));
    if (answer.refusal) return status_of(*context, *answer.refusal);
    return fill_volume(*context, request->volume(), *response->mutable_volume());
  }

  grpc::Status ForceVolume(grpc::ServerContext* context, const v1::ForceVolumeRequest* request,
                           v1::ForceVolumeResponse* response) override {
    struct ForceVolume wanted;
    wanted.operation = request->operation_id();
    wanted.volume = request->volume();
    wanted.nodes.assign(request->nodes().begin(), request->nodes().end());
    wanted.who = request->who();
    wanted.why = request->why();
    wanted.old_primary_stopped = request->old_primary_stopped();
    wanted.asked_ms = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::system_clock::now().time_since_epoch())
            .count());
    const Answer answer = desk_.ask(wanted, timeout_of(*context));
    if (answer.refusal) return status_of(*context, *answer.refusal);
    return fill_volume(*context, request->volume(), *response->mutable_volume());
  }

  grpc::Status ChangeVolume(grpc::ServerContext* context, const v1::ChangeVolumeRequest* request,
                            v1::ChangeVolumeResponse* response) override {
    struct ChangeVolume wanted;
    wanted.operation = request->operation_id();
    wanted.volume = request->volume();
    if (request->has_replicas()) wanted.replicas = request->replicas();
    wanted.policy = request->policy();
    wanted.write_cache = request->write_cache();
    if (request->has_min_in_sync()) wanted.min_in_sync = request->min_in_sync();
    wanted.replace = request->replace_node();
    wanted.to = request->to_node();
    wanted.remove = request->remove_node();
    wanted.cancel = request->cancel();
    wanted.retry = request->retry_node();
    const Answer answer = desk_.ask(wanted, timeout_of(*context));
    if (answer.refusal) return status_of(*context, *answer.refusal);
    return fill_volume(*context, request->volume(), *response->mutable_volume());
  }

  grpc::Status ListVolumes(grpc::ServerContext*, const v1::ListVolumesRequest*,
                           v1::ListVolumesResponse* response) override {
    const auto cluster = desk_.cluster();
    if (cluster == nullptr) return stopping();
    *response->mutable_volumes() = cluster->volumes();
    return grpc::Status::OK;
  }

  grpc::Status GetVolume(grpc::ServerContext* context, const v1::GetVolumeRequest* request,
                         v1::GetVolumeResponse* response) override {
    return fill_volume(*context, request->name(), *response->mutable_volume());
  }

  grpc::Status ListNodes(grpc::ServerContext*, const v1::ListNodesRequest*,
                         v1::ListNodesResponse* response) override {
    const auto cluster = desk_.cluster();
    if (cluster == nullptr) return stopping();
    *response->mutable_nodes() = cluster->nodes();
    return grpc::Status::OK;
  }

  grpc::Status GetCluster(grpc::ServerContext*, const v1::ClusterRequest*,
                          v1::Cluster* response) override {
    const auto cluster = desk_.cluster();
    if (cluster == nullptr) return stopping();
    *response = *cluster;
    return grpc::Status::OK;
  }

  grpc::Status WatchCluster(grpc::ServerContext* context, const v1::ClusterRequest*,
                            grpc::ServerWriter<v1::Cluster>* writer) override {
    desk_.begin_watch();
    std::uint64_t sequence = 0;
    while (!context->IsCancelled() && !desk_.is_stopping()) {
      const auto cluster = desk_.wait_for_change(sequence, std::chrono::milliseconds(500));
      if (cluster == nullptr) continue;
      sequence = cluster->sequence();
      if (!writer->Write(*cluster)) break;
    }
    desk_.end_watch();
    return desk_.is_stopping() ? stopping() : grpc::Status::OK;
  }

  grpc::Status WatchVolumes(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::WatchReply, v1::WatchRequest>* stream) override {
    const auto link = std::make_shared<WatchLink>();
    const std::uint64_t feed = desk_.open_feed(link);
    std::thread writer([&] {
      v1::WatchReply reply;
      while (link->pop(reply) && stream->Write(reply)) {
      }
      context->TryCancel();  // the reader below ends with it
    });
    v1::WatchRequest request;
    bool understood = true;
    while (understood && stream->Read(&request)) {
      stream::FromWatcher said;
      understood = stream::from_proto(request, said) && desk_.follow(feed, std::move(said));
    }
    desk_.close_feed(feed);
    link->end(std::nullopt);
    writer.join();
    if (!understood) {
      return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                          "a request is a claim, a follow or an acknowledgement");
    }
    return grpc::Status::OK;
  }

 private:
  grpc::Status fill_volume(grpc::ServerContext& context, const std::string& name, v1::Volume& out) {
    std::optional<v1::Volume> volume = desk_.volume(name);
    if (!volume) {
      return status_of(context, refuse(RefusalCode::not_found, "volume", name,
                                       "give the name of a volume that exists"));
    }
    out = std::move(*volume);
    return grpc::Status::OK;
  }

  Desk& desk_;
};

}  // namespace

struct Server::Impl {
  explicit Impl(Desk& desk) : nodes(desk), volumes(desk) {}
  NodeControlService nodes;
  Volumes volumes;
  std::unique_ptr<grpc::Server> server;
};

Server::Server(Desk& desk) : impl_(std::make_unique<Impl>(desk)) {
  gpr_set_log_function([](gpr_log_func_args*) {});  // what matters comes back as a status
}
Server::~Server() { stop(); }

Status Server::start(const std::vector<std::string>& addresses, std::string* detail) {
  grpc::ServerBuilder builder;
  std::vector<int> ports(addresses.size(), 0);
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    builder.AddListeningPort(addresses[i], grpc::InsecureServerCredentials(), &ports[i]);
  }
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // two controllers never share a port
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_ms);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_ms);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.SetMaxReceiveMessageSize(message_bytes_max);
  grpc::ResourceQuota quota("seawall-controller");
  quota.SetMaxThreads(threads_max);
  builder.SetResourceQuota(quota);
  builder.RegisterService(&impl_->nodes);
  builder.RegisterService(&impl_->volumes);
  impl_->server = builder.BuildAndStart();
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const bool is_unix = addresses[i].rfind("unix:", 0) == 0;
    if (impl_->server != nullptr && (ports[i] != 0 || is_unix)) continue;
    *detail = "cannot listen on " + addresses[i] +
              ": it is in use or not an address of this machine, give another one";
    stop();
    return make_error(Errc::io_error, "cannot listen");
  }
  return Status();
}

void Server::stop() {
  if (impl_->server == nullptr) return;
  impl_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  impl_->server->Wait();
  impl_->server.reset();
}

}  // namespace seawall::controller
