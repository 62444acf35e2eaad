#include "tests/support/loopback.h"

#include <cstring>

namespace seawall::testing {

using runtime::Frame;

bool ManualTimers::fire(Instant now) {
  for (const auto& [user, at] : armed_) {
    if (at > now) continue;
    runtime::TimerUser* due = user;
    armed_.erase(due);
    due->on_timer(now);
    return true;
  }
  return false;
}

bool QueuedBlocking::run_one() {
  if (held || jobs_.empty()) return false;
  Job job = std::move(jobs_.front());
  jobs_.pop_front();
  job.work();
  job.done();
  return true;
}

// --- network ---

void LoopbackNetwork::listen(const std::string& address, LoopbackTransport* transport) {
  listeners_[address] = transport;
}

void LoopbackNetwork::forget(LoopbackTransport* transport) {
  std::erase_if(listeners_, [&](const auto& entry) { return entry.second == transport; });
}

LoopbackTransport* LoopbackNetwork::find(const std::string& address) {
  const auto found = listeners_.find(address);
  return found == listeners_.end() ? nullptr : found->second;
}

bool LoopbackNetwork::deliver_one() {
  if (wire_.empty()) return false;
  const std::function<void()> delivery = std::move(wire_.front());
  wire_.pop_front();
  delivery();
  return true;
}

LoopbackTransport::LoopbackTransport(LoopbackNetwork& network, runtime::BufferPool& pool,
                                     std::string address)
    : network_(network),
      pool_(pool),
      address_(std::move(address)),
      self_(std::make_shared<LoopbackTransport*>(this)) {
  network_.listen(address_, this);
}

LoopbackTransport::~LoopbackTransport() {
  network_.forget(this);
  for (const auto& [id, link] : links_) post_end(link);
}

LinkId LoopbackTransport::dial(const runtime::Endpoint& endpoint, runtime::LinkUser& user) {
  const LinkId id{++last_link_};
  links_[id] = Link{endpoint.address, {}, {}, &user};
  network_.post([this, weak = std::weak_ptr(self_), id, address = endpoint.address] {
    if (weak.expired() || !links_.contains(id)) return;
    LoopbackTransport* peer = network_.find(address);
    if (peer == nullptr || network_.is_cut(address_, address)) return ended(id);
    const LinkId there{++peer->last_link_};
    peer->links_[there] = Link{address_, self_, id, nullptr};
    links_[id].peer = peer->self_;
    links_[id].peer_link = there;
    links_[id].user->on_connected(id);
  });
  return id;
}

void LoopbackTransport::send(LinkId id, const Frame& frame) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  std::vector<std::byte> bytes(runtime::frame_header_bytes);
  runtime::encode_header(frame.header, frame.meta,
                         std::span<std::byte, runtime::frame_header_bytes>(bytes));
  bytes.insert(bytes.end(), frame.meta.begin(), frame.meta.end());
  if (frame.payload != no_slot) {
    const auto payload = pool_.bytes(frame.payload);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
  }
  send_bytes(id, std::move(bytes));
}

void LoopbackTransport::send_bytes(LinkId id, std::vector<std::byte> bytes) {
  const Link link = links_.at(id);
  if (link.silent) return;
  network_.post([this, weak = std::weak_ptr(self_), id, link, bytes = std::move(bytes)] {
    const auto peer = link.peer.lock();
    if (peer == nullptr) return;
    if (network_.is_cut(address_, link.peer_address)) {
      (*peer)->ended(link.peer_link);
      if (!weak.expired()) ended(id);
      return;
    }
    (*peer)->arrive(link.peer_link, bytes);
  });
}

void LoopbackTransport::arrive(LinkId id, const std::vector<std::byte>& bytes) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  const std::span<const std::byte> all(bytes);
  const auto garbage = [&] {
    post_end(found->second);
    ended(id);
  };
  if (all.size() < runtime::frame_header_bytes) return garbage();
  const auto header = runtime::decode_header(all.first<runtime::frame_header_bytes>());
  if (!header.has_value()) return garbage();
  runtime::LinkUser* user = found->second.user;
  if (user != nullptr && !user->admits(id, header->frame.type)) return garbage();
  const auto meta = all.subspan(runtime::frame_header_bytes, header->frame.meta_length);
  if (!runtime::check_meta(*header, meta).has_value()) return garbage();
  Frame frame{header->frame, meta, no_slot};
  if (header->frame.payload_length > 0) {
    const auto payload = all.subspan(runtime::frame_header_bytes + meta.size());
    frame.payload = pool_.take(payload.size());
    CHECK(frame.payload != no_slot);
    std::memcpy(pool_.bytes(frame.payload).data(), payload.data(), payload.size());
    if (!runtime::check_payload(meta, pool_, frame.payload).has_value()) {
      pool_.unref(frame.payload);
      return garbage();
    }
  }
  if (user != nullptr) return user->on_frame(id, frame);
  accept_(id, frame);
}

void LoopbackTransport::silence(const std::string& address) {
  for (auto& [id, link] : links_) link.silent = link.silent || link.peer_address == address;
}

void LoopbackTransport::post_end(const Link& link) {
  if (link.silent) return;
  network_.post([peer = link.peer, peer_link = link.peer_link] {
    if (const auto alive = peer.lock()) (*alive)->ended(peer_link);
  });
}

void LoopbackTransport::ended(LinkId id) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  runtime::LinkUser* user = found->second.user;
  links_.erase(found);
  if (user != nullptr) user->on_closed(id);
}

void LoopbackTransport::close(LinkId id) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  post_end(found->second);
  links_.erase(found);
}

// --- pool ---

std::vector<runtime::ReplicaRecord> MemDirectory::list() {
  std::vector<runtime::ReplicaRecord> records;
  for (const auto& [id, entry] : entries_) records.push_back(entry.record);
  return records;
}

Status MemDirectory::create(const runtime::ReplicaRecord& record,
                            const wal::CreateOptions& options) {
  auto disk = std::make_unique<wal::MemDisk>();
  TRY(wal::Store::create_blocking(*disk, options));
  entries_[record.replica] = Entry{record, std::move(disk)};
  return ok();
}

Status MemDirectory::remove(ReplicaId replica) {
  return entries_.erase(replica) == 1 ? ok() : Status(Errc::not_found);
}

bool MemDirectory::run_disks() {
  bool any = false;
  for (auto& [id, entry] : entries_) any = entry.disk->run_all() > 0 || any;
  return any;
}

void MemDirectory::crash(Prng& prng) {
  for (auto& [id, entry] : entries_) entry.disk->crash_process(prng);
}

// --- node ---

Node::Node(LoopbackNetwork& network, const ManualClock& clock, MemDirectory& pool_directory,
           NodeId id, std::string at, std::uint64_t process_start,
           const CoreOptions& core)
    : pool(64 * 1024 * 1024),
      transport(network, pool, at),
      scratch(std::make_unique<runtime::ShardScratch>()),
      shard{clock, transport, timers, blocking, control, pool, *scratch},
      directory(pool_directory),
      address(at),
      host(shard, directory, [&] {
        runtime::NodeHostOptions options;
        options.node = id;
        options.name = at;
        options.data_address = at;
        options.process_start = ProcessStart{process_start};
        options.boot = {1, directory.boot};
        options.core = core;
        return options;
      }()) {
  transport.set_accept(
      [this](LinkId link, const Frame& frame) { host.on_accepted(link, frame); });
  host.start();
}

bool Node::round(Instant now) {
  bool any = blocking.run_one();
  any = directory.run_disks() || any;
  while (timers.fire(now)) any = true;
  host.turn(now);
  return any;
}

}  // namespace seawall::testing
