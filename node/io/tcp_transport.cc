#include "node/io/tcp_transport.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/base/check.h"

namespace seawall::io {
namespace {

using runtime::Frame;
using runtime::frame_header_bytes;

constexpr unsigned kIndexBits = 16;
constexpr unsigned kShardShift = 56;
constexpr Duration kParkedRetry{2};

}  // namespace

struct TcpTransport::Link final : StreamUser, runtime::TimerUser {
  Link(TcpTransport& owner, LinkId number) : transport(owner), id(number) {
    meta.reserve(runtime::frame_meta_max);
  }
  ~Link() override {
    transport.reactor_.cancel(*this);
    if (payload != no_slot) transport.pool_.unref(payload);
  }

  void on_readable(Stream&) override { transport.read_frames(id); }
  void on_end(Stream&, int) override { transport.lose(id); }
  void on_timer(Instant) override {  // the connect deadline
    ++transport.counters_.connect_failed;
    transport.lose(id);
  }

  TcpTransport& transport;
  const LinkId id;
  runtime::LinkUser* user = nullptr;
  std::unique_ptr<Stream> stream;
  RingOp* connecting = nullptr;
  std::optional<runtime::WireHeader> header;
  std::vector<std::byte> meta;   // of the frame whose payload is under way
  Slot payload = no_slot;
};

struct TcpTransport::Connecting {
  RingOp op;
  TcpTransport* transport = nullptr;
  LinkId link;
  SocketAddress to;
};

TcpTransport::TcpTransport(Reactor& reactor, runtime::BufferPool& pool, LinkGreeter& greeter,
                           const TransportOptions& options)
    : reactor_(reactor), pool_(pool), greeter_(greeter), options_(options) {
  CHECK(options.shard < 256);
}

TcpTransport::~TcpTransport() {
  close_all();
  reactor_.cancel(*this);
}

void TcpTransport::close_all() {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    if (links_[i] != nullptr) close(links_[i]->id);
  }
}

TcpTransport::Link* TcpTransport::find(LinkId id) const {
  const std::size_t index = id.value() & ((1U << kIndexBits) - 1);
  if (index >= links_.size()) return nullptr;
  Link* link = links_[index].get();
  return link != nullptr && link->id == id ? link : nullptr;
}

TcpTransport::Link& TcpTransport::make_link(int fd, runtime::LinkUser* user) {
  if (free_.empty()) {
    CHECK_MSG(links_.size() < (std::size_t{1} << kIndexBits), "links of a shard are bounded");
    links_.emplace_back();
    free_.push_back(links_.size() - 1);
  }
  const std::size_t index = free_.back();
  free_.pop_back();
  const LinkId id{(std::uint64_t{options_.shard} << kShardShift) | (++serial_ << kIndexBits) |
                  index};
  links_[index] = std::make_unique<Link>(*this, id);
  ++links_in_use_;
  Link& link = *links_[index];
  link.user = user;
  link.stream = std::make_unique<Stream>(reactor_, pool_, fd, link);
  return link;
}

std::unique_ptr<TcpTransport::Link> TcpTransport::remove(LinkId id) {
  const std::size_t index = id.value() & ((1U << kIndexBits) - 1);
  CHECK(find(id) != nullptr);
  std::unique_ptr<Link> link = std::move(links_[index]);
  free_.push_back(index);
  --links_in_use_;
  if (link->connecting != nullptr) {
    io_uring_sqe* sqe = reactor_.entry();
    io_uring_prep_cancel(sqe, link->connecting, 0);
    io_uring_sqe_set_data(sqe, nullptr);
  }
  return link;
}

// --- connecting ---

LinkId TcpTransport::dial(const runtime::Endpoint& endpoint, runtime::LinkUser& user) {
  ++counters_.dialed;
  auto* connecting = new Connecting;
  connecting->op = RingOp{&TcpTransport::on_connected, connecting};
  connecting->transport = this;
  const auto to = parse_address(endpoint.address);
  const SocketAddress* from = options_.source ? &*options_.source : nullptr;
  const Result<int> fd = to ? socket_for(*to, from) : Result<int>(to.error());
  if (!fd) {
    // A link that never had a socket ends like one that was refused, and never inside this call.
    const int stand_in = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_MSG(stand_in >= 0, "no descriptor is left for a link");
    Link& link = make_link(stand_in, &user);
    connecting->link = link.id;
    reactor_.defer(connecting->op, -EADDRNOTAVAIL);
    return link.id;
  }
  tune_socket(*fd, options_.user_timeout_ms);
  Link& link = make_link(*fd, &user);
  link.connecting = &connecting->op;
  connecting->link = link.id;
  connecting->to = *to;
  io_uring_sqe* sqe = reactor_.entry();
  io_uring_prep_connect(sqe, *fd, connecting->to.get(), connecting->to.length);
  reactor_.submit(sqe, connecting->op);
  reactor_.wake_at(link, reactor_.now() + options_.connect_deadline);
  return link.id;
}

void TcpTransport::on_connected(RingOp& op, std::int32_t result, std::uint32_t) {
  const std::unique_ptr<Connecting> connecting(static_cast<Connecting*>(op.owner));
  connecting->transport->finish_connect(connecting->link, result);
}

void TcpTransport::finish_connect(LinkId id, std::int32_t result) {
  Link* link = find(id);
  if (link == nullptr) return;
  link->connecting = nullptr;
  reactor_.cancel(*link);
  if (result < 0) {
    ++counters_.connect_failed;
    return lose(id);
  }
  ++counters_.connected;
  link->stream->start();
  link->user->on_connected(id);
}

void TcpTransport::take(AcceptedLink accepted) {
  const auto header = runtime::decode_header(std::span(accepted.header));
  CHECK_MSG(header.has_value(), "the acceptor checks the first frame");
  tune_socket(accepted.fd, options_.user_timeout_ms);
  Link& link = make_link(accepted.fd, nullptr);
  const LinkId id = link.id;
  ++counters_.accepted;
  ++counters_.frames_in;
  greeter_.on_first_frame(id, Frame{header->frame, accepted.meta, no_slot});
  Link* now = find(id);
  if (now == nullptr) return;
  if (now->user == nullptr) return close(id);  // nobody wanted it
  now->stream->start();
}

void TcpTransport::adopt(LinkId id, runtime::LinkUser& user) {
  if (Link* link = find(id); link != nullptr) link->user = &user;
}

void TcpTransport::close(LinkId id) {
  if (find(id) == nullptr) return;
  std::unique_ptr<Link> link = remove(id);
  // A refusal that was queued just now should still reach the peer.
  Stream::retire_after_send(std::move(link->stream), Duration{1'000});
  bury(std::move(link));
}

// The link ended by itself: its user hears of it, once.
void TcpTransport::lose(LinkId id) {
  if (find(id) == nullptr) return;
  std::unique_ptr<Link> link = remove(id);
  Stream::retire(std::move(link->stream));
  runtime::LinkUser* user = link->user;
  bury(std::move(link));
  if (user != nullptr) user->on_closed(id);
}

// The meta part that a user is looking at may live in the link that it closes.
void TcpTransport::bury(std::unique_ptr<Link> link) {
  if (reading_) buried_.push_back(std::move(link));
}

// --- sending ---

void TcpTransport::send(LinkId id, const Frame& frame) {
  Link* link = find(id);
  if (link == nullptr) return;
  Stream& stream = *link->stream;
  const std::size_t bytes = frame_header_bytes + frame.meta.size() + frame.header.payload_length;
  if (stream.queued_bytes() + bytes > options_.queue_bytes_max) {
    ++counters_.overrun;
    ::shutdown(stream.fd(), SHUT_RDWR);  // its send in flight fails, and the user hears of it
    return;
  }
  std::span<std::byte> room = stream.append(frame_header_bytes + frame.meta.size());
  runtime::encode_header(frame.header, frame.meta, room.first<frame_header_bytes>());
  if (!frame.meta.empty()) {
    std::memcpy(room.data() + frame_header_bytes, frame.meta.data(), frame.meta.size());
  }
  if (frame.header.payload_length > 0) {
    stream.append_payload(frame.payload, 0, frame.header.payload_length);
  }
  ++counters_.frames_out;
}

std::size_t TcpTransport::queued_bytes(LinkId id) const {
  const Link* link = find(id);
  return link != nullptr ? link->stream->queued_bytes() : 0;
}

// --- receiving ---

void TcpTransport::read_frames(LinkId id) {
  reading_ = true;
  Link* link = find(id);
  while (link != nullptr && read_step(*link)) link = find(id);
  reading_ = false;
  buried_.clear();
}

bool TcpTransport::fail(Link& link, std::uint64_t TransportCounters::*counter) {
  ++(counters_.*counter);
  lose(link.id);
  return false;
}

bool TcpTransport::read_step(Link& link) {
  Stream& stream = *link.stream;
  if (link.payload != no_slot) {
    if (stream.receiving()) return false;
    return deliver(link, link.meta);
  }
  const std::span<const std::byte> data = stream.unread();
  if (!link.header) {
    if (data.size() < frame_header_bytes) return false;
    const auto header = runtime::decode_header(data.first<frame_header_bytes>());
    if (!header) return fail(link, &TransportCounters::bad_header);
    if (!link.user->admits(link.id, header->frame.type)) {
      return fail(link, &TransportCounters::not_admitted);
    }
    link.header = *header;
  }
  const std::size_t meta_length = link.header->frame.meta_length;
  if (data.size() < frame_header_bytes + meta_length) return false;
  const auto meta = data.subspan(frame_header_bytes, meta_length);
  if (!runtime::check_meta(*link.header, meta)) return fail(link, &TransportCounters::bad_meta);
  if (link.header->frame.payload_length > 0) return begin_payload(link, meta);
  stream.consume(frame_header_bytes + meta_length);  // the bytes stay until the next receive
  return deliver(link, meta);
}

bool TcpTransport::begin_payload(Link& link, std::span<const std::byte> meta) {
  const std::size_t length = link.header->frame.payload_length;
  const Slot slot = pool_.take(length);
  if (slot == no_slot) {  // back-pressure: the frame is read again when there is room
    ++counters_.parked;
    link.stream->pause();
    parked_.push_back(link.id);
    reactor_.wake_at(*this, reactor_.now() + kParkedRetry);
    return false;
  }
  link.payload = slot;
  link.meta.assign(meta.begin(), meta.end());
  link.stream->consume(frame_header_bytes + meta.size());
  return link.stream->receive_into(slot, 0, length);
}

bool TcpTransport::deliver(Link& link, std::span<const std::byte> meta) {
  const Slot slot = link.payload;
  if (slot != no_slot && !runtime::check_payload(meta, pool_, slot)) {
    return fail(link, &TransportCounters::bad_payload);
  }
  const Frame frame{link.header->frame, meta, slot};
  link.header.reset();
  link.payload = no_slot;  // the receiver's reference from here on
  ++counters_.frames_in;
  CHECK(link.user != nullptr);
  link.user->on_frame(link.id, frame);
  return true;
}

void TcpTransport::retry_parked() {
  if (parked_.empty()) return;
  retrying_.swap(parked_);
  for (const LinkId id : retrying_) {
    if (Link* link = find(id); link != nullptr) link->stream->resume();
  }
  retrying_.clear();
}

void TcpTransport::on_timer(Instant) { retry_parked(); }

}  // namespace seawall::io
