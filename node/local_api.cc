#include "node/local_api.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "node/edge_calls.h"
#include "proto/control.grpc.pb.h"
#include "proto/convert.h"

namespace seawall::node {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds status_timeout{2'000};
constexpr milliseconds serve_timeout{15'000};
constexpr milliseconds drain_timeout{35'000};  // io timeout and a little
constexpr milliseconds controller_timeout_max{30'000};
constexpr int threads_max = 32;
constexpr std::size_t words_max = 200;  // of an operator

grpc::StatusCode code_of(Errc code) {
  switch (code) {
    case Errc::invalid_argument: return grpc::StatusCode::INVALID_ARGUMENT;
    case Errc::not_found: return grpc::StatusCode::NOT_FOUND;
    case Errc::already_exists: return grpc::StatusCode::ALREADY_EXISTS;
    case Errc::busy:
    case Errc::no_space:
    case Errc::exhausted: return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case Errc::timed_out: return grpc::StatusCode::DEADLINE_EXCEEDED;
    case Errc::permission: return grpc::StatusCode::PERMISSION_DENIED;
    default: return grpc::StatusCode::FAILED_PRECONDITION;
  }
}

grpc::Status refuse(grpc::ServerContext& context, grpc::StatusCode status, const char* code,
                    const std::string& field, const std::string& value, const std::string& wanted) {
  v1::ErrorDetail detail;
  detail.set_code(code);
  detail.set_field(field);
  detail.set_value(value);
  detail.set_wanted(wanted);
  context.AddTrailingMetadata("seawall-error-bin", detail.SerializeAsString());
  return grpc::Status(status, field + " is " + (value.empty() ? "empty" : value) + ": " + wanted);
}

// What the controller refused, as it said it.
grpc::Status pass_on(grpc::ServerContext& context, const grpc::ClientContext& call,
                     const grpc::Status& status) {
  for (const auto& [key, value] : call.GetServerTrailingMetadata()) {
    if (key == "seawall-error-bin") {
      context.AddTrailingMetadata("seawall-error-bin", std::string(value.data(), value.size()));
    }
  }
  return status;
}

std::string operation_id() {
  std::uint64_t bits[2] = {};
  while (getrandom(bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
  }
  char text[40];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(bits[0]),
                static_cast<unsigned long long>(bits[1]));
  return text;
}

bool somebody_serves(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  const bool answered =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return answered;
}

class LocalNodeService final : public v1::LocalNode::Service {
 public:
  explicit LocalNodeService(ControlClient& controller) : controller_(controller) {}
  void use(NodeDaemon& daemon) { daemon_ = &daemon; }

  grpc::Status Attach(grpc::ServerContext* context, const v1::LocalAttachRequest* request,
                      v1::LocalAttachResponse* response) override {
    const std::string& frontend = request->frontend();
    if (!frontend.empty() && frontend != "auto" && frontend != "nbd") {
      return refuse(*context, grpc::StatusCode::INVALID_ARGUMENT, "invalid_argument", "frontend",
                    frontend, "give nbd or auto");
    }
    const std::string& socket = request->socket();
    if (socket.empty() || socket[0] != '/' || socket.size() >= sizeof(sockaddr_un::sun_path)) {
      return refuse(*context, grpc::StatusCode::INVALID_ARGUMENT, "invalid_argument", "socket",
                    socket,
                    "give an absolute path of at most " +
                        std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes");
    }
    // Not asked again: the controller would end what is served here, if it was begun by a process
    // before this one.
    if (const auto served = find_served(request->volume())) {
      const std::string tail = "?socket=" + socket;
      if (!served->device.ends_with(tail)) {
        return refuse(*context, grpc::StatusCode::ALREADY_EXISTS, "already_exists", "volume",
                      request->volume(),
                      "it is attached here already, as " + served->device + ", detach it first");
      }
      AttachRequest again;
      again.view.volume = served->volume;
      again.view.attachment = served->attachment;
      again.socket_path = socket;
      again.served_already = true;
      return answer(wait_attach(*daemon_, again, serve_timeout), served->attachment.value(),
                    *response);
    }
    const auto channel = controller_.channel();
    if (channel == nullptr) return controller_away();
    const auto stub = v1::VolumeService::NewStub(channel);
    v1::AttachVolumeRequest ask;
    ask.set_operation_id(operation_id());
    ask.set_volume(request->volume());
    ask.set_node_id(controller_.options().node.value());
    v1::AttachVolumeResponse granted;
    grpc::ClientContext call;
    call.set_deadline(deadline_of(*context));
    const grpc::Status status = stub->AttachVolume(&call, ask, &granted);
    if (!status.ok()) return pass_on(*context, call, status);
    AttachRequest wanted;
    if (!proto::from_proto(granted.view(), wanted.view)) {
      return grpc::Status(grpc::StatusCode::INTERNAL, "the controller's answer makes no sense");
    }
    wanted.socket_path = socket;
    wanted.export_name = request->export_name();
    const std::optional<Attached> attached = wait_attach(*daemon_, wanted, serve_timeout);
    const grpc::Status begun = answer(attached, granted.generation(), *response);
    if (!begun.ok()) undo(*stub, *request, granted.generation());
    return begun;
  }

  grpc::Status Detach(grpc::ServerContext* context, const v1::LocalDetachRequest* request,
                      v1::LocalDetachResponse*) override {
    const std::optional<FrontendStatus> served = find_served(request->volume());
    if (served) {
      const auto outcome = wait_detach(*daemon_, served->volume, served->attachment, drain_timeout);
      if (!outcome) {
        return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED,
                            "the front end did not end in time");
      }
      if (!outcome->ok()) return grpc::Status(code_of(outcome->code), outcome->message);
    }
    // Also without a front end: what an earlier process of this node held is given back here.
    const auto channel = controller_.channel();
    if (channel == nullptr) return controller_away();
    v1::DetachVolumeRequest ask;
    ask.set_operation_id(operation_id());
    ask.set_volume(request->volume());
    ask.set_node_id(controller_.options().node.value());
    if (served) ask.set_generation(served->attachment.value());
    v1::DetachVolumeResponse done;
    grpc::ClientContext call;
    call.set_deadline(deadline_of(*context));
    const grpc::Status status =
        v1::VolumeService::NewStub(channel)->DetachVolume(&call, ask, &done);
    return status.ok() ? status : pass_on(*context, call, status);
  }

  grpc::Status AcceptLoss(grpc::ServerContext* context, const v1::LocalAcceptLossRequest* request,
                          v1::LocalAcceptLossResponse* response) override {
    for (const auto& [field, text] : {std::pair("who", request->who()),
                                      std::pair("why", request->why())}) {
      if (!text.empty() && text.size() <= words_max) continue;
      return refuse(*context, grpc::StatusCode::INVALID_ARGUMENT, "invalid_argument", field, text,
                    "give 1 to " + std::to_string(words_max) + " bytes");
    }
    const auto status = wait_status(*daemon_, status_timeout);
    if (!status) return no_answer();
    for (const ReplicaStatus& each : status->replicas) {
      if (request->volume_id() != each.volume.to_hex().data()) continue;
      const auto told = wait_accept_loss(*daemon_, {each.volume, request->who(), request->why()},
                                         status_timeout);
      if (!told) return no_answer();
      if (!told->outcome.ok()) {
        return grpc::Status(code_of(told->outcome.code), told->outcome.message);
      }
      response->set_records(told->records);
      return grpc::Status::OK;
    }
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "no replica of that volume is here");
  }

  grpc::Status ListAttachments(grpc::ServerContext*, const v1::ListAttachmentsRequest*,
                               v1::ListAttachmentsResponse* response) override {
    const auto status = wait_status(*daemon_, status_timeout);
    if (!status) return no_answer();
    for (const FrontendStatus& each : status->frontends) {
      to_proto(each, *response->add_attachments());
    }
    return grpc::Status::OK;
  }

  grpc::Status Status(grpc::ServerContext*, const v1::LocalStatusRequest*,
                      v1::LocalStatusResponse* response) override {
    const auto status = wait_status(*daemon_, status_timeout);
    if (!status) return no_answer();
    response->set_node_id(controller_.options().node.value());
    response->set_name(controller_.options().name);
    response->set_pool_id(status->pool_id);
    response->set_data_address(controller_.options().data_address);
    response->set_process_start(status->process_start.value());
    response->set_pool_bytes(status->pool_bytes);
    response->set_pool_free_bytes(status->pool_free_bytes);
    response->set_shards(status->shards);
    response->set_ready(status->ready);
    response->set_registered(controller_.is_registered());
    response->set_controller(controller_.options().controller);
    for (const ReplicaStatus& each : status->replicas) {
      proto::to_proto(each, *response->add_replicas());
    }
    for (const FrontendStatus& each : status->frontends) {
      to_proto(each, *response->add_attachments());
    }
    return grpc::Status::OK;
  }

 private:
  static grpc::Status answer(const std::optional<Attached>& attached, std::uint64_t generation,
                             v1::LocalAttachResponse& response) {
    if (!attached) {
      return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED,
                          "the front end did not start in time");
    }
    if (!attached->outcome.ok()) {
      return grpc::Status(code_of(attached->outcome.code), attached->outcome.message);
    }
    response.set_device(attached->device);
    response.set_generation(generation);
    return grpc::Status::OK;
  }
  static grpc::Status no_answer() {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the data plane does not answer");
  }
  grpc::Status controller_away() const {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE,
                        "this node has no session with its controller at " +
                            controller_.options().controller + ", start it and try again");
  }
  static std::chrono::system_clock::time_point deadline_of(const grpc::ServerContext& context) {
    return std::min(context.deadline(), std::chrono::system_clock::now() + controller_timeout_max);
  }
  std::optional<FrontendStatus> find_served(const std::string& volume) {
    const auto status = wait_status(*daemon_, status_timeout);
    if (!status) return std::nullopt;
    for (const FrontendStatus& each : status->frontends) {
      if (each.volume_name == volume) return each;
    }
    return std::nullopt;
  }
  static void undo(v1::VolumeService::Stub& stub, const v1::LocalAttachRequest& request,
                   std::uint64_t generation) {
    v1::DetachVolumeRequest ask;
    ask.set_operation_id(operation_id());
    ask.set_volume(request.volume());
    ask.set_generation(generation);
    v1::DetachVolumeResponse done;
    grpc::ClientContext call;
    call.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    const grpc::Status status = stub.DetachVolume(&call, ask, &done);
    if (!status.ok()) {
      spdlog::warn("event=attach_not_undone vol={} message=\"{}\"", request.volume(),
                   status.error_message());
    }
  }

  ControlClient& controller_;
  NodeDaemon* daemon_ = nullptr;
};

}  // namespace

struct LocalApi::Impl {
  explicit Impl(ControlClient& controller) : service(controller) {}
  LocalNodeService service;
  std::unique_ptr<grpc::Server> server;
  std::string path;
};

LocalApi::LocalApi(ControlClient& controller) : impl_(std::make_unique<Impl>(controller)) {
  gpr_set_log_function([](gpr_log_func_args*) {});  // what matters comes back as a status
}
LocalApi::~LocalApi() { stop(); }

Status LocalApi::start(const std::string& socket_path, NodeDaemon& daemon) {
  if (socket_path.empty()) return Status();
  if (socket_path.size() >= sizeof(sockaddr_un::sun_path)) {
    return make_error(Errc::invalid_argument, "the path is too long for a unix socket",
                      socket_path.size(), sizeof(sockaddr_un::sun_path) - 1);
  }
  if (somebody_serves(socket_path)) {
    return make_error(Errc::busy, "another process serves it, give another path");
  }
  impl_->service.use(daemon);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket_path, grpc::InsecureServerCredentials());
  grpc::ResourceQuota quota("seawall-node");
  quota.SetMaxThreads(threads_max);
  builder.SetResourceQuota(quota);
  builder.RegisterService(&impl_->service);
  const mode_t before = ::umask(0177);  // the socket is made with mode 0600, never wider
  impl_->server = builder.BuildAndStart();
  ::umask(before);
  if (impl_->server == nullptr) {
    return make_error(Errc::invalid_argument, "it cannot be served, give a path that can be made");
  }
  impl_->path = socket_path;
  return Status();
}

void LocalApi::stop() {
  if (impl_->server == nullptr) return;
  impl_->server->Shutdown(std::chrono::system_clock::now() + milliseconds(200));
  impl_->server->Wait();
  impl_->server.reset();
  ::unlink(impl_->path.c_str());
}

}  // namespace seawall::node
