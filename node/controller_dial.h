// A gRPC channel to the controller over a connection that leaves from a given host.
//
// gRPC cannot bind the local address, so the socket is made here. The channel does not come back
// when its connection ends: the caller dials again. Thread: any; blocks up to `timeout`.
#pragma once

#include <chrono>
#include <memory>
#include <string>

namespace grpc {
class Channel;
}

namespace seawall::node {

// `target`: HOST:PORT or unix:PATH. `from`: HOST or HOST:PORT, of which only the host is used;
// empty: the system chooses. nullptr with a sentence in `detail` when it cannot be reached.
std::shared_ptr<grpc::Channel> dial_controller(const std::string& target, const std::string& from,
                                               std::chrono::milliseconds timeout,
                                               std::string* detail);

}  // namespace seawall::node
