// Loopback: nodes of one test in one thread: a network that carries encoded frames, a clock that is
// moved by hand, timers, blocking work and a control port that only notes.
//
// Life cycle: a test's; a Node may be destroyed (its process dies) and built again on its disks.
// Thread: one. The simulator's network is the one with faults; this one is as tame as possible.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "node/runtime/node_host.h"
#include "node/runtime/wire_header.h"
#include "wal/testing/mem_disk.h"

namespace seawall::testing {

class ManualClock final : public runtime::Clock {
 public:
  Instant now() const override { return now_; }
  void advance(Duration by) { now_ += by; }

 private:
  Instant now_{1000};
};

class ManualTimers final : public runtime::Timers {
 public:
  void wake_at(runtime::TimerUser& user, Instant at) override { armed_[&user] = at; }
  void cancel(runtime::TimerUser& user) override { armed_.erase(&user); }
  bool fire(Instant now);

 private:
  std::map<runtime::TimerUser*, Instant> armed_;
};

class QueuedBlocking final : public runtime::Blocking {
 public:
  bool held = false;  // what blocks does not begin
  void run(std::function<void()> work, std::function<void()> done) override {
    jobs_.push_back({std::move(work), std::move(done)});
  }
  bool run_one();

 private:
  struct Job {
    std::function<void()> work, done;
  };
  std::deque<Job> jobs_;
};

class NotedControl final : public control::ControlPort {
 public:
  void send(const control::FromNode& message) override { messages.push_back(message); }
  template <class T>
  std::vector<T> all() const {
    std::vector<T> found;
    for (const auto& message : messages) {
      if (const T* m = std::get_if<T>(&message)) found.push_back(*m);
    }
    return found;
  }
  std::vector<control::FromNode> messages;
};

class LoopbackTransport;

class LoopbackNetwork {
 public:
  void listen(const std::string& address, LoopbackTransport* transport);
  void forget(LoopbackTransport* transport);
  LoopbackTransport* find(const std::string& address);
  // Delivers one thing that is on its way; false: nothing is.
  bool deliver_one();
  void post(std::function<void()> delivery) { wire_.push_back(std::move(delivery)); }
  // Frames between the two are dropped, and their links end.
  void cut(const std::string& a, const std::string& b) { cut_.insert({a, b}); }
  void heal() { cut_.clear(); }
  bool is_cut(const std::string& a, const std::string& b) const {
    return cut_.contains({a, b}) || cut_.contains({b, a});
  }

 private:
  std::map<std::string, LoopbackTransport*> listeners_;
  std::deque<std::function<void()>> wire_;
  std::set<std::pair<std::string, std::string>> cut_;
};

// Encodes what it sends and checks what it receives, as a socket transport does.
class LoopbackTransport final : public runtime::Transport {
 public:
  using Accept = std::function<void(LinkId, const runtime::Frame&)>;

  LoopbackTransport(LoopbackNetwork& network, runtime::BufferPool& pool, std::string address);
  ~LoopbackTransport() override;
  void set_accept(Accept accept) { accept_ = std::move(accept); }

  LinkId dial(const runtime::Endpoint& endpoint, runtime::LinkUser& user) override;
  void adopt(LinkId link, runtime::LinkUser& user) override { links_.at(link).user = &user; }
  void send(LinkId link, const runtime::Frame& frame) override;
  std::size_t queued_bytes(LinkId) const override { return 0; }
  void close(LinkId link) override;
  std::size_t open_links() const { return links_.size(); }
  std::uint64_t links_ever() const { return last_link_; }
  // Links that are open to that address carry nothing any more, and nobody is told.
  void silence(const std::string& address);
  // Puts raw bytes on a link, as somebody else's program would.
  void send_bytes(LinkId link, std::vector<std::byte> bytes);

 private:
  struct Link {
    std::string peer_address;
    std::weak_ptr<LoopbackTransport*> peer;  // the process at the other end
    LinkId peer_link;
    runtime::LinkUser* user = nullptr;
    bool silent = false;
  };

  void arrive(LinkId link, const std::vector<std::byte>& bytes);
  void ended(LinkId link);
  void post_end(const Link& link);

  LoopbackNetwork& network_;
  runtime::BufferPool& pool_;
  std::string address_;
  std::shared_ptr<LoopbackTransport*> self_;
  Accept accept_;
  std::map<LinkId, Link> links_;
  std::uint64_t last_link_ = 0;
};

// The pool of one node: a MemDisk a replica; outlives the Node.
class MemDirectory final : public runtime::ReplicaDirectory {
 public:
  std::vector<runtime::ReplicaRecord> list() override;
  Status create(const runtime::ReplicaRecord& record, const wal::CreateOptions& options) override;
  Status remove(ReplicaId replica) override;
  wal::Disk& disk(ReplicaId replica) override { return *entries_.at(replica).disk; }
  void close(ReplicaId) override {}
  bool run_disks();
  void crash(Prng& prng);
  wal::MemDisk& mem_disk(ReplicaId replica) { return *entries_.at(replica).disk; }
  std::uint64_t boot = 1;  // of its machine: another one means that the power was gone

 private:
  struct Entry {
    runtime::ReplicaRecord record;
    std::unique_ptr<wal::MemDisk> disk;
  };
  std::map<ReplicaId, Entry> entries_;
};

// One process of the node daemon.
struct Node {
  Node(LoopbackNetwork& network, const ManualClock& clock, MemDirectory& directory, NodeId id,
       std::string address, std::uint64_t process_start, const CoreOptions& core = {});

  runtime::BufferPool pool;
  LoopbackTransport transport;
  ManualTimers timers;
  QueuedBlocking blocking;
  NotedControl control;
  std::unique_ptr<runtime::ShardScratch> scratch;
  runtime::Shard shard;
  MemDirectory& directory;
  std::string address;
  runtime::NodeHost host;

  // One round of everything that is due; false: nothing was.
  bool round(Instant now);
};

}  // namespace seawall::testing
