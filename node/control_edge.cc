// The control edge of a node: the session with the controller and the local service, as one.
#include <memory>

#include "node/control_client.h"
#include "node/local_api.h"
#include "node/node_api.h"

namespace seawall::node {
namespace {

class GrpcEdge final : public ControlEdge {
 public:
  explicit GrpcEdge(const ControlEdgeOptions& options) : client_(options), local_(client_) {}

  void send(const control::FromNode& message) override { client_.send(message); }
  Status start(NodeDaemon& daemon) override {
    TRY(local_.start(client_.options().control_socket, daemon));
    client_.start(daemon);
    return Status();
  }
  void stop() override {
    local_.stop();
    client_.stop();
  }

 private:
  ControlClient client_;
  LocalApi local_;
};

}  // namespace

Result<std::unique_ptr<ControlEdge>> make_control_edge(const ControlEdgeOptions& options) {
  if (options.node == NodeId(0) || options.name.empty()) {
    return make_error(Errc::invalid_argument, "a node has an id and a name");
  }
  return std::unique_ptr<ControlEdge>(std::make_unique<GrpcEdge>(options));
}

}  // namespace seawall::node
