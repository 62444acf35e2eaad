// Workload: a client with several requests in flight that never repeats a stamp and forgets
// nothing.
//
// Purpose: draws requests, hands them to whatever serves the volume now, and has the oracle judge
// each answer. Life cycle: one run; clients come and go (serve, client_died). Thread: the run's.
// Errors: wrong answers go to the Verdict. Bounded: queue_depth requests in flight.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "engine/client.h"
#include "sim/options.h"
#include "sim/checkers/block_log.h"
#include "sim/oracle.h"
#include "sim/probes.h"
#include "sim/trace.h"
#include "sim/verdict.h"

namespace seawall::sim {

struct IoRequest {
  OpNumber op = 0;
  ClientOp kind = ClientOp::read;
  std::uint64_t lba = 0, blocks = 0;
  bool fua = false;
};

// `data` holds what a read brought, and is valid during the call.
using IoDone = std::function<void(ClientStatus status, std::span<const std::byte> data)>;

// A front end: takes requests as a kernel would hand them over. False: full, ask again later.
class BlockDevice {
 public:
  virtual ~BlockDevice() = default;
  [[nodiscard]] virtual bool submit(const IoRequest& request, IoDone done) = 0;
};

struct WorkloadStats {
  std::uint64_t asked = 0, ok = 0, failed = 0, unanswered = 0, lost_positions = 0;
  std::uint64_t writes_ok = 0, reads_ok = 0, flushes_ok = 0;
  WorkloadStats& operator+=(const WorkloadStats& other);
};

class Workload {
 public:
  // Asked when the client is told that data it had seen is gone: is that within the rules?
  using LossAllowed = std::function<bool()>;
  // The client's device is of no use any more (detached, position lost, I/O error for good).
  using DeviceGone = std::function<void(ClientStatus)>;

  Workload(Scheduler& scheduler, Trace& trace, Verdict& verdict, Prng prng,
           const WorkloadOptions& options, bool durable_completions, OpNumber last_op = 0);

  void set_loss_allowed(LossAllowed allowed) { loss_allowed_ = std::move(allowed); }
  void set_heard(std::function<void()> heard) { heard_ = std::move(heard); }  // a good answer
  // Wrong answers go to it instead of ending the run.
  void set_on_wrong(std::function<void(const std::string&)> told) { on_wrong_ = std::move(told); }
  void set_device_gone(DeviceGone gone) { device_gone_ = std::move(gone); }
  // Told when a flush or FUA request has just completed: the worst moment for a loss of power.
  void set_made_durable(std::function<void()> told) { made_durable_ = std::move(told); }

  // A living client from now on. `fresh`: the one before it is dead, and this one knows nothing.
  void serve(BlockDevice& device, bool fresh);
  // Nobody will answer what is in flight.
  void client_died();
  // The dead client may have lost completed, unflushed data: the next one starts after the loss.
  void forgive_loss() {
    oracle_.unflushed_data_was_lost();
    log_.loss();
  }
  void set_probes(Probes& probes) { probes_ = &probes; }

  void start_issuing();
  void stop_issuing() { issuing_ = false; }
  [[nodiscard]] bool idle() const { return open_.empty(); }
  [[nodiscard]] bool has_client() const { return device_ != nullptr; }

  // Reads every block that was ever written; `done` runs when all answers were judged.
  void read_everything(std::function<void()> done);
  // One request of the caller's choice; false: nobody takes it now.
  bool submit(IoRequest request, std::function<void(bool ok)> then);
  // One flush, and later one write: proofs that the volume works.
  void flush(std::function<void(bool ok)> done);
  void write_one(std::function<void(bool ok)> done);

  [[nodiscard]] const WorkloadStats& stats() const { return stats_; }
  [[nodiscard]] const Oracle& oracle() const { return oracle_; }
  [[nodiscard]] const BlockLog& log() const { return log_; }
  [[nodiscard]] Micros last_ok() const { return last_ok_; }

 private:
  struct OpenRequest {
    IoRequest request;
    std::function<void(bool ok)> then;  // proofs; else empty
  };

  void arm(Micros delay);
  void issue_one();
  IoRequest draw();
  void wrong(const std::string& what);
  void note_end(const IoRequest& request, Ended how, std::span<const std::byte> data);
  void answered(OpNumber op, ClientStatus status, std::span<const std::byte> data);
  void judge(const IoRequest& request, ClientStatus status, std::span<const std::byte> data);
  void next_sweep_read();

  Scheduler& scheduler_;
  Trace& trace_;
  Verdict& verdict_;
  Prng prng_;
  WorkloadOptions options_;
  Oracle oracle_;
  BlockLog log_;
  Probes* probes_ = nullptr;
  LossAllowed loss_allowed_;
  std::function<void()> heard_;
  DeviceGone device_gone_;
  std::function<void(const std::string&)> on_wrong_;
  std::function<void()> made_durable_;
  BlockDevice* device_ = nullptr;
  std::uint64_t device_generation_ = 0;  // answers of an older device are nobody's
  std::map<OpNumber, OpenRequest> open_;
  OpNumber last_op_ = 0;
  bool issuing_ = false;
  std::uint32_t armed_ = 0;
  std::uint64_t sweep_next_ = 0;
  std::function<void()> sweep_done_;
  WorkloadStats stats_;
  Micros last_ok_ = 0;
};

}  // namespace seawall::sim
