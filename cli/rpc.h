// The two gRPC services that commands talk to, as plain blocking calls.
//
// Thread: one at a time. Every call has a deadline. Errors: Failure with the exit
// code that fits the status and the server's own sentence. Only rpc.cc sees gRPC.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/control.pb.h"

namespace seawall::cli {

namespace pb = seawall::v1;

class ControllerClient {
 public:
  ControllerClient(const std::string& address, std::uint64_t timeout_ms);
  ~ControllerClient();
  ControllerClient(const ControllerClient&) = delete;
  ControllerClient& operator=(const ControllerClient&) = delete;

  pb::Volume create_volume(const pb::CreateVolumeRequest& request);
  bool delete_volume(const std::string& name);
  std::vector<pb::Volume> list_volumes();
  pb::Volume get_volume(const std::string& name);
  // The volume as soon as it has a primary; as it is then, when it gets none within 10 s.
  pb::Volume get_volume_with_primary(const std::string& name);
  pb::AttachVolumeResponse attach_volume(const std::string& name, std::uint64_t node_id);
  pb::Volume detach_volume(const std::string& name, std::uint64_t generation, bool force);
  pb::Volume move_volume(const std::string& name, const std::string& node);
  pb::Volume force_volume(pb::ForceVolumeRequest request);
  pb::Volume change_volume(const pb::ChangeVolumeRequest& request);
  std::vector<pb::Node> list_nodes();
  pb::Cluster get_cluster();
  // Calls `on_cluster` at each change until it answers false, or the stream ends (Failure).
  void watch_cluster(const std::function<bool(const pb::Cluster&)>& on_cluster);
  // The control stream: sends `first`, then with each reply what `on_reply` answers, until that is
  // nullopt or the stream ends (Failure).
  using Requests = std::vector<pb::WatchRequest>;
  void watch_volumes(
      const Requests& first,
      const std::function<std::optional<Requests>(const pb::WatchReply&)>& on_reply);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class NodeClient {
 public:
  // The path of the node's unix socket.
  NodeClient(const std::string& socket, std::uint64_t timeout_ms);
  ~NodeClient();
  NodeClient(const NodeClient&) = delete;
  NodeClient& operator=(const NodeClient&) = delete;

  pb::LocalAttachResponse attach(const pb::LocalAttachRequest& request);
  void detach(const std::string& volume);
  // How many records were missing.
  std::uint64_t accept_loss(const pb::LocalAcceptLossRequest& request);
  pb::LocalStatusResponse status();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A text that no other request bears.
std::string new_operation_id();

}  // namespace seawall::cli
