#include "node/frontends/nbd_server.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "engine/base/check.h"
#include "node/frontends/nbd_connection.h"

namespace seawall::nbd {
namespace {

using namespace transmission_flag;
constexpr std::uint16_t kFlags = has_flags | send_flush | send_fua | send_trim |
                                 send_write_zeroes | can_multi_conn | send_fast_zero;
constexpr Duration kMemoryRetry{2};

}  // namespace

struct Server::Door final : Catalogue {
  std::optional<ExportInfo> find(std::string_view name) const override {
    const Export* found = get(name).get();
    if (found == nullptr) return std::nullopt;
    return ExportInfo{found->size_bytes(), kFlags, BlockSizes{}};
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    for (const auto& [name, each] : exports) all.push_back(name);
    return all;
  }
  // The empty name is the default export: the only one, when there is only one.
  std::shared_ptr<Export> get(std::string_view name) const {
    if (name.empty() && exports.size() == 1) return exports.begin()->second;
    const auto found = exports.find(std::string(name));
    return found != exports.end() ? found->second : nullptr;
  }

  std::map<std::string, std::shared_ptr<Export>> exports;
  std::vector<std::unique_ptr<Connection>> connections;
  std::unique_ptr<io::Listener> listener;
};

struct Server::Leaving {
  std::shared_ptr<Export> exported;
  std::function<void()> gone;
};

Server::Server(io::Reactor& reactor, runtime::BufferPool& pool, const ServerOptions& options)
    : reactor_(reactor), pool_(pool), options_(options) {
  CHECK_MSG(options.read_bytes_max >= (32U << 20), "the largest request must fit");
}

Server::~Server() {
  CHECK_MSG(doors_.empty() && leaving_.empty(), "every export is removed first");
  reactor_.cancel(*this);
}

Status Server::add_export(const std::string& address, const std::string& name,
                          frontends::BlockTarget& target) {
  if (name.empty() || name.size() > kNameBytesMax) {
    return make_error(Errc::invalid_argument, "an export needs a name");
  }
  auto found = doors_.find(address);
  if (found != doors_.end()) {
    TRY(bind_again(address));
  } else {
    auto door = std::make_unique<Door>();
    TRY_ASSIGN(door->listener, listen(*door, address));
    found = doors_.emplace(address, std::move(door)).first;
  }
  auto exported = std::make_shared<Export>(name, target, pool_);
  if (!found->second->exports.emplace(name, std::move(exported)).second) {
    return make_error(Errc::already_exists, "the socket serves an export of that name");
  }
  return ok();
}

Result<std::unique_ptr<io::Listener>> Server::listen(Door& door, const std::string& address) {
  TRY_ASSIGN(const io::SocketAddress where, io::parse_address(address));
  if (!where.is_local()) {
    return make_error(Errc::refused, "NBD is served on a unix socket or loopback only");
  }
  TRY_ASSIGN(std::unique_ptr<io::Listener> listener,
             io::Listener::create(reactor_, where, [this, &door](int fd) { begin(door, fd); }));
  listener->start();
  return listener;
}

Status Server::bind_again(const std::string& address) {
  const auto found = doors_.find(address);
  if (found == doors_.end()) return make_error(Errc::not_found, "nothing is served there");
  Door& door = *found->second;
  if (door.listener->reachable()) return ok();
  TRY_ASSIGN(std::unique_ptr<io::Listener> fresh, listen(door, address));
  door.listener = std::move(fresh);
  return ok();
}

void Server::remove_export(const std::string& address, const std::string& name,
                           std::function<void()> gone) {
  const auto found = doors_.find(address);
  CHECK_MSG(found != doors_.end() && found->second->exports.contains(name), "no such export");
  Door& door = *found->second;
  auto leaving = std::make_unique<Leaving>();
  leaving->exported = std::move(door.exports.at(name));
  leaving->gone = std::move(gone);
  door.exports.erase(name);
  const bool last = door.exports.empty();
  std::vector<Connection*> theirs;
  for (const auto& connection : door.connections) {
    if (last || connection->exported() == leaving->exported.get()) {
      theirs.push_back(connection.get());
    }
  }
  for (Connection* connection : theirs) connection->close();
  leaving->exported->remove();
  leaving_.push_back(std::move(leaving));
  if (last) doors_.erase(found);
  reactor_.wake_at(*this, reactor_.now());
}

void Server::begin(Door& door, int fd) {
  if (door.connections.size() >= options_.connections_max) {
    ++counters_.crowded;
    ::close(fd);
    return;
  }
  ++counters_.connections;
  const std::string* address = nullptr;
  for (const auto& [text, each] : doors_) {
    if (each.get() == &door) address = &text;
  }
  CHECK(address != nullptr);
  io::tune_socket(fd, 0);
  door.connections.push_back(std::make_unique<Connection>(
      *this, *address, door, [&door](const std::string& name) { return door.get(name); }, fd));
  door.connections.back()->start();
}

void Server::ended(Connection& connection) {
  std::erase(waiting_bytes_, &connection);
  std::erase(waiting_memory_, &connection);
  auto& all = doors_.at(connection.door())->connections;
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const auto& each) { return each.get() == &connection; });
  CHECK(found != all.end());
  ended_.push_back(std::move(*found));  // its own methods may still be on the stack
  all.erase(found);
  reactor_.wake_at(*this, reactor_.now());
}

bool Server::reserve(Connection& connection, std::size_t bytes) {
  const bool first = waiting_bytes_.empty() || waiting_bytes_.front() == &connection;
  if (first && reserved_ + bytes <= options_.read_bytes_max) {
    reserved_ += bytes;
    if (!waiting_bytes_.empty()) waiting_bytes_.erase(waiting_bytes_.begin());
    return true;
  }
  if (std::find(waiting_bytes_.begin(), waiting_bytes_.end(), &connection) ==
      waiting_bytes_.end()) {
    waiting_bytes_.push_back(&connection);
  }
  return false;
}

void Server::release(std::size_t bytes) {
  CHECK(bytes <= reserved_);
  reserved_ -= bytes;
  if (bytes > 0 && !waiting_bytes_.empty()) reactor_.wake_at(*this, reactor_.now());
}

void Server::wait_for_memory(Connection& connection) {
  if (std::find(waiting_memory_.begin(), waiting_memory_.end(), &connection) ==
      waiting_memory_.end()) {
    waiting_memory_.push_back(&connection);
  }
  reactor_.wake_at(*this, reactor_.now() + kMemoryRetry);
}

void Server::on_turn() {
  if (!waiting_memory_.empty() || !waiting_bytes_.empty() || !ended_.empty() ||
      !leaving_.empty()) {
    sweep();
  }
}

void Server::on_timer(Instant) { sweep(); }

void Server::sweep() {
  for (Connection* waiting : std::exchange(waiting_memory_, {})) waiting->resume();
  // Each success takes itself off the front; the first that still does not fit ends the round.
  while (!waiting_bytes_.empty()) {
    Connection* first = waiting_bytes_.front();
    first->resume();
    if (!waiting_bytes_.empty() && waiting_bytes_.front() == first) break;
  }
  for (const auto& [address, door] : doors_) {
    for (const auto& [name, exported] : door->exports) exported->retry();
  }
  ended_.clear();
  std::vector<std::unique_ptr<Leaving>> gone;
  for (auto& leaving : leaving_) {
    leaving->exported->retry();
    if (leaving->exported->jobs_open() == 0 && leaving->exported->pieces_in_flight() == 0 &&
        leaving->exported.use_count() == 1) {
      gone.push_back(std::move(leaving));
    }
  }
  std::erase(leaving_, nullptr);
  for (auto& leaving : gone) {
    const std::function<void()> call = std::move(leaving->gone);
    leaving.reset();
    if (call) call();
  }
}

std::string Server::listening(const std::string& address) const {
  const auto found = doors_.find(address);
  return found != doors_.end() ? found->second->listener->address().to_string() : std::string();
}

std::size_t Server::connections(const std::string& address, const std::string& name) const {
  const auto found = doors_.find(address);
  if (found == doors_.end()) return 0;
  const auto& all = found->second->connections;
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const auto& each) {
    return each->exported() != nullptr && each->exported()->name() == name;
  }));
}

std::size_t Server::requests_open(const std::string& address, const std::string& name) const {
  const auto found = doors_.find(address);
  if (found == doors_.end()) return 0;
  const auto exported = found->second->get(name);
  return exported != nullptr ? exported->jobs_open() : 0;
}

std::size_t Server::connections() const {
  std::size_t all = 0;
  for (const auto& [address, door] : doors_) all += door->connections.size();
  return all;
}

}  // namespace seawall::nbd
