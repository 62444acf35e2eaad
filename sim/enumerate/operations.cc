#include "sim/enumerate/operations.h"

#include <array>
#include <memory>
#include <optional>

namespace seawall::sim {
namespace {

constexpr Micros answer_limit = 5 * seconds;
constexpr Micros recovery_limit = 30 * seconds;
constexpr std::uint64_t extent = limits::extent_bytes / limits::block_bytes;

RunOptions base_options() {
  RunOptions options;
  options.seed = 4;
  options.timer_lateness_max = 1 * ms;
  options.blocking_max = 2 * ms;
  options.workload.volume_blocks = 128;
  options.workload.queue_depth = 32;
  return options;
}

RunOptions large_log() {
  RunOptions options = base_options();
  options.log_bytes = 8 << 20;
  return options;
}

RunOptions spare_node() {
  RunOptions options = base_options();
  options.nodes = 4;
  return options;
}

// The hands of a script.
class Hands {
 public:
  Hands(Scene& scene, SceneDone& done) : scene_(scene), done_(done) {}

  // --- who is who ---
  [[nodiscard]] const controller::VolumeRecord* record() const {
    return scene_.cluster.controller().volume(scene_.cluster.volume(0).id());
  }
  [[nodiscard]] NodeNumber primary() const {
    for (const controller::ReplicaRecord& each : record()->replicas) {
      if (each.id == record()->primary) return static_cast<NodeNumber>(each.node.value());
    }
    return 1;
  }
  [[nodiscard]] NodeNumber follower(int n) const {
    for (const controller::ReplicaRecord& each : record()->replicas) {
      if (each.id != record()->primary && --n == 0)
        return static_cast<NodeNumber>(each.node.value());
    }
    return 2;
  }
  [[nodiscard]] std::uint64_t trimmed(NodeNumber node) const {
    const Process* process = scene_.cluster.process(node);
    if (process == nullptr) return 0;
    for (const ReplicaStatus& status : process->host().statuses()) {
      return status.marks.trimmed.value();
    }
    return 0;
  }

  // --- the scene ---
  void begin() {
    before_ = now();
    mark(1);
  }
  void end() {
    mark(0);
    const SceneDone after = now();
    done_.failovers = after.failovers - before_.failovers;
    done_.rewinds = after.rewinds - before_.rewinds;
    done_.catch_ups = after.catch_ups - before_.catch_ups;
    done_.rebuilds = after.rebuilds - before_.rebuilds;
    done_.deltas = after.deltas - before_.deltas;
    done_.trimmed = after.trimmed - before_.trimmed;
    done_.writes = after.writes - before_.writes;
    done_.flushes = after.flushes - before_.flushes;
  }

  // --- time ---
  void run(Micros time) { scene_.until([] { return false; }, time); }
  bool until(const std::function<bool()>& done, Micros limit = recovery_limit) {
    return scene_.until(done, limit);
  }
  bool until_in_sync() {
    return until([this] { return scene_.cluster.what_is_not_in_sync().empty(); });
  }

  // --- the client: nobody may be there to take it ---
  void ask(ClientOp kind, std::uint64_t lba = 0, std::uint64_t blocks = 1, bool fua = false) {
    IoRequest request;
    request.kind = kind;
    request.lba = lba;
    request.blocks = kind == ClientOp::flush ? 0 : blocks;
    request.fua = fua;
    static_cast<void>(scene_.workload.submit(request, [](bool) {}));
  }
  void write(std::uint64_t lba, std::uint64_t blocks = 1, bool fua = false) {
    ask(ClientOp::write, lba, blocks, fua);
  }
  // Until every request has its answer, and somebody is there to be asked.
  void answers() {
    until([this] { return scene_.workload.idle() && scene_.workload.has_client(); }, answer_limit);
  }
  void fill(std::uint64_t from, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      write(from + i);
      if (i % 8 == 7) answers();
    }
    answers();
  }
  void flush() {
    ask(ClientOp::flush);
    answers();
  }

  // --- machines ---
  void crash(NodeNumber node) { scene_.cluster.crash(node); }
  void start(NodeNumber node) {
    if (!scene_.cluster.running(node)) scene_.cluster.start(node);
  }
  // The log of whoever is left goes on without `away`: its place in it is given up.
  void let_the_log_go(NodeNumber away) {
    const NodeNumber old = primary();
    crash(old);
    run(500 * ms);
    start(old);
    until([this, old] { return primary() != old || serves(old); });
    run(6 * seconds);
    const std::uint64_t end = last_lsn(away);
    for (int round = 0; round < 100 && trimmed(primary()) <= end; ++round) {
      fill(16, 32);
      flush();
    }
  }
  void remember_end(NodeNumber node) { end_of_[node] = written(node); }
  [[nodiscard]] bool serves(NodeNumber node) const {
    const Process* process = scene_.cluster.process(node);
    if (process == nullptr) return false;
    for (const ReplicaStatus& status : process->host().statuses()) return status.serving;
    return false;
  }
  void request(controller::Request request) {
    scene_.cluster.controller().ask(std::move(request), [](const controller::Answer&) {});
  }
  [[nodiscard]] const std::string& volume() const { return scene_.cluster.volume(0).name(); }

 private:
  [[nodiscard]] std::uint64_t written(NodeNumber node) const {
    const Process* process = scene_.cluster.process(node);
    if (process == nullptr) return 0;
    for (const ReplicaStatus& status : process->host().statuses()) {
      return status.marks.written.value();
    }
    return 0;
  }
  [[nodiscard]] std::uint64_t last_lsn(NodeNumber node) const {
    const auto found = end_of_.find(node);
    return found == end_of_.end() ? 0 : found->second;
  }
  void mark(std::uint64_t begins) {
    scene_.trace.boundary(TraceRecord{scene_.scheduler.now(), What::scene, 0, begins});
  }
  [[nodiscard]] SceneDone now() const {
    SceneDone now;
    now.failovers = scene_.cluster.failovers();
    now.rewinds = scene_.cluster.recoveries().rewinds;
    now.catch_ups = scene_.cluster.recoveries().catch_ups;
    now.rebuilds = scene_.cluster.recoveries().rebuilds;
    now.deltas = scene_.cluster.recoveries().deltas;
    now.trimmed = trimmed(primary());
    now.writes = scene_.workload.stats().writes_ok;
    now.flushes = scene_.workload.stats().flushes_ok;
    return now;
  }

  Scene& scene_;
  SceneDone& done_;
  SceneDone before_;
  std::map<NodeNumber, std::uint64_t> end_of_;
};

// --- the operations ---

void play_write(Scene& scene, SceneDone& done) {
  Hands hands(scene, done);
  hands.fill(0, 32);
  hands.flush();
  hands.begin();
  for (std::uint64_t round = 0; round < 14; ++round) {
    hands.write(round % 8);
    hands.write(round % 8 + 1, 4);
    hands.ask(ClientOp::write_zeroes, 20 + round % 4, 2);
    hands.answers();
    hands.write(extent * (1 + round % 3), extent);  // a whole extent goes another way to the disk
    hands.ask(ClientOp::discard, 24 + round % 4, 3);
    hands.ask(ClientOp::read, round % 8, 4);
    hands.answers();
  }
  hands.end();
}

void play_flush(Scene& scene, SceneDone& done) {
  Hands hands(scene, done);
  hands.fill(0, 16);
  hands.begin();
  for (std::uint64_t round = 0; round < 22; ++round) {
    hands.write(round % 5);
    hands.ask(ClientOp::flush);  // asked before the write has its answer: covers nothing of it
    hands.answers();
    hands.write(round % 3, 1, true);
    hands.flush();
  }
  hands.end();
}

void play_failover(Scene& scene, SceneDone& done) {
  Hands hands(scene, done);
  hands.fill(0, 24);
  for (std::uint64_t i = 0; i < 8; ++i) hands.write(i, 2);
  hands.run(1 * ms);  // some are in the log, some on the wire
  const NodeNumber old = hands.primary();
  hands.begin();
  hands.crash(old);
  hands.until([&] { return hands.primary() != old && hands.serves(hands.primary()); });
  hands.answers();
  hands.fill(4, 24);
  hands.start(old);
  hands.fill(30, 24);
  hands.until_in_sync();
  hands.flush();
  hands.end();
}

void play_catch_up(Scene& scene, SceneDone& done) {
  Hands hands(scene, done);
  const NodeNumber away = hands.follower(1);
  hands.fill(0, 16);
  hands.crash(away);
  hands.fill(0, 48);
  hands.begin();
  hands.start(away);
  hands.fill(8, 24);  // live records behind the backlog
  hands.until_in_sync();
  hands.fill(8, 8);
  hands.flush();
  hands.end();
}

// The tail that only the old primary has never completed, and must go.
void play_rewind(Scene& scene, SceneDone& done) {
  Hands hands(scene, done);
  hands.fill(0, 24);
  const NodeNumber old = hands.primary();
  for (NodeNumber other = 1; other <= scene.cluster.storage_nodes(); ++other) {
    scene.cluster.network().hold(old, other);
    scene.cluster.network().hold(other, old);
  }
  for (std::uint64_t i = 0; i < 12; ++i) hands.write(i, 2);
  hands.run(50 * ms);
  hands.crash(old);
  hands.until([&] { return hands.primary() != old && hands.serves(hands.primary()); });
  hands.answers();
  scene.cluster.network().release_all();
  hands.begin();
  hands.start(old);
  hands.fill(30, 32);
  hands.until_in_sync();
  hands.fill(4, 16);
  hands.flush();
  hands.end();
}

// Comes back with an old base when the log no longer has what it missed.
void play_delta(Scene& scene, SceneDone& done) {
  Hands hands(scene, done);
  hands.fill(0, 96);
  hands.flush();
  const NodeNumber away = hands.follower(1);
  hands.remember_end(away);
  hands.crash(away);
  hands.let_the_log_go(away);
  hands.begin();
  hands.start(away);
  hands.fill(40, 24);
  hands.until_in_sync();
  hands.fill(8, 16);
  hands.flush();
  hands.end();
}

// The same with a base that never held anything.
void play_full(Scene& scene, SceneDone& done) {
  Hands hands(scene, done);
  const NodeNumber away = hands.follower(1);
  hands.remember_end(away);
  hands.crash(away);
  hands.fill(0, 96);
  hands.flush();
  hands.let_the_log_go(away);
  hands.begin();
  hands.start(away);
  hands.fill(40, 32);
  hands.until_in_sync();
  hands.fill(8, 24);
  hands.flush();
  hands.end();
}

void play_replacement(Scene& scene, SceneDone& done) {
  Hands hands(scene, done);
  hands.fill(0, 64);
  hands.flush();
  controller::ChangeVolume request;
  request.operation = "replace-it";
  request.volume = hands.volume();
  const NodeNumber leaves = hands.follower(1);
  request.replace = "n" + std::to_string(leaves);
  hands.begin();
  hands.request(request);
  hands.fill(8, 24);
  hands.until([&] {
    if (!scene.cluster.what_is_not_in_sync().empty()) return false;
    const controller::VolumeRecord& record = *hands.record();
    for (const controller::ReplicaRecord& each : record.replicas) {
      if (each.node == NodeId{leaves}) return false;
    }
    return record.replicas.size() == 3;
  });
  hands.fill(4, 8);
  hands.flush();
  hands.end();
}

void play_checkpoint(Scene& scene, SceneDone& done) {
  Hands hands(scene, done);
  hands.fill(0, 32);
  hands.flush();
  const std::uint64_t before = hands.trimmed(hands.primary());
  hands.begin();
  // Each fold lets some of the log go; three of them.
  for (int round = 0; round < 60 && hands.trimmed(hands.primary()) < before + 96; ++round) {
    for (std::uint64_t i = 0; i < 8; ++i) hands.write(i * 8, 4);
    hands.answers();
    if (round % 4 == 3) hands.flush();
  }
  hands.run(20 * ms);
  hands.end();
}

void play_move(Scene& scene, SceneDone& done) {
  Hands hands(scene, done);
  hands.fill(0, 16);
  controller::MoveVolume request;
  request.operation = "move-it";
  request.volume = hands.volume();
  const NodeNumber next = hands.follower(2);
  hands.begin();
  for (const NodeNumber to : {next, hands.follower(1), next}) {
    for (std::uint64_t i = 0; i < 6; ++i) hands.write(i, 2);
    request.operation += "-again";
    request.node_id = NodeId{to};
    hands.request(request);
    hands.until([&] { return hands.primary() == to && hands.serves(to); });
    hands.answers();
    hands.fill(4, 8);
  }
  hands.until_in_sync();
  hands.flush();
  hands.end();
}

constexpr std::array all_operations = {
    Operation{"write", "writes of every kind, some at a time", large_log, play_write},
    Operation{"flush", "flushes and FUA between writes", base_options, play_flush},
    Operation{"failover", "the primary dies with writes under way and comes back", base_options,
              play_failover},
    Operation{"catch-up", "a replica comes back to a log that has all it missed", base_options,
              play_catch_up},
    Operation{"rewind", "an old primary comes back with a tail that nobody else has",
              base_options, play_rewind},
    Operation{"delta", "a replica with an old base comes back to a trimmed log", base_options,
              play_delta},
    Operation{"full", "a replica with an empty base comes back to a trimmed log", base_options,
              play_full},
    Operation{"replacement", "one replica gives way to a new one elsewhere", spare_node,
              play_replacement},
    Operation{"checkpoint", "the log is folded into the base and trimmed", base_options,
              play_checkpoint},
    Operation{"move", "another replica becomes the primary, as planned", base_options, play_move},
};

}  // namespace

std::span<const Operation> operations() { return all_operations; }

const Operation* find_operation(std::string_view name) {
  for (const Operation& operation : all_operations) {
    if (name == operation.name) return &operation;
  }
  return nullptr;
}

std::string describe(const SceneDone& done) {
  return std::to_string(done.writes) + " writes, " + std::to_string(done.flushes) + " flushes, " +
         std::to_string(done.failovers) + " epochs, " + std::to_string(done.rewinds) +
         " rewinds, " + std::to_string(done.catch_ups) + " reads of the log, " +
         std::to_string(done.rebuilds) + " rebuilds (" + std::to_string(done.deltas) +
         " deltas), " + std::to_string(done.trimmed) +
         " records trimmed";
}

}  // namespace seawall::sim
