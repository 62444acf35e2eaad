#include "node/io/acceptor.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <list>

#include "engine/base/check.h"
#include "node/runtime/wire_header.h"

namespace seawall::io {

using runtime::frame_header_bytes;

// One connection that has not said its first frame yet. It frees itself when the kernel has let go.
class Acceptor::Greetings final : public runtime::TimerUser {
 public:
  Greetings(Reactor& reactor, Duration deadline, Route route)
      : reactor_(reactor), deadline_(deadline), route_(std::move(route)) {}
  ~Greetings() override {
    reactor_.cancel(*this);
    while (!waiting_.empty()) drop(*waiting_.front());
  }

  void begin(int fd);
  void on_timer(Instant now) override;
  AcceptorCounters counters;

 private:
  struct Greeting {
    Greetings* owner = nullptr;  // nullptr: dropped
    int fd = -1;
    Instant deadline;
    std::size_t have = 0, need = frame_header_bytes;
    VolumeId volume;
    AcceptedLink link;
    RingOp op;
    bool armed = false;
  };

  static void on_received(RingOp& op, std::int32_t result, std::uint32_t flags);
  void arm(Greeting& greeting);
  // The bytes it waited for are here: true when the whole frame is.
  bool advance(Greeting& greeting);
  void drop(Greeting& greeting);
  void hand_over(Greeting& greeting);
  void forget(Greeting& greeting) {
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &greeting));
  }

  Reactor& reactor_;
  const Duration deadline_;
  const Route route_;
  std::list<Greeting*> waiting_;  // oldest first
};

void Acceptor::Greetings::begin(int fd) {
  if (waiting_.size() >= kGreetingsMax) {
    ++counters.crowded;
    drop(*waiting_.front());
  }
  auto* greeting = new Greeting;
  greeting->owner = this;
  greeting->fd = fd;
  greeting->deadline = reactor_.now() + deadline_;
  greeting->op = RingOp{&Greetings::on_received, greeting};
  waiting_.push_back(greeting);
  if (waiting_.size() == 1) reactor_.wake_at(*this, greeting->deadline);
  arm(*greeting);
}

void Acceptor::Greetings::arm(Greeting& greeting) {
  std::byte* place = greeting.have < frame_header_bytes
                         ? greeting.link.header.data() + greeting.have
                         : greeting.link.meta.data() + (greeting.have - frame_header_bytes);
  io_uring_sqe* sqe = reactor_.entry();
  io_uring_prep_recv(sqe, greeting.fd, place, greeting.need - greeting.have, 0);
  reactor_.submit(sqe, greeting.op);
  greeting.armed = true;
}

void Acceptor::Greetings::on_received(RingOp& op, std::int32_t result, std::uint32_t) {
  auto* greeting = static_cast<Greeting*>(op.owner);
  greeting->armed = false;
  if (greeting->owner == nullptr) {
    delete greeting;
    return;
  }
  Greetings& self = *greeting->owner;
  if (result == -EINTR || result == -EAGAIN) return self.arm(*greeting);
  if (result <= 0) {
    ++self.counters.ended;
    return self.drop(*greeting);
  }
  greeting->have += static_cast<std::size_t>(result);
  if (greeting->have < greeting->need) return self.arm(*greeting);
  const bool whole = self.advance(*greeting);
  if (greeting->owner == nullptr) {
    delete greeting;
    return;
  }
  if (!whole) return self.arm(*greeting);
  self.hand_over(*greeting);
}

bool Acceptor::Greetings::advance(Greeting& greeting) {
  const auto refuse = [&] {
    ++counters.garbage;
    greeting.armed = true;  // the caller frees it
    drop(greeting);
    return false;
  };
  const auto header = runtime::decode_header(std::span(greeting.link.header));
  if (!header) return refuse();
  const runtime::FrameHeader& frame = header->frame;
  if (!runtime::admits(runtime::LinkState::fresh, frame.type)) return refuse();
  if (frame.payload_length != 0) return refuse();
  if (greeting.have == frame_header_bytes && frame.meta_length > 0) {
    greeting.link.meta.resize(frame.meta_length);
    greeting.need = frame_header_bytes + frame.meta_length;
    return false;
  }
  if (!runtime::check_meta(*header, greeting.link.meta)) return refuse();
  greeting.volume = frame.volume;
  return true;
}

void Acceptor::Greetings::hand_over(Greeting& greeting) {
  ++counters.greeted;
  forget(greeting);
  greeting.link.fd = greeting.fd;
  const VolumeId volume = greeting.volume;
  AcceptedLink link = std::move(greeting.link);
  delete &greeting;
  route_(volume, std::move(link));
}

void Acceptor::Greetings::drop(Greeting& greeting) {
  forget(greeting);
  greeting.owner = nullptr;
  ::shutdown(greeting.fd, SHUT_RDWR);  // ends the receive that may be in flight
  ::close(greeting.fd);
  if (!greeting.armed) delete &greeting;
}

void Acceptor::Greetings::on_timer(Instant now) {
  while (!waiting_.empty() && waiting_.front()->deadline <= now) {
    ++counters.late;
    drop(*waiting_.front());
  }
  if (!waiting_.empty()) reactor_.wake_at(*this, waiting_.front()->deadline);
}

Result<std::unique_ptr<Acceptor>> Acceptor::create(Reactor& reactor, const SocketAddress& address,
                                                   Duration handshake_deadline, Route route) {
  auto greetings = std::make_unique<Greetings>(reactor, handshake_deadline, std::move(route));
  Greetings* user = greetings.get();
  std::unique_ptr<Acceptor> acceptor(new Acceptor(std::move(greetings)));
  TRY_ASSIGN(acceptor->listener_,
             Listener::create(reactor, address, [user](int fd) { user->begin(fd); }));
  return acceptor;
}

Acceptor::Acceptor(std::unique_ptr<Greetings> greetings) : greetings_(std::move(greetings)) {}
Acceptor::~Acceptor() { listener_.reset(); }
void Acceptor::start() { listener_->start(); }
const SocketAddress& Acceptor::address() const { return listener_->address(); }
AcceptorCounters Acceptor::counters() const { return greetings_->counters; }

}  // namespace seawall::io
