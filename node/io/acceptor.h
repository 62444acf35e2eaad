// The data port of a node: accepts links, reads their first frame, and hands them to a shard.
//
// Purpose: a link belongs to the shard of its volume, and only the first frame names the volume.
// The acceptor reads exactly that frame (header and meta, nothing behind it), checks it, and passes
// descriptor and frame on; the shard's TcpTransport takes it from there.
// Life cycle: create() listens, start() accepts, the destructor stops. Thread: the reactor's.
// Ownership: the route takes the descriptor. Bounds: at most kGreetingsMax connections without a
// first frame, each with a deadline; beyond that the oldest is dropped. Garbage is dropped and
// counted.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "node/io/listener.h"
#include "node/runtime/frame.h"

namespace seawall::io {

// An accepted connection and its first frame, checked.
struct AcceptedLink {
  int fd = -1;
  std::array<std::byte, runtime::frame_header_bytes> header{};
  std::vector<std::byte> meta;
};

struct AcceptorCounters {
  std::uint64_t greeted = 0;   // handed over
  std::uint64_t garbage = 0;   // first bytes that are no acceptable first frame
  std::uint64_t ended = 0;     // closed by the peer before the frame was whole
  std::uint64_t late = 0;      // handshake deadline
  std::uint64_t crowded = 0;   // dropped for newer ones
};

class Acceptor {
 public:
  static constexpr std::size_t kGreetingsMax = 256;
  // Takes the descriptor. Called on the acceptor's thread; the volume is in the header.
  using Route = std::function<void(VolumeId volume, AcceptedLink link)>;

  static Result<std::unique_ptr<Acceptor>> create(Reactor& reactor, const SocketAddress& address,
                                                  Duration handshake_deadline, Route route);
  ~Acceptor();
  void start();
  const SocketAddress& address() const;
  AcceptorCounters counters() const;

 private:
  class Greetings;
  explicit Acceptor(std::unique_ptr<Greetings> greetings);
  std::unique_ptr<Greetings> greetings_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace seawall::io
