// Addresses of sockets: "host:port" with a numeric host, or "unix:/path".
//
// Thread: any. Ownership: values. Errors: Errc::invalid_argument for text that is no address,
// Errc::busy for one that is in use. Names are not resolved: an endpoint is a hint of the
// controller and always numeric.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace seawall::io {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  bool is_unix() const { return family() == AF_UNIX; }
  // True for 127.0.0.0/8, ::1 and unix sockets: what may be served in plain text.
  bool is_local() const;
  // The same host with port 0: where outgoing connections leave from.
  SocketAddress any_port() const;
  std::string to_string() const;
  std::string unix_path() const;
};

Result<SocketAddress> parse_address(std::string_view text);

// A bound, listening, non-inheritable socket. A unix socket is 0600; a file that is there already
// is removed when it is a socket that nobody serves, else the address is in use.
Result<int> listen_on(const SocketAddress& address, int backlog = 256);
// Where a socket is bound to, with the real port.
Result<SocketAddress> bound_address(int fd);
// A stream socket for `to`; bound to `from` when that is of the same family and no unix socket.
Result<int> socket_for(const SocketAddress& to, const SocketAddress* from);
// TCP_NODELAY and TCP_USER_TIMEOUT; nothing on a unix socket.
void tune_socket(int fd, unsigned user_timeout_ms);

}  // namespace seawall::io
