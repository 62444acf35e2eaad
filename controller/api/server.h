// Server: the controller's gRPC services (NodeControl, VolumeService) in front of a Desk.
//
// Life cycle: start() binds every address and serves; stop() ends streams and calls. The desk
// outlives it. Threads: gRPC's own, bounded. Errors: start() refuses an address in use or
// malformed; calls answer a gRPC status with a sentence, and its parts in the metadata
// "seawall-error-bin".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controller/api/desk.h"
#include "engine/base/result.h"

namespace seawall::controller {

class Server {
 public:
  explicit Server(Desk& desk);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // HOST:PORT or unix:PATH each. `detail` gets one sentence when it fails.
  Status start(const std::vector<std::string>& addresses, std::string* detail);
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace seawall::controller
