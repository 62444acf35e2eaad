#include "sim/network.h"

#include <algorithm>
#include <cstring>

#include "engine/base/chain.h"
#include "engine/base/check.h"

namespace seawall::sim {
namespace {

constexpr Micros knock_again = 200 * ms;

// One wide multiplication for 16 bytes. No CRC: frames carry theirs, and a CRC over a CRC is a
// constant.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t load(std::span<const std::byte> bytes, std::size_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + at, 8);
  return word;
}

std::uint64_t digest(std::span<const std::byte> bytes) {
  constexpr std::uint64_t k = 0x9e3779b97f4a7c15ull;
  std::uint64_t one = bytes.size(), two = k;
  std::size_t at = 0;
  for (; at + 32 <= bytes.size(); at += 32) {
    one = fold(load(bytes, at) ^ one, load(bytes, at + 8) ^ k);
    two = fold(load(bytes, at + 16) ^ two, load(bytes, at + 24) ^ k);
  }
  std::uint64_t hash = mix64(one, two);
  for (; at < bytes.size(); ++at) hash = hash * 31 + std::to_integer<std::uint64_t>(bytes[at]);
  return hash;
}

}  // namespace

Network::Network(Scheduler& scheduler, Trace& trace, Prng prng)
    : scheduler_(scheduler), trace_(trace), prng_(prng) {}

Network::~Network() = default;

void Network::trace(What what, NodeNumber node, std::uint64_t a, std::uint64_t b, std::uint64_t c,
                    std::uint64_t d) {
  trace_.add(TraceRecord{scheduler_.now(), what, node, a, b, c, d});
}

// --- the shape of the network ---

void Network::set_address(NodeNumber node, const std::string& address) {
  hosts_[node].address = address;
}

void Network::set_powered(NodeNumber node, bool powered) {
  hosts_[node].powered = powered;
  if (!powered) return;
  for (const auto& [from, host] : hosts_) unstall(from, node);
}

bool Network::held(NodeNumber from, NodeNumber to) const { return held_.contains({from, to}); }

bool Network::passes(NodeNumber from, NodeNumber to) const {
  return !held(from, to) && hosts_.at(to).powered;
}

void Network::hold(NodeNumber from, NodeNumber to) {
  if (from == to) return;
  if (held_.insert({from, to}).second) trace(What::partition, 0, from, to);
}

void Network::release(NodeNumber from, NodeNumber to) {
  if (held_.erase({from, to}) == 0) return;
  trace(What::heal, 0, from, to);
  unstall(from, to);
}

void Network::release_all() {
  const auto held = held_;
  for (const auto& [from, to] : held) release(from, to);
}

bool Network::reset_one(NodeNumber a, NodeNumber b) {
  std::vector<std::uint64_t> between;
  for (const auto& [id, stream] : streams_) {
    const NodeNumber x = stream->ends[0].node;
    const NodeNumber y = stream->ends[1].node;
    if ((x == a && y == b) || (x == b && y == a)) between.push_back(id);
  }
  if (between.empty()) return false;
  Stream& stream = *streams_.at(prng_.pick(between));
  trace(What::reset, 0, stream.id, stream.out[0].wire_bytes + stream.out[1].wire_bytes);
  ++stats_.resets;
  for (Direction& direction : stream.out) {
    direction.wire.clear();
    direction.wire_bytes = 0;
  }
  end_side(stream, 0, 0);
  end_side(stream, 1, 0);
  return true;
}

std::size_t Network::open_streams() const { return streams_.size(); }

Network::Stream* Network::find(std::uint64_t id) {
  const auto it = streams_.find(id);
  return it == streams_.end() ? nullptr : it->second.get();
}

Micros Network::draw_latency() {
  Micros latency = prng_.range(options_.latency_min, options_.latency_max);
  if (prng_.chance(options_.spike)) latency += prng_.below(options_.spike_max + 1);
  return latency;
}

// --- connecting ---

void Network::knock(std::uint64_t id, NodeNumber to, Micros give_up) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->ends[0].transport == nullptr) return;
  const NodeNumber from = stream->ends[0].node;
  if (!passes(from, to) || !passes(to, from)) {
    if (scheduler_.now() >= give_up) {
      end_side(*stream, 0, 0);
    } else {
      scheduler_.after(knock_again, world, [this, id, to, give_up] { knock(id, to, give_up); });
    }
    return;
  }
  NodeTransport* listener = hosts_.at(to).listener;
  if (listener == nullptr) {
    end_side(*stream, 0, draw_latency());  // refused
    return;
  }
  End& accepted = stream->ends[1];
  accepted.node = to;
  accepted.transport = listener;
  accepted.owner = listener->owner_;
  accepted.connected = true;
  accepted.link = listener->new_link(id, 1);
  trace(What::accept, to, id, from);
  scheduler_.after(draw_latency(), stream->ends[0].owner, [this, id] {
    Stream* s = find(id);
    if (s == nullptr || s->ends[0].transport == nullptr || s->ends[0].closing) return;
    End& end = s->ends[0];
    end.connected = true;
    trace(What::connected, end.node, id, s->ends[1].node);
    const LinkId link = end.link;
    end.user->on_connected(link);
    if (find(id) != nullptr) transmit(id, 0);  // what was queued before
  });
}

// --- sending ---

void Network::transmit(std::uint64_t id, int side) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->ends[side].transport == nullptr) return;
  if (!stream->ends[side].connected || !scheduler_.alive(stream->ends[side].owner)) return;
  Direction& out = stream->out[side];
  out.sending = false;
  runtime::BufferPool& pool = stream->ends[side].transport->pool_;
  std::vector<std::byte> bytes;
  while (!out.queued.empty() && out.wire_bytes + bytes.size() < options_.socket_buffer_bytes) {
    Queued frame = std::move(out.queued.front());
    out.queued.pop_front();
    out.queued_bytes -= frame.bytes;
    const std::size_t at = bytes.size();
    bytes.resize(at + frame.bytes);
    std::span<std::byte> into(bytes.data() + at, frame.bytes);
    runtime::encode_header(frame.header, frame.meta, into.first<runtime::frame_header_bytes>());
    into = into.subspan(runtime::frame_header_bytes);
    std::copy(frame.meta.begin(), frame.meta.end(), into.begin());
    if (frame.payload != no_slot) {
      const auto payload = pool.bytes(frame.payload).first(frame.header.payload_length);
      std::copy(payload.begin(), payload.end(), into.begin() + frame.header.meta_length);
      pool.unref(frame.payload);
    }
    if (!trace_.enumerated()) continue;
    trace(What::frame_leaves, stream->ends[side].node, id,
          static_cast<std::uint64_t>(frame.header.type), frame.header.sequence);
    if (!scheduler_.alive(stream->ends[side].owner)) break;  // it died behind this frame
  }
  if (!bytes.empty()) put_on_wire(*stream, side, std::move(bytes), false);
}

void Network::put_on_wire(Stream& stream, int side, std::vector<std::byte> bytes, bool last) {
  Direction& out = stream.out[side];
  Micros due = out.wire.empty() ? scheduler_.now() : out.wire.back().due;
  const Micros extra = hosts_[stream.ends[0].node].extra + hosts_[stream.ends[1].node].extra;
  std::size_t at = 0;
  do {
    Chunk chunk;
    const std::size_t left = bytes.size() - at;
    const std::size_t length =
        std::min<std::size_t>(left, 1 + prng_.below(options_.chunk_bytes_max));
    chunk.bytes.assign(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                       bytes.begin() + static_cast<std::ptrdiff_t>(at + length));
    at += length;
    due = std::max(due, scheduler_.now() + draw_latency() + extra);
    chunk.due = due;
    chunk.last = last;
    chunk.cut = length > 0 && prng_.chance(options_.cut);
    if (chunk.cut) chunk.bytes.resize(prng_.below(length + 1));
    if (!chunk.bytes.empty() && prng_.chance(options_.flip)) {
      ++stats_.flips;
      chunk.bytes[prng_.below(chunk.bytes.size())] ^= static_cast<std::byte>(1u << prng_.below(8));
    }
    out.wire_bytes += chunk.bytes.size();
    out.wire.push_back(std::move(chunk));
  } while (at < bytes.size());
  schedule_arrival(stream, side);
}

void Network::schedule_arrival(Stream& stream, int side) {
  Direction& out = stream.out[side];
  if (out.arriving || out.stalled || out.wire.empty()) return;
  out.arriving = true;
  const Micros due = std::max(out.wire.front().due, scheduler_.now());
  scheduler_.at(due, world, [this, id = stream.id, side] { arrive(id, side); });
}

void Network::arrive(std::uint64_t id, int side) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  Direction& out = stream->out[side];
  out.arriving = false;
  if (out.wire.empty()) return;
  const int receiver = 1 - side;
  End& to = stream->ends[receiver];
  if (!passes(stream->ends[side].node, to.node)) {
    stall(*stream, side);
    return;
  }
  Chunk chunk = std::move(out.wire.front());
  out.wire.pop_front();
  out.wire_bytes -= chunk.bytes.size();
  stats_.bytes += chunk.bytes.size();
  hosts_[to.node].bytes += chunk.bytes.size();
  trace(What::bytes, to.node, id, static_cast<std::uint64_t>(side), chunk.bytes.size(),
        digest(chunk.bytes));
  if (to.transport == nullptr) {
    // Nobody is there any more: the kernel answers with a reset, if the answer gets through.
    if (passes(to.node, stream->ends[side].node)) end_side(*stream, side, draw_latency());
  } else {
    out.inbox.insert(out.inbox.end(), chunk.bytes.begin(), chunk.bytes.end());
    if (chunk.last || chunk.cut) out.ended = true;
    schedule_parse(*stream, receiver);
  }
  if (chunk.cut) {
    ++stats_.resets;
    trace(What::reset, 0, id, out.wire_bytes);
    out.wire.clear();
    out.wire_bytes = 0;
    end_side(*stream, side, draw_latency());
  }
  if (!out.queued.empty() && !out.sending && stream->ends[side].transport != nullptr) {
    out.sending = true;
    scheduler_.after(0, stream->ends[side].owner, [this, id, side] { transmit(id, side); });
  }
  schedule_arrival(*stream, side);
  forget_if_done(id);
}

void Network::stall(Stream& stream, int side) {
  Direction& out = stream.out[side];
  out.stalled = true;
  const std::uint64_t number = ++out.stall;
  ++stats_.held;
  // The sender's kernel repeats for a while, then gives up; only the sender learns of it.
  const Micros patience = options_.user_timeout / 2 + prng_.below(options_.user_timeout);
  scheduler_.after(patience, world, [this, id = stream.id, side, number] {
    Stream* s = find(id);
    if (s == nullptr) return;
    Direction& direction = s->out[side];
    if (!direction.stalled || direction.stall != number) return;
    direction.wire.clear();
    direction.wire_bytes = 0;
    direction.stalled = false;
    end_side(*s, side, 0);
    forget_if_done(id);
  });
}

void Network::unstall(NodeNumber from, NodeNumber to) {
  if (!passes(from, to)) return;
  for (auto& [id, stream] : streams_) {
    for (int side = 0; side < 2; ++side) {
      if (stream->ends[side].node != from || stream->ends[1 - side].node != to) continue;
      Direction& out = stream->out[side];
      if (!out.stalled) continue;
      out.stalled = false;
      Micros due = scheduler_.now() + prng_.below(100 * ms);
      for (Chunk& chunk : out.wire) due = chunk.due = std::max(due, chunk.due);
      schedule_arrival(*stream, side);
    }
  }
}

// --- receiving ---

void Network::schedule_parse(Stream& stream, int receiver) {
  Direction& in = stream.out[1 - receiver];
  if (in.parsing || stream.ends[receiver].transport == nullptr) return;
  in.parsing = true;
  scheduler_.after(0, stream.ends[receiver].owner,
                   [this, id = stream.id, receiver] { parse(id, receiver); });
}

void Network::parse(std::uint64_t id, int receiver) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->out[1 - receiver].parsing = false;
  while (stream->ends[receiver].transport != nullptr && !stream->ends[receiver].closing) {
    if (!deliver_one(*stream, receiver)) break;
    stream = find(id);
    if (stream == nullptr) return;
  }
  if (stream->ends[receiver].transport == nullptr) return;
  Direction& in = stream->out[1 - receiver];
  in.inbox.erase(in.inbox.begin(), in.inbox.begin() + static_cast<std::ptrdiff_t>(in.inbox_at));
  in.inbox_at = 0;
  if (in.ended && !in.parsing) end_side(*stream, receiver, 0);
}

// One whole frame, if it is there. False: no more for now.
bool Network::deliver_one(Stream& stream, int receiver) {
  End& end = stream.ends[receiver];
  Direction& in = stream.out[1 - receiver];
  const std::span<const std::byte> unread = std::span(in.inbox).subspan(in.inbox_at);
  if (unread.size() < runtime::frame_header_bytes) return false;
  const auto header = runtime::decode_header(unread.first<runtime::frame_header_bytes>());
  if (!header.has_value()) {
    end_side(stream, receiver, 0);
    return false;
  }
  const runtime::FrameHeader& frame_header = header->frame;
  const bool admitted = end.user != nullptr
                            ? end.user->admits(end.link, frame_header.type)
                            : runtime::admits(runtime::LinkState::fresh, frame_header.type);
  if (!admitted) {
    end_side(stream, receiver, 0);
    return false;
  }
  const std::size_t length =
      runtime::frame_header_bytes + frame_header.meta_length + frame_header.payload_length;
  if (unread.size() < length) return false;
  const std::vector<std::byte> meta(
      unread.begin() + runtime::frame_header_bytes,
      unread.begin() + runtime::frame_header_bytes + frame_header.meta_length);
  if (!runtime::check_meta(*header, meta).has_value()) {
    end_side(stream, receiver, 0);
    return false;
  }
  runtime::Frame frame{frame_header, meta, no_slot};
  runtime::BufferPool& pool = end.transport->pool_;
  if (frame_header.payload_length > 0) {
    frame.payload = pool.take(frame_header.payload_length);
    if (frame.payload == no_slot) {  // back-pressure: the socket stays unread for a while
      in.parsing = true;
      scheduler_.after(ms, end.owner, [this, id = stream.id, receiver] { parse(id, receiver); });
      return false;
    }
    const auto payload = unread.subspan(runtime::frame_header_bytes + frame_header.meta_length,
                                        frame_header.payload_length);
    std::copy(payload.begin(), payload.end(), pool.bytes(frame.payload).begin());
    if (!runtime::check_payload(meta, pool, frame.payload).has_value()) {
      pool.unref(frame.payload);
      end_side(stream, receiver, 0);
      return false;
    }
  }
  in.inbox_at += length;
  ++stats_.frames;
  trace(What::frame, end.node, stream.id, static_cast<std::uint64_t>(frame_header.type),
        frame_header.sequence, length);
  const std::uint64_t id = stream.id;
  const LinkId link = end.link;
  if (end.user != nullptr) {
    end.user->on_frame(link, frame);
    return true;
  }
  NodeTransport& transport = *end.transport;
  CHECK(transport.acceptor_ != nullptr);
  transport.acceptor_(link, frame);
  Stream* after = find(id);
  if (after != nullptr && after->ends[receiver].transport != nullptr &&
      after->ends[receiver].user == nullptr) {
    transport.close(link);  // nobody wanted it
  }
  return true;
}

// --- ending ---

// The kernel of this side gives the link up: its user is told, unless it closes first.
void Network::end_side(Stream& stream, int side, Micros delay) {
  End& end = stream.ends[side];
  if (end.transport == nullptr || end.closing) return;
  end.closing = true;
  scheduler_.after(delay, end.owner, [this, id = stream.id, side] { tell_closed(id, side); });
}

void Network::tell_closed(std::uint64_t id, int side) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->ends[side].transport == nullptr) return;
  End end = stream->ends[side];
  trace(What::link_closed, end.node, id);
  close_end(*stream, side, true);
  if (end.user != nullptr) end.user->on_closed(end.link);
}

// Takes one end out of its process. What has left it is still on its way.
void Network::close_end(Stream& stream, int side, bool say_goodbye) {
  End& end = stream.ends[side];
  CHECK(end.transport != nullptr);
  Direction& out = stream.out[side];
  for (const Queued& frame : out.queued) {
    if (frame.payload != no_slot) end.transport->pool_.unref(frame.payload);
  }
  out.queued.clear();
  out.queued_bytes = 0;
  end.transport->links_.erase(end.link);
  end.transport = nullptr;
  end.user = nullptr;
  if (say_goodbye && stream.ends[1 - side].node != 0) put_on_wire(stream, side, {}, true);
  forget_if_done(stream.id);
}

void Network::forget_if_done(std::uint64_t id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  for (int side = 0; side < 2; ++side) {
    if (stream->ends[side].transport != nullptr) return;
    if (!stream->out[side].wire.empty() && stream->ends[1 - side].transport != nullptr) return;
  }
  // Nobody holds an end: what is still on its way reaches nobody.
  streams_.erase(id);
}

// --- the transport of a process ---

NodeTransport::NodeTransport(Network& network, NodeNumber node, Owner owner,
                             runtime::BufferPool& pool)
    : network_(network), node_(node), owner_(owner), pool_(pool) {}

NodeTransport::~NodeTransport() { CHECK(dead_); }

void NodeTransport::listen(Acceptor acceptor) {
  acceptor_ = std::move(acceptor);
  network_.hosts_[node_].listener = this;
}

void NodeTransport::die(bool power_lost) {
  CHECK(!dead_);
  dead_ = true;
  if (network_.hosts_[node_].listener == this) network_.hosts_[node_].listener = nullptr;
  const auto links = links_;
  for (const auto& [link, place] : links) {
    Network::Stream* stream = network_.find(place.stream);
    CHECK(stream != nullptr);
    network_.close_end(*stream, place.side, !power_lost);
  }
  CHECK(links_.empty());
}

LinkId NodeTransport::new_link(std::uint64_t stream, int side) {
  const LinkId link{++last_link_};
  links_[link] = Place{stream, side};
  return link;
}

LinkId NodeTransport::dial(const runtime::Endpoint& endpoint, runtime::LinkUser& user) {
  CHECK(!dead_);
  ++network_.stats_.dials;
  const std::uint64_t id = ++network_.last_stream_;
  auto stream = std::make_unique<Network::Stream>();
  stream->id = id;
  Network::End& end = stream->ends[0];
  end.node = node_;
  end.transport = this;
  end.owner = owner_;
  end.user = &user;
  end.link = new_link(id, 0);
  const LinkId link = end.link;
  Network::Stream& placed = *(network_.streams_[id] = std::move(stream));
  NodeNumber to = 0;
  for (const auto& [number, host] : network_.hosts_) {
    if (host.address == endpoint.address) to = number;
  }
  network_.trace(What::dial, node_, id, to);
  if (to == 0) {
    network_.end_side(placed, 0, network_.draw_latency());
    return link;
  }
  const Micros give_up = network_.scheduler_.now() + network_.options_.connect_timeout;
  network_.scheduler_.after(network_.draw_latency(), world, [network = &network_, id, to, give_up] {
    network->knock(id, to, give_up);
  });
  return link;
}

void NodeTransport::adopt(LinkId link, runtime::LinkUser& user) {
  const auto it = links_.find(link);
  CHECK(it != links_.end());
  network_.find(it->second.stream)->ends[it->second.side].user = &user;
}

void NodeTransport::send(LinkId link, const runtime::Frame& frame) {
  const auto it = links_.find(link);
  if (it == links_.end()) return;
  Network::Stream& stream = *network_.find(it->second.stream);
  const int side = it->second.side;
  CHECK(frame.header.meta_length == frame.meta.size());
  Network::Direction& out = stream.out[side];
  Network::Queued queued;
  queued.header = frame.header;
  queued.meta.assign(frame.meta.begin(), frame.meta.end());
  queued.payload = frame.payload;
  queued.bytes = runtime::frame_header_bytes + frame.meta.size() + frame.header.payload_length;
  if (frame.payload != no_slot) pool_.ref(frame.payload);
  network_.trace(What::frame_sent, node_, stream.id, static_cast<std::uint64_t>(frame.header.type),
                 frame.header.sequence, queued.bytes);
  out.queued_bytes += queued.bytes;
  out.queued.push_back(std::move(queued));
  if (out.sending || out.stalled || !stream.ends[side].connected) return;
  out.sending = true;
  network_.scheduler_.after(
      0, owner_, [network = &network_, id = stream.id, side] { network->transmit(id, side); });
}

std::size_t NodeTransport::queued_bytes(LinkId link) const {
  const auto it = links_.find(link);
  if (it == links_.end()) return 0;
  return network_.find(it->second.stream)->out[it->second.side].queued_bytes;
}

std::size_t NodeTransport::greatest_queue() const {
  std::size_t greatest = 0;
  for (const auto& [link, place] : links_) greatest = std::max(greatest, queued_bytes(link));
  return greatest;
}

void NodeTransport::close(LinkId link) {
  const auto it = links_.find(link);
  if (it == links_.end()) return;
  const Network::Stream* stream = network_.find(it->second.stream);
  if (!network_.scheduler_.alive(owner_)) return;  // die() follows
  // What this turn queued leaves with the goodbye, as shutdown() after a last send does.
  network_.transmit(stream->id, it->second.side);
  Network::Stream* after = network_.find(it->second.stream);
  network_.close_end(*after, it->second.side, true);
}

}  // namespace seawall::sim
