#include "sim/volume_client.h"

#include <algorithm>
#include <utility>

#include "sim/membership.h"
#include "sim/process.h"

namespace seawall::sim {
namespace {

constexpr std::uint64_t io_timeout_ms = 60'000;
constexpr Micros ask_again = 100 * ms;
constexpr int create_refusals_max = 100;

}  // namespace

VolumeClient::VolumeClient(Scheduler& scheduler, Trace& trace, Verdict& verdict,
                           ControllerHost& controller, Machines& machines,
                           const VolumeOptions& options, std::string name, NodeNumber node,
                           Prng prng)
    : scheduler_(scheduler),
      trace_(trace),
      verdict_(verdict),
      controller_(controller),
      machines_(machines),
      options_(options),
      name_(std::move(name)),
      node_(node),
      prng_(prng),
      id_{prng_.next(), prng_.next() | 1},
      atlas_(options.policy, options.replicas, options.write_cache == "none") {}

void VolumeClient::create(Workload& workload) {
  workload_ = &workload;
  controller::CreateVolume request;
  request.operation = "create-" + name_ + "-" + std::to_string(create_refusals_);
  request.name = name_;
  request.size_bytes = options_.workload.volume_blocks * limits::block_bytes;
  request.replicas = options_.replicas;
  request.policy = options_.policy;
  request.write_cache = options_.write_cache;
  request.io_timeout_ms = io_timeout_ms;
  request.fresh_id = id_;
  request.fresh_incarnation = Incarnation{prng_.next(), prng_.next() | 1};
  controller_.ask(request, [this](const controller::Answer& answer) {
    if (answer.refusal.has_value()) {
      // Asked again it is another volume: what is left of the first one is on its way out. Nothing
      // may stand in the way for long.
      if (++create_refusals_ > create_refusals_max) {
        verdict_.fail(Failure::liveness, "the volume is refused: " + answer.refusal->message);
        return;
      }
      id_ = VolumeId{prng_.next(), prng_.next() | 1};
      scheduler_.after(ask_again, world, [this] { create(*workload_); });
      return;
    }
    ready_ = true;
    if (!held_) attach();
  });
}

void VolumeClient::go() {
  held_ = false;
  if (ready_) attach();
}

void VolumeClient::follow(const controller::VolumeRecord& record) {
  const std::size_t tolerated = copies_tolerated(record);
  atlas_.set_tolerated(std::min(tolerated, asked_tolerance_.value_or(tolerated)));
}

void VolumeClient::node_started() {
  if (workload_ != nullptr && ready_ && !held_) attach();
}

void VolumeClient::node_died() {
  if (workload_ == nullptr) return;
  ++round_;
  served_ = AttachmentId{};
  workload_->client_died();
}

void VolumeClient::attach() {
  const std::uint64_t round = ++round_;
  controller::AttachVolume request;
  request.operation = "attach-" + name_ + "-" + std::to_string(++last_operation_);
  request.volume = name_;
  request.node_id = NodeId{node_};
  controller_.ask(request,
                  [this, round](const controller::Answer& answer) { attached(round, answer); });
}

// The one before it is not gone yet, or the controller does not know of this process yet.
void VolumeClient::attach_again(std::uint64_t round) {
  scheduler_.after(ask_again, world, [this, round] {
    if (round == round_ && machines_.process_of(node_) != nullptr) attach();
  });
}

void VolumeClient::attached(std::uint64_t round, const controller::Answer& answer) {
  if (round != round_) return;  // the client's process has died since
  if (answer.refusal.has_value() || !answer.view.has_value()) return attach_again(round);
  serve(round, *answer.view);
}

void VolumeClient::serve(std::uint64_t round, const control::AttachmentView& view) {
  Process* process = machines_.process_of(node_);
  if (round != round_ || process == nullptr) return;
  BlockDevice* device = process->attach(view);
  if (device == nullptr) return attach_again(round);
  served_ = view.attachment;
  trace_.add(TraceRecord{scheduler_.now(), What::client_reborn, node_, view.attachment.value()});
  // Its predecessor did not live to be told of a loss.
  if (loss_allowed()) workload_->forgive_loss();
  workload_->serve(*device, true);
}

void VolumeClient::device_gone() {
  if (served_ == AttachmentId{}) return;
  const std::uint64_t round = ++round_;
  controller::DetachVolume request;
  request.operation = "detach-" + name_ + "-" + std::to_string(++last_operation_);
  request.volume = name_;
  request.generation = served_;
  served_ = AttachmentId{};
  // Later in this very moment: the device that says so is still telling.
  scheduler_.after(0, world, [this, round, request] {
    if (round != round_) return;
    workload_->client_died();
    controller_.ask(request, [this, round](const controller::Answer&) {
      if (round == round_ && machines_.process_of(node_) != nullptr) attach();
    });
  });
}

}  // namespace seawall::sim
