#include "sim/cluster.h"

#include <algorithm>
#include <utility>

#include "engine/base/check.h"
#include "engine/quorum.h"

namespace seawall::sim {
namespace {

constexpr const char* volume_name = "v";
constexpr std::uint64_t io_timeout_ms = 60'000;
constexpr Micros attach_again = 100 * ms;
constexpr std::uint64_t blocking_changes_max = 40;

}  // namespace

Cluster::Cluster(Scheduler& scheduler, Trace& trace, Verdict& verdict, const RunOptions& options,
                 Prng prng)
    : scheduler_(scheduler),
      trace_(trace),
      verdict_(verdict),
      options_(options),
      prng_(prng),
      network_(scheduler, trace, prng_.fork()),
      control_net_(scheduler, trace, prng_.fork()),
      controller_(scheduler, trace, verdict, control_net_, prng_.fork()),
      lineage_(verdict) {
  const std::uint32_t count = options.nodes + (options.client_apart ? 1 : 0);
  client_node_ =
      options.client_apart ? count : 1 + static_cast<NodeNumber>(prng_.below(options.nodes));
  for (NodeNumber number = 1; number <= count; ++number) {
    const Micros offset = prng_.below(1000 * seconds);
    Prng own = prng_.fork();
    auto machine = std::make_unique<Machine>(
        Machine{number, 1, offset, true, own.fork(),
                ReplicaDisks(scheduler_, trace_, number, options_, own.fork()), nullptr});
    machines_.push_back(std::move(machine));
    network_.set_address(number, "n" + std::to_string(number));
  }
  volume_ = VolumeId{prng_.next(), prng_.next() | 1};
  controller_.set_generation(options.generation);
  scheduler_.set_after_task([this](Owner owner) { after_task(owner); });
}

Cluster::~Cluster() {
  for (auto& machine : machines_) {
    if (machine->process == nullptr) continue;
    machine->disks.crash(false);
    machine->process->die(false);
  }
  scheduler_.set_after_task({});
}

// --- machines ---

bool Cluster::running(NodeNumber node) const { return machine(node).process != nullptr; }

void Cluster::after_task(Owner owner) {
  const auto it = owners_.find(owner);
  if (it == owners_.end()) return;
  Process* process = machine(it->second).process.get();
  if (process != nullptr && process->owner() == owner) process->after_task();
}

void Cluster::start(NodeNumber node) {
  Machine& m = machine(node);
  CHECK(m.process == nullptr);
  if (!m.powered) {
    m.powered = true;
    network_.set_powered(node, true);
  }
  const Process::World world_of_run{scheduler_, trace_,   network_,   control_net_,
                                    options_,   verdict_, recoveries_};
  m.process = std::make_unique<Process>(world_of_run, node, m.clock_offset, m.boots, m.disks,
                                        node <= options_.nodes, m.prng.fork());
  owners_[m.process->owner()] = node;
  // Now and then a process dies in the middle of an opening, a rewind, a preparation.
  m.process->set_on_work([this, node, owner = m.process->owner()] {
    if (!prng_.chance(options_.faults.crash_in_blocking) || !may_crash_) return;
    machine(node).disks.stop_after(1 + prng_.below(blocking_changes_max));
    scheduler_.after(0, world, [this, node, owner] {
      if (!running(node) || machine(node).process->owner() != owner) return;
      crash(node);
      scheduler_.after(1 + prng_.below(options_.faults.down_max + 1), world, [this, node] {
        if (!running(node) && machine(node).powered) start(node);
      });
    });
  });
  m.process->start();
  if (node == client_node_ && workload_ != nullptr && ready_) attach();
}

void Cluster::stop(NodeNumber node, bool power_lost) {
  Machine& m = machine(node);
  if (m.process != nullptr) {
    trace_.add(TraceRecord{scheduler_.now(), power_lost ? What::power_loss : What::crash, node,
                           m.process->owner().value()});
    owners_.erase(m.process->owner());
    m.disks.crash(power_lost);  // while the buffers of what is in flight are still there
    m.process->die(power_lost);
    m.process.reset();
    if (node == client_node_ && workload_ != nullptr) {
      ++attach_round_;
      served_ = AttachmentId{};
      workload_->client_died();
    }
  } else if (power_lost) {
    m.disks.crash(true);
  }
  if (power_lost && m.powered) {
    m.powered = false;
    ++m.boots;
    network_.set_powered(node, false);
    count_power_loss(node);
  }
}

void Cluster::crash(NodeNumber node) { stop(node, false); }
void Cluster::lose_power(NodeNumber node) { stop(node, true); }

void Cluster::move(NodeNumber node, const std::string& address) {
  CHECK(!running(node));
  network_.set_address(node, address);
}

void Cluster::set_slow_disk(NodeNumber node, Micros extra) { machine(node).disks.set_slow(extra); }

const Process* Cluster::process(NodeNumber node) const { return machine(node).process.get(); }

void Cluster::pause(NodeNumber node) {
  if (!running(node)) return;
  trace_.add(TraceRecord{scheduler_.now(), What::pause, node});
  scheduler_.pause(machine(node).process->owner());
}

void Cluster::resume(NodeNumber node) {
  if (!running(node) || !scheduler_.paused(machine(node).process->owner())) return;
  trace_.add(TraceRecord{scheduler_.now(), What::resume, node});
  scheduler_.resume(machine(node).process->owner());
}

// --- how much may be lost ---

std::size_t Cluster::power_losses_tolerated() const {
  const std::size_t members = options_.replicas;
  if (options_.policy == "quorum") return write_quorum(members) - 1;
  if (options_.policy == "all") return members - 1;
  if (options_.policy == "best-effort") return 0;
  return members - 2;  // in-sync with the default minimum of n - 1
}

bool Cluster::may_lose_power(NodeNumber node) const {
  if (node > options_.nodes || unproven_.contains(node)) return true;
  if (machine(node).disks.entries().empty()) return true;
  return unproven_.size() + 1 <= power_losses_tolerated();
}

void Cluster::count_power_loss(NodeNumber node) {
  if (machine(node).disks.entries().empty()) return;
  unproven_.insert(node);
  if (unproven_.size() > power_losses_tolerated() && options_.write_cache != "none") {
    loss_allowed_ = true;
  }
}

// A replica is proven again when its primary counts it as in sync and its intact bit is back.
void Cluster::note_recoveries() {
  if (unproven_.empty() || !what_is_not_in_sync().empty()) return;
  for (const NodeNumber node : unproven_) {
    bool intact = running(node);
    if (intact) {
      machine(node).process->host().for_each_replica([&](runtime::VolumeHost& host) {
        intact = intact && host.core() != nullptr && host.core()->facts().intact;
      });
    }
    if (!intact) return;
  }
  unproven_.clear();
  // The client may hear of it a little later than we see it.
  const std::uint64_t round = ++proof_round_;
  scheduler_.after(10 * seconds, world, [this, round] {
    if (round == proof_round_ && unproven_.empty()) loss_allowed_ = false;
  });
}

// --- the volume and its client ---

void Cluster::create_volume(Workload& workload) {
  workload_ = &workload;
  controller::CreateVolume request;
  request.operation = "create-v";
  request.name = volume_name;
  request.size_bytes = options_.workload.volume_blocks * limits::block_bytes;
  request.replicas = options_.replicas;
  request.policy = options_.policy;
  request.write_cache = options_.write_cache;
  request.io_timeout_ms = io_timeout_ms;
  request.fresh_id = volume_;
  request.fresh_incarnation = Incarnation{prng_.next(), prng_.next() | 1};
  controller_.ask(request, [this](const controller::Answer& answer) {
    if (answer.refusal.has_value()) {
      // A user asks again with another operation; here nothing may stand in the way for long.
      if (++create_refusals_ > 100) {
        verdict_.fail(Failure::liveness, "the volume is refused: " + answer.refusal->message);
        return;
      }
      scheduler_.after(100 * ms, world, [this] { create_volume(*workload_); });
      return;
    }
    ready_ = true;
    attach();
  });
}

void Cluster::attach() {
  const std::uint64_t round = ++attach_round_;
  controller::AttachVolume request;
  request.operation = "attach-" + std::to_string(++last_operation_);
  request.volume = volume_name;
  request.node_id = NodeId{client_node_};
  controller_.ask(request,
                  [this, round](const controller::Answer& answer) { attached(round, answer); });
}

void Cluster::attached(std::uint64_t round, const controller::Answer& answer) {
  if (round != attach_round_) return;  // the client's process has died since
  const auto again = [this, round] {
    scheduler_.after(attach_again, world, [this, round] {
      if (round == attach_round_ && running(client_node_)) attach();
    });
  };
  if (answer.refusal.has_value() || !answer.view.has_value()) return again();
  serve(round, *answer.view);
}

void Cluster::serve(std::uint64_t round, const control::AttachmentView& view) {
  if (round != attach_round_ || !running(client_node_)) return;
  BlockDevice* device = machine(client_node_).process->attach(view);
  if (device == nullptr) {
    // The one before it is not gone yet, or the controller does not know of this process yet.
    scheduler_.after(attach_again, world, [this, round] {
      if (round == attach_round_ && running(client_node_)) attach();
    });
    return;
  }
  served_ = view.attachment;
  trace_.add(
      TraceRecord{scheduler_.now(), What::client_reborn, client_node_, view.attachment.value()});
  // Its predecessor did not live to be told of a loss.
  if (loss_allowed_) workload_->forgive_loss();
  workload_->serve(*device, true);
}

// The device is over, but its process lives: its generation is given back, then a new one asked
// for.
void Cluster::device_gone(ClientStatus) {
  if (served_ == AttachmentId{}) return;
  const std::uint64_t round = ++attach_round_;
  controller::DetachVolume request;
  request.operation = "detach-" + std::to_string(++last_operation_);
  request.volume = volume_name;
  request.generation = served_;
  served_ = AttachmentId{};
  // Later in this very moment: the device that says so is still telling.
  scheduler_.after(0, world, [this, round, request] {
    if (round != attach_round_) return;
    workload_->client_died();
    controller_.ask(request, [this, round](const controller::Answer&) {
      if (round == attach_round_ && running(client_node_)) attach();
    });
  });
}

// --- looking ---

void Cluster::sample() {
  for (const auto& m : machines_) {
    if (m->process == nullptr) continue;
    m->process->host().for_each_replica([this](runtime::VolumeHost& host) {
      if (host.core() == nullptr || host.state() != runtime::VolumeHost::State::open) return;
      if (!options_.is_v2()) return;
      lineage_.sample(host.core()->facts());
      lineage_.sample(host.core()->status());
    });
  }
  note_recoveries();
}

std::string Cluster::what_is_not_in_sync() const {
  const controller::VolumeRecord* record = controller_.volume(volume_);
  if (record == nullptr) return "no volume";
  if (record->pending.has_value()) return "a failover is under way";
  for (const auto& m : machines_) {
    if (m->process == nullptr) continue;
    for (const ReplicaStatus& status : m->process->host().statuses()) {
      if (!status.serving || status.epoch != record->epoch) continue;
      if (record->config.policy == Policy::in_sync &&
          record->config.in_sync != record->config.members) {
        return "the in-sync set lacks members";
      }
      std::size_t in_sync = 1;
      for (const PeerStatus& peer : status.peers) in_sync += peer.state == ReplicaState::in_sync;
      if (in_sync < record->config.members.size()) {
        return "in sync are " + std::to_string(in_sync) + " of " +
               std::to_string(record->config.members.size());
      }
      return {};
    }
  }
  return "no primary of epoch " + std::to_string(record->epoch.value()) + " serves";
}

std::vector<ReplicaDisk> Cluster::disks() const {
  std::vector<ReplicaDisk> all;
  for (const auto& m : machines_) {
    for (const auto& [replica, entry] : m->disks.entries()) {
      if (entry.complete) all.push_back({replica, entry.record.incarnation, entry.disk.get()});
    }
  }
  return all;
}

std::string Cluster::what_is_not_at_rest() const {
  std::optional<Lsn> end;
  for (const auto& m : machines_) {
    if (m->process == nullptr) return "n" + std::to_string(m->number) + " is down";
    if (m->process->slots_in_use() != 0) {
      return "n" + std::to_string(m->number) + " has " +
             std::to_string(m->process->slots_in_use()) + " payload slots in use";
    }
    for (const auto& [replica, entry] : m->disks.entries()) {
      if (entry.disk->pending() != 0) return "n" + std::to_string(m->number) + " writes";
    }
    for (const ReplicaStatus& status : m->process->host().statuses()) {
      const Watermarks& marks = status.marks;
      if (end.has_value() && *end != marks.written) return "logs end at different places";
      end = marks.written;
      if (marks.durable != marks.written) {
        return "replica " + std::to_string(status.replica.value()) + " is not durable to its end";
      }
    }
  }
  return {};
}

std::string Cluster::describe() const {
  std::string text = "controller: " + controller_.waiting(volume_);
  if (const controller::VolumeRecord* record = controller_.volume(volume_)) {
    text += " epoch " + std::to_string(record->epoch.value()) + " pending " +
            std::to_string(record->pending.value_or(Epoch{}).value()) + " revision " +
            std::to_string(record->revision.value()) + " primary " +
            std::to_string(record->primary.value());
  }
  for (const auto& m : machines_) {
    text += m->process != nullptr ? m->process->describe()
                                  : " [n" + std::to_string(m->number) + " down]";
  }
  return text;
}

Epoch Cluster::epoch() const {
  const controller::VolumeRecord* record = controller_.volume(volume_);
  return record == nullptr ? Epoch{} : record->greatest_epoch();
}

}  // namespace seawall::sim
