// World: three real Cores, a controller and a client as one state with finitely many next steps.
//
// Purpose: what exhaustive exploration walks: every step that may happen next has a number, a step
// can be taken and taken back, and two states that behave alike have one digest. Steps are coarse
// where order means nothing: frames of one direction arrive together, super blocks and rebuilds
// are written at once, an election is one step with the set that it reaches.
// Life cycle: begin() once, then steps. Thread: the test's. Errors: a broken rule is wrong().
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/walk/cluster.h"

namespace seawall::explore {

using Step = std::uint8_t;

// How much of each kind may still happen.
struct Budget {
  std::uint8_t writes = 4, faults = 2, elections = 2, passes = 3, reads = 1;
};

// Where a search begins: what is rare is near to one of these.
enum class Start : std::uint8_t {
  in_sync,     // all three, no records but the term-start
  stale_tail,  // 1 has a tail that nobody else has, 2 leads the next epoch
  rebuilding,  // 2 is being rebuilt: its marker is set, its base empty
};

struct WorldOptions {
  Start start = Start::in_sync;
  Policy policy = Policy::quorum;
  Budget budget;
  bool power = false;  // faults may be losses of power
  bool lazy_super = false;  // writes of a super block are steps of their own
};

class World : private walk::Cluster {
 public:
  static constexpr std::uint64_t nodes_max = 3;

  explicit World(const WorldOptions& options);

  // What may happen now, in a fixed order.
  void steps(std::vector<Step>& out) const;
  void take(Step step);
  // A rule that is broken in this state; empty: none.
  [[nodiscard]] std::string wrong();
  // Equal for states that differ only in the names of replicas 2 and 3.
  [[nodiscard]] std::uint64_t digest() const;

  // A copy of everything; only what has changed since is taken back.
  struct Saved;
  void save(Saved& saved);
  void restore(const Saved& saved);

  [[nodiscard]] static std::string name(Step step);
  // The way from the start of `options` as a golden script that tests/script runs.
  [[nodiscard]] static std::string golden_script(const WorldOptions& options,
                                                 const std::vector<Step>& way,
                                                 const std::string& hazard);
  // What a script must reach as well: of each replica, its promise and the end of its log.
  [[nodiscard]] std::string ends() const;

 private:
  struct Own {  // beside what the cluster knows
    Budget budget;
    std::uint64_t epoch = 0;
    std::uint64_t next_request = 1;
    std::uint64_t floor = 0;    // of block 0: completed or seen
    std::uint8_t assigned = 0;  // bit n: node n has the record
    bool pending = false;       // fences are out, nobody has won yet
    bool failed = false;
    friend bool operator==(const Own&, const Own&) = default;
  };
  enum class Kind : std::uint8_t { deliver, disk, write, attach, elect, assign, crash, power,
                                   restart, cut, pass_short, pass_long, read, rest, decide, heal };
  static Step encode(Kind kind, std::uint64_t argument) {
    return static_cast<Step>((static_cast<unsigned>(kind) << 4) | argument);
  }
  [[nodiscard]] bool has_disk_work(const walk::ModelNode& node) const;
  [[nodiscard]] const walk::ModelNode& at(std::uint64_t id) const { return nodes()[id - 1]; }
  [[nodiscard]] const std::vector<walk::ModelNode>& nodes() const;
  [[nodiscard]] bool readable(const walk::ModelNode& node) const;
  [[nodiscard]] std::uint64_t digest_as(const std::array<std::uint8_t, nodes_max + 1>& names) const;
  void fault_steps(std::vector<Step>& out) const;
  // This step, taken just now, in the words of a golden script.
  [[nodiscard]] std::string script_line(Step step, bool was_pending);
  void begin_stale_tail();
  void begin_rebuilding();
  void elect(std::uint64_t set);
  void decide_now();
  [[nodiscard]] PromotionDecision decision() const;
  void settle();
  void let_pass(std::uint64_t milliseconds);
  void attach(std::uint64_t id);
  void read(std::uint64_t id);
  [[nodiscard]] std::string wrong_election(std::uint64_t set);

  WorldOptions options_;
  Own own_;
  std::uint64_t restored_from_ = 0;  // the Saved that only `touched` nodes differ from
};

struct World::Saved {
  std::array<std::vector<std::byte>, nodes_max> engines;
  std::vector<walk::ModelNodeState> nodes;
  walk::ClusterState cluster;
  Own own;
  std::uint64_t serial = 0;
};

}  // namespace seawall::explore
