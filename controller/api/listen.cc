#include "controller/api/listen.h"

#include <arpa/inet.h>

#include <cstdlib>

namespace seawall::controller {
namespace {

bool is_port(const std::string& text) {
  if (text.empty() || text.size() > 5) return false;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
  }
  const long port = std::strtol(text.c_str(), nullptr, 10);
  return port >= 1 && port <= 65'535;
}

bool is_loopback(const std::string& host) {
  if (host == "localhost" || host == "[::1]") return true;
  in_addr address{};
  if (inet_pton(AF_INET, host.c_str(), &address) != 1) return false;
  return (ntohl(address.s_addr) >> 24) == 127;
}

}  // namespace

Result<std::vector<std::string>> parse_listen(const std::string& text, std::string* detail) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    begin = end + 1;
    if (part.rfind("unix:", 0) == 0 && part.size() > 5) {
      parts.push_back(part);
      continue;
    }
    const std::size_t colon = part.rfind(':');
    if (colon == std::string::npos || colon == 0 || !is_port(part.substr(colon + 1))) {
      *detail = "--listen is " + (part.empty() ? std::string("empty") : part) +
                ": give HOST:PORT or unix:PATH, several separated by commas";
      return make_error(Errc::invalid_argument, "not an address");
    }
    if (!is_loopback(part.substr(0, colon))) {
      *detail = "--listen is " + part +
                ": without transport security only loopback (127.0.0.0/8, [::1]) and unix sockets";
      return make_error(Errc::invalid_argument, "not loopback");
    }
    parts.push_back(part);
  }
  return parts;
}

}  // namespace seawall::controller
