// VolumeClient: one volume as its user sees it: created, attached, attached again.
//
// Purpose: asks the controller for the volume, then for an attachment of the client's node; again
// whenever the client's process has died or its device is gone; the workload is served from then
// on. Knows the volume's fault atlas. Life cycle: one run. Thread: the run's. Ownership: the
// workload is the run's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/prng.h"
#include "node/runtime/control_port.h"
#include "sim/controller_host.h"
#include "sim/fault_atlas.h"
#include "sim/options.h"
#include "sim/trace.h"
#include "sim/verdict.h"
#include "sim/workload.h"

namespace seawall::sim {

class Process;

class VolumeClient {
 public:
  // What a client needs of the cluster.
  class Machines {
   public:
    virtual ~Machines() = default;
    virtual Process* process_of(NodeNumber node) = 0;  // nullptr: down
  };

  VolumeClient(Scheduler& scheduler, Trace& trace, Verdict& verdict, ControllerHost& controller,
               Machines& machines, const VolumeOptions& options, std::string name, NodeNumber node,
               Prng prng);
  VolumeClient(const VolumeClient&) = delete;
  VolumeClient& operator=(const VolumeClient&) = delete;

  void create(Workload& workload);
  // Does not attach before it is told to.
  void hold() { held_ = true; }
  void go();
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] NodeNumber node() const { return node_; }
  [[nodiscard]] VolumeId id() const { return id_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const VolumeOptions& options() const { return options_; }
  FaultAtlas& atlas() { return atlas_; }
  [[nodiscard]] const FaultAtlas& atlas() const { return atlas_; }
  [[nodiscard]] bool loss_allowed() const { return atlas_.loss_allowed(scheduler_.now()); }

  // A wish of an operator is on its way to the controller; until follow() sees no more of it, no
  // more copies may be in doubt than `tolerated` after it.
  void wish_asked(std::size_t tolerated) { asked_tolerance_ = tolerated; }
  void wish_answered() { asked_tolerance_.reset(); }
  [[nodiscard]] bool wish_open() const { return asked_tolerance_.has_value(); }
  // What its configuration stands, by its committed record.
  void follow(const controller::VolumeRecord& record);

  void node_started();
  void node_died();
  // The device is over, but its process lives: its generation is given back, a new one asked for.
  void device_gone();

 private:
  void attach();
  void attached(std::uint64_t round, const controller::Answer& answer);
  void serve(std::uint64_t round, const control::AttachmentView& view);
  void attach_again(std::uint64_t round);

  Scheduler& scheduler_;
  Trace& trace_;
  Verdict& verdict_;
  ControllerHost& controller_;
  Machines& machines_;
  const VolumeOptions options_;
  const std::string name_;
  const NodeNumber node_;
  Prng prng_;
  VolumeId id_;
  FaultAtlas atlas_;
  Workload* workload_ = nullptr;
  bool ready_ = false;
  bool held_ = false;
  std::uint64_t round_ = 0;  // of attaching; a death begins another
  std::uint64_t last_operation_ = 0;
  std::optional<std::size_t> asked_tolerance_;
  AttachmentId served_;  // the generation that serves the workload
  int create_refusals_ = 0;
};

}  // namespace seawall::sim
