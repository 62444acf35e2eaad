#include "cli/network.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "cli/entropy.h"
#include "cli/failure.h"

namespace seawall::cli {

bool is_loopback_network(const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1) return false;
  const std::uint32_t bits = ntohl(address.s_addr);
  return (bits >> 24U) == 127 && (bits & 0xFFU) == 0;
}

std::string why_not_bindable(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  sockaddr_in name{};
  name.sin_family = AF_INET;
  std::uint16_t port = 0;
  if (colon == std::string::npos ||
      std::from_chars(address.data() + colon + 1, address.data() + address.size(), port).ec !=
          std::errc() ||
      ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &name.sin_addr) != 1) {
    return fmt::format("{} is not of the form 127.x.y.z:port", address);
  }
  name.sin_port = htons(port);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) return fmt::format("no socket can be had: {}", std::strerror(errno));
  const int yes = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  std::string reason;
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
      ::listen(listener, 1) != 0) {
    reason = fmt::format("{} cannot be listened on: {}", address, std::strerror(errno));
  }
  ::close(listener);
  return reason;
}

std::string choose_network(const std::vector<std::string>& hosts) {
  std::string reason;
  for (int tries = 0; tries < 200; ++tries) {
    const std::uint64_t bits = random_bits();
    const std::uint64_t x = 1 + bits % 253;
    const std::uint64_t y = 1 + (bits >> 32U) % 253;
    const bool free = std::all_of(hosts.begin(), hosts.end(), [&](const std::string& host) {
      reason = why_not_bindable(fmt::format("127.{}.{}{}", x, y, host));
      return reason.empty();
    });
    if (free) return fmt::format("127.{}.{}.0", x, y);
  }
  throw Failure(ExitCode::failed,
                fmt::format("no free loopback network was found; the last reason: {}", reason));
}

}  // namespace seawall::cli
