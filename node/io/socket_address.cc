#include "node/io/socket_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>

#include "engine/base/check.h"

namespace seawall::io {
namespace {

template <class T>
T& as(sockaddr_storage& storage) {
  return reinterpret_cast<T&>(storage);
}
template <class T>
const T& as(const sockaddr_storage& storage) {
  return reinterpret_cast<const T&>(storage);
}

Error errno_error(Errc code, const char* what) {
  return make_error(code, what, static_cast<std::uint64_t>(errno));
}

// A socket file that nobody serves is left over from a process that died.
bool remove_dead_socket(const SocketAddress& address) {
  const std::string path = address.unix_path();
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool dead = ::connect(fd, address.get(), address.length) != 0 && errno == ECONNREFUSED;
  ::close(fd);
  return dead && ::unlink(path.c_str()) == 0;
}

Result<SocketAddress> parse_unix(std::string_view path) {
  SocketAddress address;
  auto& un = as<sockaddr_un>(address.storage);
  if (path.empty() || path.size() >= sizeof un.sun_path) {
    return make_error(Errc::invalid_argument, "a unix socket path has 1 to 107 bytes", path.size());
  }
  un.sun_family = AF_UNIX;
  std::memcpy(un.sun_path, path.data(), path.size());
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

}  // namespace

Result<SocketAddress> parse_address(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) return parse_unix(text.substr(kUnix.size()));
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return make_error(Errc::invalid_argument, "an address is HOST:PORT or unix:PATH");
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  unsigned port = 0;
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc{} || end != port_text.data() + port_text.size() || port > 65535) {
    return make_error(Errc::invalid_argument, "a port is a number from 0 to 65535");
  }
  SocketAddress address;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    auto& in6 = as<sockaddr_in6>(address.storage);
    const std::string inner(host.substr(1, host.size() - 2));
    if (::inet_pton(AF_INET6, inner.c_str(), &in6.sin6_addr) == 1) {
      in6.sin6_family = AF_INET6;
      in6.sin6_port = htons(static_cast<std::uint16_t>(port));
      address.length = sizeof in6;
      return address;
    }
  }
  auto& in4 = as<sockaddr_in>(address.storage);
  if (::inet_pton(AF_INET, std::string(host).c_str(), &in4.sin_addr) != 1) {
    return make_error(Errc::invalid_argument, "a host is a numeric address, e.g. 127.0.0.1");
  }
  in4.sin_family = AF_INET;
  in4.sin_port = htons(static_cast<std::uint16_t>(port));
  address.length = sizeof in4;
  return address;
}

bool SocketAddress::is_local() const {
  if (is_unix()) return true;
  if (family() == AF_INET) {
    return (ntohl(as<sockaddr_in>(storage).sin_addr.s_addr) >> 24) == 127;
  }
  if (family() == AF_INET6) {
    return IN6_IS_ADDR_LOOPBACK(&as<sockaddr_in6>(storage).sin6_addr);
  }
  return false;
}

SocketAddress SocketAddress::any_port() const {
  SocketAddress copy = *this;
  if (family() == AF_INET) as<sockaddr_in>(copy.storage).sin_port = 0;
  if (family() == AF_INET6) as<sockaddr_in6>(copy.storage).sin6_port = 0;
  return copy;
}

std::string SocketAddress::unix_path() const {
  CHECK(is_unix());
  return as<sockaddr_un>(storage).sun_path;
}

std::string SocketAddress::to_string() const {
  char text[INET6_ADDRSTRLEN] = {};
  if (family() == AF_INET) {
    const auto& in4 = as<sockaddr_in>(storage);
    ::inet_ntop(AF_INET, &in4.sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(in4.sin_port));
  }
  if (family() == AF_INET6) {
    const auto& in6 = as<sockaddr_in6>(storage);
    ::inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text);
    std::string address = "[";  // appended to: "x" + string trips -Wrestrict of g++ 12 at -O3
    address.append(text).append("]:").append(std::to_string(ntohs(in6.sin6_port)));
    return address;
  }
  return is_unix() ? "unix:" + unix_path() : "?";
}

Result<int> listen_on(const SocketAddress& address, int backlog) {
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno_error(Errc::exhausted, "a socket cannot be made (errno)");
  const int one = 1;
  if (!address.is_unix()) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  int result = ::bind(fd, address.get(), address.length);
  if (result != 0 && errno == EADDRINUSE && address.is_unix() && remove_dead_socket(address)) {
    result = ::bind(fd, address.get(), address.length);
  }
  if (result == 0 && address.is_unix()) ::chmod(address.unix_path().c_str(), 0600);
  if (result == 0) result = ::listen(fd, backlog);
  if (result == 0) return fd;
  const Error error = errno_error(errno == EADDRINUSE ? Errc::busy : Errc::invalid_argument,
                                  errno == EADDRINUSE ? "the address is in use"
                                                      : "cannot listen on the address (errno)");
  ::close(fd);
  return error;
}

Result<SocketAddress> bound_address(int fd) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0) {
    return errno_error(Errc::io_error, "getsockname failed (errno)");
  }
  return address;
}

Result<int> socket_for(const SocketAddress& to, const SocketAddress* from) {
  const int fd = ::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno_error(Errc::exhausted, "a socket cannot be made (errno)");
  if (from == nullptr || to.is_unix() || from->family() != to.family()) return fd;
  const int one = 1;
  ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  const SocketAddress source = from->any_port();
  if (::bind(fd, source.get(), source.length) == 0) return fd;
  const Error error = errno_error(Errc::invalid_argument, "cannot leave from that address (errno)");
  ::close(fd);
  return error;
}

void tune_socket(int fd, unsigned user_timeout_ms) {
  int domain = 0;
  socklen_t length = sizeof domain;
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 || domain == AF_UNIX) return;
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
}

}  // namespace seawall::io
