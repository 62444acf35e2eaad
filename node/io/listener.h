// A listening socket on a reactor: accepts, and hands each connection to its user.
//
// Life cycle: create() listens, start() accepts, the destructor stops; the pending accept is
// cancelled and its memory lives until the kernel lets go. A unix socket's file is removed at the
// end, unless it is another's by then. Thread: the reactor's. Ownership: the user takes each
// descriptor. Errors: an address in use is Errc::busy at create(); running out of descriptors
// pauses accepting for a moment and is counted.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "node/io/reactor.h"
#include "node/io/socket_address.h"

namespace seawall::io {

class Listener {
 public:
  using OnAccept = std::function<void(int fd)>;

  static Result<std::unique_ptr<Listener>> create(Reactor& reactor, const SocketAddress& address,
                                                  OnAccept on_accept);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void start();
  const SocketAddress& address() const;
  // A client that dials the address comes here: the file of a unix socket is there, and still this
  // one's.
  bool reachable() const;
  std::uint64_t accepted() const;
  std::uint64_t refused() const;  // accepts that failed

 private:
  struct Socket;
  explicit Listener(std::unique_ptr<Socket> socket);
  Socket* socket_;
};

}  // namespace seawall::io
