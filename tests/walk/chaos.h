// Chaos: a random walk over a script's cluster, from a seed, with an oracle.
//
// One client writes numbered values and resends in order what was not completed, so in every block
// the greatest number that was completed or seen must never give way to a smaller one. Nodes crash,
// links break and stall, disks lag, the controller fences, elects, loses proposals. In the end all
// is healed: everything open completes, every copy is equal, no slot and no pin is left.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "engine/base/prng.h"
#include "engine/primary.h"
#include "tests/walk/cluster.h"

namespace seawall::walk {

struct ChaosOptions {
  std::uint64_t replicas = 3;
  Policy policy = Policy::quorum;
  WriteCache cache = WriteCache::writeback;
  std::uint64_t steps = 3000;
  std::uint64_t log_records = 0;  // room of each log; 0: endless
  bool power = false;  // one node at a time may lose power
  std::uint64_t spares = 0;  // nodes beyond the first members
  bool changes = false;      // wishes for other members, policies and write caches
};

class Chaos {
 public:
  Chaos(std::uint64_t seed, const ChaosOptions& options);
  // "" when all was well, else what went wrong.
  std::string run();
  // Lines of the plan journals of those that ran at the end: 0 would be a walk without recoveries.
  [[nodiscard]] std::uint64_t plans() const { return plans_; }
  // Wishes that came into force, and requests that completed.
  [[nodiscard]] std::uint64_t changes() const { return cluster_.fulfilled(); }
  [[nodiscard]] std::uint64_t completed() const { return next_request_ - 1 - open_.size(); }

 private:
  struct Request {
    ClientOp op = ClientOp::read;
    std::uint64_t block = 0;
    std::uint64_t blocks = 1;
    std::uint64_t floor = 0;   // of the block when the read was asked
    bool fua = false;
  };

  void one_step();
  void client_step();
  void fault_step();
  void controller_step();
  void fence_all();
  void wish_step();
  PromotionDecision choose();
  [[nodiscard]] bool primary_leaves();
  [[nodiscard]] std::uint64_t nodes() const { return options_.replicas + options_.spares; }
  // The configuration is as wished for, and everybody in it is in sync.
  [[nodiscard]] bool is_complete(const Primary& primary);
  void try_elect();
  void order_drain();
  void reattach();
  void send(std::uint64_t number);
  void on_done(const ClientDone& done, const std::vector<std::uint64_t>& data);
  void heal_everything();
  bool settle();
  std::string describe();  // for a walk that does not end well
  std::string final_checks();
  std::string release_everything();
  [[nodiscard]] std::uint64_t leader() const;  // a serving one, or 0
  void fail(const std::string& why);

  ChaosOptions options_;
  Prng random_;
  Cluster cluster_;
  std::map<std::uint64_t, Request> open_;
  std::map<std::uint64_t, std::uint64_t> floor_;      // by block: completed or seen
  std::map<std::uint64_t, std::uint64_t> newest_;     // by block: asked
  std::uint64_t next_request_ = 1;
  std::uint64_t epoch_ = 0;
  std::uint64_t pending_epoch_ = 0;
  std::uint64_t fenced_for_ = 0;
  std::uint64_t leaderless_ = 0;
  bool attached_ = false;
  bool healed_ = false;
  std::uint64_t plans_ = 0;
  std::string failure_;
};

}  // namespace seawall::walk
