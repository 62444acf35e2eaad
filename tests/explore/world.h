// World: three real Cores, controllers and a client as one state with finitely many next steps.
//
// Purpose: what exhaustive exploration walks: every step that may happen next has a number, a step
// can be taken and taken back, and two states that behave alike have one digest. Steps are coarse
// where order means nothing: frames of one direction arrive together, super blocks and rebuilds
// are written at once, an election is one step with the set that it reaches. With two controllers
// it is several: each has its own view of the record (a Desk) and changes it by compare-and-set
// only, an answer of the store may be lost, and what a desk does may be long out of date.
// Life cycle: begin() once, then steps. Thread: the test's. Errors: a broken rule is wrong().
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/digest.h"
#include "tests/walk/cluster.h"

namespace seawall::explore {

using Step = std::uint16_t;

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
  std::uint8_t controllers = 1;  // or two, over one store
  bool symmetric = true;         // states that differ in names only are one
  bool blind_store = false;      // it does not compare: the searches must find what comes of that
};

// What one of two controllers knows, which may be less than what its store holds.
struct Desk {
  Assignment known;   // the record as it was read last, or written
  Epoch pending;      // of that record; 0: none
  std::vector<FenceReport> reports;  // of `pending`, one a replica, sorted by it
};

class World : private walk::Cluster {
 public:
  static constexpr std::uint64_t nodes_max = 3;
  static constexpr std::size_t desks_max = 2;
  using Renaming = std::array<std::uint8_t, nodes_max + 1>;

  explicit World(const WorldOptions& options);

  // What may happen now, in a fixed order.
  void steps(std::vector<Step>& out) const;
  void take(Step step);
  // A rule that is broken in this state; empty: none.
  [[nodiscard]] std::string wrong();
  // If symmetric, equal for states that differ only in the names of replicas 2 and 3; names of
  // controllers never count.
  [[nodiscard]] std::uint64_t digest() const;
  [[nodiscard]] std::uint64_t digest_of_class() const;  // symmetric, whatever the options say

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
    std::vector<std::pair<SessionId, ReplicaId>> sessions;  // every one there was, and with whom
    // Two controllers.
    std::array<Desk, desks_max> desks;
    std::array<std::uint8_t, nodes_max + 1> asker{};   // desk + 1: whose fence it heard last
    std::array<std::uint64_t, nodes_max + 1> told{};   // newest revision that it heard; 0: none
  };
  enum class Kind : std::uint8_t { deliver, disk, write, attach, elect, assign, crash, power,
                                   restart, cut, pass_short, pass_long, read, rest, decide, heal,
                                   // of two controllers; the desk is bit 4 of the argument
                                   claim, claim_lost, ask, commit, commit_lost, reread, tell };
  static Step encode(Kind kind, std::uint64_t argument) {
    return static_cast<Step>((static_cast<unsigned>(kind) << 8) | argument);
  }
  static Kind kind_of(Step step) { return static_cast<Kind>(step >> 8); }
  static std::uint64_t argument_of(Step step) { return step & 0xffu; }
  [[nodiscard]] bool has_disk_work(const walk::ModelNode& node) const;
  [[nodiscard]] const walk::ModelNode& at(std::uint64_t id) const { return nodes()[id - 1]; }
  [[nodiscard]] const std::vector<walk::ModelNode>& nodes() const;
  [[nodiscard]] bool readable(const walk::ModelNode& node) const;
  [[nodiscard]] std::uint64_t digest_as(const Renaming& names) const;
  [[nodiscard]] std::uint64_t desks_as(const Digest& fresh, const Renaming& names) const;
  void fault_steps(std::vector<Step>& out) const;
  [[nodiscard]] bool all_alive(std::uint64_t set) const;
  [[nodiscard]] bool all_have_reported(const Desk& desk, std::uint64_t set) const;
  void desk_steps(std::vector<Step>& out) const;
  void take_at_desk(Kind kind, std::uint64_t argument);
  [[nodiscard]] Epoch pending_in_store() const { return Epoch{own_.pending ? own_.epoch : 0}; }
  [[nodiscard]] bool is_current(const Desk& desk) const;
  [[nodiscard]] bool may_write(const Desk& desk) const;
  [[nodiscard]] PromotionDecision decision_of(const Desk& desk, bool renamed) const;
  bool claim(Desk& desk, bool answered);
  void ask_for_reports(std::size_t index, std::uint64_t set);
  void commit(Desk& desk, bool answered, bool renamed);
  void reread(Desk& desk) const;
  void sort_reports();
  [[nodiscard]] std::string desk_line(Step step) const;
  [[nodiscard]] std::string named_winner() const;
  // This step, taken just now, in the words of a golden script.
  [[nodiscard]] std::string script_line(Step step, bool was_pending);
  void begin_stale_tail();
  void begin_rebuilding();
  void elect(std::uint64_t set);
  // `renamed`: as if replicas 2 and 3 had each other's names. What is chosen by name alone must
  // not make one of two states that are equal but for names special.
  void decide_now(bool renamed);
  void rest(bool renamed);
  [[nodiscard]] PromotionDecision decision(bool renamed) const;
  [[nodiscard]] static PromotionDecision decide_as(PromotionFacts facts, bool renamed);
  void settle();
  void note_sessions();
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
