// Stage: a cluster on which a scenario plays, and what is measured on it.
//
// Purpose: one volume, one client, no drawn faults: the scenario says what breaks and when. Every
// plan of a primary, every fault and, every 50 ms, the state of every replica are written down for
// the table and the timeline. Life cycle: one run: constructed ready to serve, play, finish().
// Thread: one. Determinism: a function of the options and of what the scenario does. Errors: a
// scenario whose condition never comes goes on after its limit; the measures show it. Units:
// simulated microseconds.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/cluster.h"
#include "sim/generations/generations.h"

namespace seawall::sim {

enum class RecoveryWay : std::uint8_t { attach, catch_up, rewind, delta, full };
const char* recovery_way_name(RecoveryWay way);

struct StageEvent {
  Micros time = 0;
  NodeNumber node = 0;  // 0: the world
  std::string text;
};

struct StageSample {
  Micros time = 0;
  struct Replica {
    char state = '.';  // - down, P primary, p promoting, s in sync, c catching up, b being rebuilt,
                       // w rewinding, . no session
    std::uint64_t written = 0, trimmed = 0;
  };
  std::vector<Replica> replicas;
  std::uint64_t completed = 0;  // requests since the last sample
};

struct Measures {
  bool safe = true;      // completed data is there
  bool kept_out = true;  // what never completed was not shown and then gone
  bool completed = false;      // every replica in sync, the volume serving
  std::vector<RecoveryWay> ways;  // of the replicas that came back, in order
  bool accidental = false;     // some way was taken because another one had failed
  bool as_it_is = false;       // some replica was believed without a proof
  std::uint64_t bytes = 0;     // to the replicas that came back, since they could
  Micros to_in_sync = 0;       // since then
  std::uint32_t escalations = 0;  // of what came back, by its primary's account
  Micros stalled = 0;          // longest time without a completion while the client waited
  std::string wrong;           // the first wrong answer
};

struct StageOptions {
  std::uint32_t nodes = 3;
  std::string policy = "quorum";
  std::uint64_t log_bytes = 1 << 20;
  std::uint64_t volume_blocks = 512;
  Micros think_max = 60 * ms;  // of the client, between two requests
  std::uint8_t keep_log_percent = 0;  // what the older ones had; a scenario chooses the log's size
};

class Stage {
 public:
  Stage(const StageOptions& options, const Generation& generation);
  ~Stage();

  // --- who is who ---
  [[nodiscard]] NodeNumber primary() const;      // by the controller's record
  [[nodiscard]] NodeNumber follower(int n) const;  // the n-th other one, from 1
  [[nodiscard]] NodeNumber client() const { return std::as_const(*cluster_).volume(0).node(); }
  [[nodiscard]] std::uint64_t written(NodeNumber node) const;
  [[nodiscard]] std::uint64_t promised(NodeNumber node) const;
  [[nodiscard]] std::uint64_t trimmed(NodeNumber node) const;
  [[nodiscard]] std::uint64_t copied_bytes(NodeNumber node) const;  // of a rebuild under way
  [[nodiscard]] bool is_rebuilding(NodeNumber node) const;
  [[nodiscard]] bool serves(NodeNumber node) const;
  Cluster& cluster() { return *cluster_; }

  // --- time ---
  void run(Micros time);
  bool until(const std::function<bool()>& done, Micros limit);

  // --- the client ---
  // So many blocks from `lba` on, a request each; does not wait.
  void send(std::uint64_t lba, std::uint64_t count);
  // The same, until all have completed, asked again when they fail.
  void write(std::uint64_t lba, std::uint64_t count);
  void flush();
  void load(bool on);
  // The client's process dies and forgets; a fresh one attaches when it can.
  void new_client();
  void kill_client();
  bool client_ready(Micros limit);
  // Reads one block once; false: no answer within the limit.
  bool read(std::uint64_t lba, Micros limit);

  // --- what breaks; each is written down ---
  void cut(NodeNumber node);            // from everybody, the controller included
  void cut_peers(NodeNumber node);      // from the other replicas only
  void cut_pair(NodeNumber a, NodeNumber b);
  void cut_control(NodeNumber node);
  void mend(NodeNumber node);
  void mend_control(NodeNumber node);
  void crash(NodeNumber node);
  // What its disk had in flight is gone as well.
  void crash_losing(NodeNumber node);
  void lose_power(NodeNumber node);
  void start(NodeNumber node);
  void move(NodeNumber node);
  void slow_disk(NodeNumber node, Micros extra);
  void slow_link(NodeNumber node, Micros extra);
  void stop_controller();
  void start_controller();

  // What came back is measured from here on.
  void recovers(NodeNumber node);
  // Everything is mended and started; in sync within the limit?
  void settle(Micros limit);
  // Every block that was ever written is read.
  void read_back();
  void note(NodeNumber node, const std::string& text);

  Measures finish();
  [[nodiscard]] const std::vector<StageEvent>& events() const { return events_; }
  [[nodiscard]] const std::vector<StageSample>& samples() const { return samples_; }

 private:
  void look();
  void watch(NodeNumber node, const Core& core, const Command& command);
  void planned(const PeerStatus& status, RecoveryWay way);
  [[nodiscard]] const controller::VolumeRecord* record() const;
  [[nodiscard]] NodeNumber node_of(ReplicaId replica) const;
  [[nodiscard]] const PeerStatus* peer_of(NodeNumber node) const;
  [[nodiscard]] StageSample::Replica sample(NodeNumber node) const;
  void count_escalations();

  RunOptions options_;
  Trace trace_{false};
  Verdict verdict_;
  Scheduler scheduler_;
  std::unique_ptr<Workload> workload_;
  std::unique_ptr<Cluster> cluster_;
  std::vector<StageEvent> events_;
  std::vector<StageSample> samples_;
  Measures measures_;
  std::vector<NodeNumber> recovering_;
  Micros recovers_since_ = 0;
  std::uint64_t bytes_before_ = 0;
  std::uint64_t completed_before_ = 0;
  Micros waiting_since_ = 0;
  std::set<NodeNumber> broken_, slow_disks_, slow_links_;
  int moves_ = 0;
};

}  // namespace seawall::sim
