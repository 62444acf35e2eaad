// runtime::Transport over TCP and unix sockets of one shard.
//
// Purpose: moves whole, verified frames. The header, then the meta part, is cut out of the link's
// receive buffer; a payload goes straight into a pool slot. Frames queued in one pass leave in one
// sendmsg, payloads from their slots. What does not verify, or is not admitted in the link's state,
// ends the link and is counted: the process lives.
// Life cycle: close every link, then drain the reactor, then destroy. Thread: the reactor's.
// Ownership: link users are borrowed until on_closed or close(); slots of frames that are queued or
// being received are referenced. A link that queues more than `queue_bytes_max` is dropped.
// Keep-alive is the protocol's heartbeat; the kernel only gets TCP_USER_TIMEOUT.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "node/io/acceptor.h"
#include "node/io/stream.h"
#include "node/runtime/ports.h"
#include "node/runtime/wire_header.h"

namespace seawall::io {

// Who takes accepted links: it calls adopt() or close() before it returns.
class LinkGreeter {
 public:
  virtual ~LinkGreeter() = default;
  virtual void on_first_frame(LinkId link, const runtime::Frame& frame) = 0;
};

struct TransportOptions {
  std::optional<SocketAddress> source;  // outgoing TCP leaves from this host
  Duration connect_deadline{5'000};
  unsigned user_timeout_ms = 10'000;
  std::size_t queue_bytes_max = 64 * 1024 * 1024;
  unsigned shard = 0;                   // part of link ids: they are unique in the process
};

struct TransportCounters {
  std::uint64_t dialed = 0, connected = 0, accepted = 0, closed_by_peer = 0, connect_failed = 0;
  std::uint64_t bad_header = 0, not_admitted = 0, bad_meta = 0, bad_payload = 0, overrun = 0;
  std::uint64_t parked = 0;  // times a link waited for a pool slot
  std::uint64_t frames_in = 0, frames_out = 0;
};

class TcpTransport final : public runtime::Transport, private runtime::TimerUser {
 public:
  TcpTransport(Reactor& reactor, runtime::BufferPool& pool, LinkGreeter& greeter,
               const TransportOptions& options);
  ~TcpTransport() override;

  LinkId dial(const runtime::Endpoint& endpoint, runtime::LinkUser& user) override;
  void adopt(LinkId link, runtime::LinkUser& user) override;
  void send(LinkId link, const runtime::Frame& frame) override;
  std::size_t queued_bytes(LinkId link) const override;
  void close(LinkId link) override;

  // Takes over a connection whose first frame the acceptor has read.
  void take(AcceptedLink accepted);
  // Ends every link without a word to its user: the users are gone.
  void close_all();
  // Retries links that wait for a pool slot; once a pass.
  void retry_parked();
  std::size_t links() const { return links_in_use_; }
  const TransportCounters& counters() const { return counters_; }

 private:
  struct Link;
  struct Connecting;

  Link* find(LinkId id) const;
  Link& make_link(int fd, runtime::LinkUser* user);
  void fail_later(LinkId id, int error);
  static void on_connected(RingOp& op, std::int32_t result, std::uint32_t flags);
  void finish_connect(LinkId id, std::int32_t result);
  void read_frames(LinkId id);
  // One step of the link's stream; false when there is nothing more to do now.
  bool read_step(Link& link);
  bool begin_payload(Link& link, std::span<const std::byte> meta);
  bool deliver(Link& link, std::span<const std::byte> meta);
  bool fail(Link& link, std::uint64_t TransportCounters::*counter);
  void lose(LinkId id);
  std::unique_ptr<Link> remove(LinkId id);
  void bury(std::unique_ptr<Link> link);
  void on_timer(Instant now) override;

  Reactor& reactor_;
  runtime::BufferPool& pool_;
  LinkGreeter& greeter_;
  const TransportOptions options_;
  std::vector<std::unique_ptr<Link>> links_;  // index: the low bits of a link id
  std::vector<std::size_t> free_;
  std::size_t links_in_use_ = 0;
  std::uint64_t serial_ = 0;
  std::vector<LinkId> parked_, retrying_;
  bool reading_ = false;
  std::vector<std::unique_ptr<Link>> buried_;  // closed while their frame was looked at
  TransportCounters counters_;
};

}  // namespace seawall::io
