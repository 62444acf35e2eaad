#include "node/controller_dial.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace seawall::node {
namespace {

constexpr int keepalive_ms = 2'000;
constexpr int user_timeout_ms = 4'000;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

std::optional<Address> parse_ip(const std::string& text, bool with_port) {
  const std::size_t colon = text.rfind(':');
  std::string host = colon == std::string::npos ? text : text.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  long port = 0;
  if (with_port) {
    if (colon == std::string::npos) return std::nullopt;
    port = std::strtol(text.c_str() + colon + 1, nullptr, 10);
    if (port < 1 || port > 65'535) return std::nullopt;
  }
  Address address;
  sockaddr_in ip{};
  ip.sin_family = AF_INET;
  ip.sin_port = htons(static_cast<std::uint16_t>(port));
  if (inet_pton(AF_INET, host.c_str(), &ip.sin_addr) != 1) return std::nullopt;
  std::memcpy(&address.storage, &ip, sizeof ip);
  address.size = sizeof ip;
  return address;
}

std::optional<Address> parse_target(const std::string& target) {
  if (target.rfind("unix:", 0) != 0) return parse_ip(target, true);
  const std::string path = target.substr(5);
  sockaddr_un local{};
  if (path.empty() || path.size() >= sizeof local.sun_path) return std::nullopt;
  local.sun_family = AF_UNIX;
  std::memcpy(local.sun_path, path.data(), path.size());
  Address address;
  std::memcpy(&address.storage, &local, sizeof local);
  address.size = sizeof local;
  return address;
}

// A descriptor that is closed unless it is given away.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

bool finish_connect(int fd, std::chrono::milliseconds timeout) {
  pollfd wait{fd, POLLOUT, 0};
  if (::poll(&wait, 1, static_cast<int>(timeout.count())) != 1) {
    errno = ETIMEDOUT;
    return false;
  }
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return false;
  errno = error;
  return error == 0;
}

}  // namespace

std::shared_ptr<grpc::Channel> dial_controller(const std::string& target, const std::string& from,
                                               std::chrono::milliseconds timeout,
                                               std::string* detail) {
  const auto give_up = [&](const std::string& why) {
    *detail = "the controller at " + target + " cannot be reached: " + why;
    return nullptr;
  };
  const std::optional<Address> address = parse_target(target);
  if (!address) return give_up("it is no HOST:PORT and no unix:PATH");
  const int family = address->storage.ss_family;
  Descriptor socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return give_up(std::strerror(errno));
  if (family == AF_INET) {
    const int yes = 1;
    const int limit = user_timeout_ms;  // unanswered data ends the connection, as after a cut
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
    const std::optional<Address> source = from.empty() ? std::nullopt : parse_ip(from, false);
    if (source && ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&source->storage),
                         source->size) != 0) {
      return give_up("cannot dial from " + from + ": " + std::strerror(errno));
    }
  }
  const int result =
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address->storage), address->size);
  const bool connected =
      result == 0 || (errno == EINPROGRESS && finish_connect(socket.get(), timeout));
  if (!connected) return give_up(std::strerror(errno));
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_ms);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::experimental::CreateCustomInsecureChannelWithInterceptorsFromFd(
      "controller", socket.release(), arguments, {});
}

}  // namespace seawall::node
