// ControllerHost: the real controller core in the simulator, with a store in memory.
//
// Purpose: what the daemon's main and its SQLite store are in production. A commit takes time; its
// outcome may be unknown to the core (a lost reply), whether it landed or not; a crash keeps what
// has landed, and each commit under way lands or not. Users' requests are asked again with the same
// operation until they are answered, also over crashes.
// Life cycle: one run; start() and crash() in turn. Thread: the run's. Invariants: the store
// changes by compare-and-set only; what was committed stays.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controller/core/core.h"
#include "engine/base/prng.h"
#include "sim/checkers/control_stream.h"
#include "sim/control_net.h"
#include "sim/verdict.h"

namespace seawall::sim {

class ControllerHost {
 public:
  ControllerHost(Scheduler& scheduler, Trace& trace, Verdict& verdict, ControlNet& net, Prng prng);

  void start();
  void crash();
  // Dead from here on, although its code still runs; crash() must follow.
  void halt();
  [[nodiscard]] bool alive() const {
    return active_ != nullptr && scheduler_.alive(active_->owner);
  }
  [[nodiscard]] bool running() const { return active_ != nullptr; }
  // The present core stands still and another one takes over; wake_rivals() lets those that stand
  // still go on with what they knew, end_rivals() ends them.
  void take_over();
  void wake_rivals();
  void end_rivals();
  void set_lost_replies(Ratio ratio) { lost_reply_ = ratio; }
  void set_generation(const Generation* generation) { core_options_.generation = generation; }

  // Told of every commit that landed, in their order.
  void set_on_commit(std::function<void(const controller::ChangeEvent&)> told) {
    on_commit_ = std::move(told);
  }

  // `done` runs once, with the answer of the core. The caller gives `request` its operation.
  using Done = std::function<void(const controller::Answer&)>;
  void ask(controller::Request request, Done done);
  // Nobody waits for an answer any more.
  void forget_requests() { asked_.clear(); }

  [[nodiscard]] const controller::VolumeRecord* volume(VolumeId id) const;
  // Why the core does not go on with this volume; for reports.
  [[nodiscard]] std::string waiting(VolumeId id) const;

 private:
  // One start of a controller.
  struct Life {
    Owner owner;
    std::unique_ptr<controller::Core> core;
  };
  struct AskedRequest {
    controller::Request request;
    Done done;
  };

  void step(Life& life, const controller::Input& input);
  void carry_out(const controller::Core::Outputs& outputs);
  void on(const controller::output::Deliver& output);
  void on(const controller::output::Reject& output);
  void on(const controller::output::Commit& output);
  void on(const controller::output::Load& output);
  void on(const controller::output::Survey& output);
  void on(const controller::output::RememberNode& output);
  void on(const controller::output::Answered& output);
  bool land(const controller::output::Commit& commit);
  void ask_again(std::uint64_t id);
  void tick(Life& life);
  [[nodiscard]] Instant now() const { return Instant{scheduler_.now() / ms}; }

  Scheduler& scheduler_;
  Trace& trace_;
  Verdict& verdict_;
  ControlNet& net_;
  Prng prng_;
  Ratio lost_reply_{0, 1};
  controller::Options core_options_;
  std::unique_ptr<Life> active_;
  std::vector<std::unique_ptr<Life>> rivals_;  // paused, woken, ended: kept for their tasks
  Life* current_ = nullptr;                    // whose outputs are carried out
  std::map<VolumeId, controller::VolumeRecord> store_;
  std::map<NodeId, controller::NodeRecord> nodes_;
  std::map<std::uint64_t, NodeNumber> stream_node_;
  std::map<std::uint64_t, AskedRequest> asked_;
  std::uint64_t last_asked_ = 0;
  ControlStream stream_{verdict_};
  std::function<void(const controller::ChangeEvent&)> on_commit_;
};

}  // namespace seawall::sim
