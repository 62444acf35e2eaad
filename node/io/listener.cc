#include "node/io/listener.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "engine/base/check.h"

namespace seawall::io {
namespace {

constexpr Duration kPause{100};

struct FileName {  // which file a path leads to
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileName&, const FileName&) = default;
};

std::optional<FileName> file_at(const SocketAddress& address) {
  struct stat found {};
  if (!address.is_unix() || ::lstat(address.unix_path().c_str(), &found) != 0) return std::nullopt;
  return FileName{found.st_dev, found.st_ino};
}

}  // namespace

// Outlives the Listener while the kernel still holds the accept.
struct Listener::Socket final : runtime::TimerUser {
  Socket(Reactor& loop, int descriptor, const SocketAddress& where, OnAccept user)
      : reactor(loop), fd(descriptor), address(where), on_accept(std::move(user)) {
    op = RingOp{&Socket::on_accepted, this};
    file = file_at(address);
  }
  bool holds_its_file() const { return file.has_value() && file_at(address) == file; }
  ~Socket() override {
    reactor.cancel(*this);
    ::close(fd);
  }

  void arm() {
    io_uring_sqe* sqe = reactor.entry();
    io_uring_prep_accept(sqe, fd, nullptr, nullptr, SOCK_CLOEXEC);
    reactor.submit(sqe, op);
    armed = true;
  }

  void on_timer(Instant) override {
    if (!armed) arm();
  }

  static void on_accepted(RingOp& ring_op, std::int32_t result, std::uint32_t) {
    auto* self = static_cast<Socket*>(ring_op.owner);
    self->armed = false;
    if (self->closed) {
      if (result >= 0) ::close(result);
      delete self;
      return;
    }
    if (result >= 0) {
      ++self->accepted;
      self->in_callback = true;
      self->on_accept(result);
      self->in_callback = false;
    } else {
      ++self->refused;
    }
    if (self->closed) {
      delete self;
      return;
    }
    if (result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -ENOBUFS) {
      self->reactor.wake_at(*self, self->reactor.now() + kPause);
      return;
    }
    self->arm();
  }

  Reactor& reactor;
  const int fd;
  const SocketAddress address;
  std::optional<FileName> file;  // of a unix socket, as it was made
  OnAccept on_accept;
  RingOp op;
  bool armed = false;
  bool closed = false;
  bool in_callback = false;
  std::uint64_t accepted = 0, refused = 0;
};

Result<std::unique_ptr<Listener>> Listener::create(Reactor& reactor, const SocketAddress& address,
                                                   OnAccept on_accept) {
  TRY_ASSIGN(const int fd, listen_on(address));
  auto bound = bound_address(fd);
  if (!bound) {
    ::close(fd);
    return bound.error();
  }
  auto socket = std::make_unique<Socket>(reactor, fd, address.is_unix() ? address : *bound,
                                         std::move(on_accept));
  return std::unique_ptr<Listener>(new Listener(std::move(socket)));
}

Listener::Listener(std::unique_ptr<Socket> socket) : socket_(socket.release()) {}

Listener::~Listener() {
  if (socket_->holds_its_file()) ::unlink(socket_->address.unix_path().c_str());
  socket_->closed = true;
  ::shutdown(socket_->fd, SHUT_RDWR);
  if (socket_->in_callback) return;  // the callback's end deletes it
  if (!socket_->armed) {
    delete socket_;
    return;
  }
  io_uring_sqe* sqe = socket_->reactor.entry();
  io_uring_prep_cancel(sqe, &socket_->op, 0);
  io_uring_sqe_set_data(sqe, nullptr);
}

void Listener::start() {
  if (!socket_->armed) socket_->arm();
}

const SocketAddress& Listener::address() const { return socket_->address; }
bool Listener::reachable() const {
  return !socket_->address.is_unix() || socket_->holds_its_file();
}
std::uint64_t Listener::accepted() const { return socket_->accepted; }
std::uint64_t Listener::refused() const { return socket_->refused; }

}  // namespace seawall::io
