// LocalApi: the node's own gRPC service (LocalNode of control.proto) on a unix socket, mode 0600.
//
// Purpose: attach and detach front ends of this node, and its status. An attach asks the controller
// for a generation first, then the daemon; what fails half-way is undone.
// Life cycle: start() binds, stop() ends. The client and the daemon outlive it. Threads: gRPC's
// own, bounded. Errors: start() answers Errc::busy for a socket that another process serves.
#pragma once

#include <memory>

#include "engine/base/result.h"
#include "node/control_client.h"
#include "node/node_api.h"

namespace seawall::node {

class LocalApi {
 public:
  explicit LocalApi(ControlClient& controller);
  ~LocalApi();
  LocalApi(const LocalApi&) = delete;
  LocalApi& operator=(const LocalApi&) = delete;

  Status start(const std::string& socket_path, NodeDaemon& daemon);
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace seawall::node
