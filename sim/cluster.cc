#include "sim/cluster.h"

#include <algorithm>
#include <utility>

#include "controller/core/openings.h"
#include "engine/base/check.h"

namespace seawall::sim {
namespace {

constexpr std::uint64_t blocking_changes_max = 40;
constexpr Micros young = 1 * seconds;  // a process
constexpr int early_deaths_max = 2;    // in a row, of young processes of one machine
constexpr std::uint64_t bounds_every = 16;  // looks
constexpr std::uint64_t map_kib = 1024;
constexpr std::size_t retired_max = 8;

}  // namespace

Cluster::Cluster(Scheduler& scheduler, Trace& trace, Verdict& verdict, const RunOptions& options,
                 Prng prng, Probes* probes)
    : scheduler_(scheduler),
      trace_(trace),
      verdict_(verdict),
      probes_(probes != nullptr ? *probes : own_probes_),
      options_(options),
      prng_(prng),
      network_(scheduler, trace, prng_.fork()),
      control_net_(scheduler, trace, prng_.fork()),
      controller_(scheduler, trace, verdict, control_net_, prng_.fork()) {
  const std::uint32_t count = options.nodes + (options.client_apart ? 1 : 0);
  const NodeNumber client =
      options.client_apart ? count : 1 + static_cast<NodeNumber>(prng_.below(options.nodes));
  for (NodeNumber number = 1; number <= count; ++number) {
    const Micros offset = prng_.below(1000 * seconds);
    Prng own = prng_.fork();
    const auto drift_max = static_cast<std::int64_t>(options.clock_drift_ppm_max);
    const std::int64_t drift =
        static_cast<std::int64_t>(own.below(2 * options.clock_drift_ppm_max + 1)) - drift_max;
    auto machine = std::make_unique<Machine>(
        Machine{number, 1, {offset, drift}, true, own.fork(),
                ReplicaDisks(scheduler_, trace_, number, options_, own.fork()), nullptr, number});
    machines_.push_back(std::move(machine));
    network_.set_address(number, "n" + std::to_string(number));
  }
  const auto add_volume = [&](const VolumeOptions& volume, NodeNumber node) {
    const std::string name = "v" + std::to_string(volumes_.size() + 1);
    volumes_.push_back(std::make_unique<VolumeClient>(scheduler_, trace_, verdict_, controller_,
                                                      *this, volume, name, node, prng_.fork()));
  };
  add_volume(options.first_volume(), client);
  for (const VolumeOptions& more : options.more_volumes) {
    add_volume(more, 1 + static_cast<NodeNumber>(prng_.below(count)));
  }
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

bool Cluster::has_given_up(NodeNumber node) const {
  return running(node) && machine(node).process->has_given_up();
}
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
  if (prng_.chance(options_.faults.new_address) && may_crash_) draw_address(node);
  const Process::World world_of_run{scheduler_, trace_,   network_,   control_net_,
                                    options_,   verdict_, recoveries_, probes_,
                                    at_most_once_};
  m.process = std::make_unique<Process>(world_of_run, node, m.clock, m.boots, m.disks,
                                        node <= options_.nodes, m.prng.fork());
  owners_[m.process->owner()] = node;
  m.started_at = scheduler_.now();
  // Now and then a process dies in the middle of an opening, a rewind, a preparation.
  m.process->set_on_work([this, node, owner = m.process->owner()] {
    if (!prng_.chance(options_.faults.crash_in_blocking) || !may_crash_) return;
    if (!may_die_at_work(machine(node))) return;
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
  for (auto& volume : volumes_) {
    if (volume->node() == node) volume->node_started();
  }
}

// The more replicas a node opens, the more often it would die of it, until it never stood again.
bool Cluster::may_die_at_work(Machine& m) const {
  if (scheduler_.now() >= m.started_at + young) m.early_deaths = 0;
  return m.early_deaths++ < early_deaths_max;
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
    for (auto& volume : volumes_) {
      if (volume->node() == node) volume->node_died();
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

bool Cluster::alive(NodeNumber node) const {
  if (node == 0) return controller_.alive();
  return running(node) && scheduler_.alive(machine(node).process->owner());
}

bool Cluster::everybody_runs() const {
  for (NodeNumber node = 1; node <= machines(); ++node) {
    if (!running(node)) return false;
  }
  return controller_.running();
}

void Cluster::die_here(NodeNumber node, bool power_lost) {
  if (node == 0) {
    controller_.halt();
    scheduler_.next([this] {
      if (controller_.running()) controller_.crash();
    });
    return;
  }
  CHECK(running(node));
  machine(node).disks.halt();
  scheduler_.kill(machine(node).process->owner());
  scheduler_.next([this, node, power_lost] { stop(node, power_lost); });
}

void Cluster::crash(NodeNumber node) { stop(node, false); }
void Cluster::lose_power(NodeNumber node) { stop(node, true); }

// A new address, or one that another node, which is down, has left behind or gives up now.
void Cluster::draw_address(NodeNumber node) {
  const std::string fresh = "n" + std::to_string(node) + "-" + std::to_string(++last_address_);
  std::vector<NodeNumber> down;
  for (NodeNumber other = 1; other <= machines(); ++other) {
    if (other != node && !running(other)) down.push_back(other);
  }
  const std::string old = network_.address(node);
  if (options_.faults.address_reuse && !down.empty() && prng_.coin()) {
    const NodeNumber other = prng_.pick(down);
    const std::string taken = network_.address(other);
    move(other, old);
    move(node, taken);
    trace_.add(TraceRecord{scheduler_.now(), What::move, node, other});
  } else {
    move(node, fresh);
    trace_.add(TraceRecord{scheduler_.now(), What::move, node});
  }
}

// --- pools in wrong hands; both nodes must be down ---

void Cluster::swap_pools(NodeNumber one, NodeNumber other) {
  CHECK(!running(one) && !running(other));
  trace_.add(TraceRecord{scheduler_.now(), What::pool_swapped, one, other});
  const bool back = machine(one).pool_of != one;
  if (!back) SOMETIMES(probes_, stranger);
  machine(one).disks.swap_with(machine(other).disks, back);
  std::swap(machine(one).pool_of, machine(other).pool_of);
}

bool Cluster::clone_replica(NodeNumber from, NodeNumber to, ReplicaId replica) {
  CHECK(!running(to));
  if (!machine(to).disks.take_copy(machine(from).disks, replica)) return false;
  SOMETIMES(probes_, stranger);
  trace_.add(TraceRecord{scheduler_.now(), What::pool_cloned, to, from, replica.value()});
  return true;
}

void Cluster::restore_copy(NodeNumber node, ReplicaId replica,
                           std::unique_ptr<wal::MemDisk> files) {
  CHECK(!running(node));
  const auto& entries = machine(node).disks.entries();
  const auto it = entries.find(replica);
  if (it == entries.end()) return;  // it is not here any more
  trace_.add(TraceRecord{scheduler_.now(), What::pool_restored, node, replica.value()});
  disk_damaged(node, false);  // what it holds is whole, but old
  if (const auto lineage = lineages_.find(it->second.record.volume); lineage != lineages_.end()) {
    lineage->second.restored(replica);
  }
  machine(node).disks.restore(replica, std::move(files));
}

void Cluster::move(NodeNumber node, const std::string& address) {
  CHECK(!running(node));
  network_.set_address(node, address);
}

void Cluster::set_slow_disk(NodeNumber node, Micros extra) { machine(node).disks.set_slow(extra); }

void Cluster::lose_in_flight(NodeNumber node) { machine(node).disks.lose_in_flight(); }

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

// Whose copy it is that this machine's pool holds, or 0. Accounts are kept by the node that the
// volume's record names, wherever the files are at the moment; clones have none.
NodeNumber Cluster::copy_in_pool(NodeNumber node, VolumeId volume) const {
  const Machine& m = machine(node);
  for (const auto& [replica, entry] : m.disks.entries()) {
    if (entry.record.volume == volume && !is_stranger(m.pool_of, volume, replica)) return m.pool_of;
  }
  return 0;
}

bool Cluster::may_doubt(NodeNumber node) const {
  return std::all_of(volumes_.begin(), volumes_.end(), [&](const auto& volume) {
    const NodeNumber copy = copy_in_pool(node, volume->id());
    return copy == 0 || volume->atlas().may_doubt(copy);
  });
}

void Cluster::count_power_loss(NodeNumber node) {
  for (auto& volume : volumes_) {
    const NodeNumber copy = copy_in_pool(node, volume->id());
    if (copy != 0) volume->atlas().power_lost(copy);
  }
}

void Cluster::disk_damaged(NodeNumber node, bool rots) {
  for (auto& volume : volumes_) {
    const NodeNumber copy = copy_in_pool(node, volume->id());
    if (copy == 0) continue;
    volume->atlas().damaged(copy);
    if (rots) volume->atlas().rots(copy);
  }
}

void Cluster::wish_answered(VolumeClient& volume, bool granted) {
  trace_.add(TraceRecord{scheduler_.now(), What::wish, 0, volume.id().lo, granted ? 1u : 0u});
  if (granted) SOMETIMES(probes_, wish_granted);
  wishes_granted_ += granted ? 1 : 0;
  volume.wish_answered();
  const controller::VolumeRecord* record = controller_.volume(volume.id());
  if (record != nullptr) volume.follow(*record);
}

// A replica is proven again when its primary counts it as in sync and its intact bit is back.
void Cluster::note_recoveries() {
  for (auto& volume : volumes_) {
    if (!volume->atlas().in_doubt() || !what_is_not_in_sync(*volume).empty()) continue;
    bool intact = true;
    for (const NodeNumber node : volume->atlas().unproven()) {
      Process* process = process_of(node);
      intact = intact && process != nullptr;
      if (!intact) break;
      process->host().for_each_replica([&](runtime::VolumeHost& host) {
        if (host.volume() != volume->id()) return;
        if (is_stranger(node, host.volume(), host.replica())) return;
        intact = intact && host.core() != nullptr && host.core()->facts().intact;
      });
    }
    if (intact) volume->atlas().proven(scheduler_.now());
  }
}

// --- looking ---

// Rare states that can be seen from outside.
void Cluster::probe(const runtime::VolumeHost& host, std::map<VolumeId, int>& primaries) {
  const ReplicaFacts& facts = host.core()->facts();
  const ReplicaStatus& status = host.core()->status();
  if (!facts.intact) SOMETIMES(probes_, intact_lost);
  if (facts.marker.has_value()) SOMETIMES(probes_, marker_seen);
  if (facts.marks.trimmed > Lsn{0}) SOMETIMES(probes_, log_trimmed);
  if (facts.marks.trimmed > Lsn{8 * limits::segments_per_log * 16}) SOMETIMES(probes_, log_lapped);
  if (facts.damage == Damage::unknown_records) SOMETIMES(probes_, damage_unknown);
  if (facts.damage == Damage::regressed) SOMETIMES(probes_, damage_regressed);
  if (facts.damage == Damage::base_untrusted) SOMETIMES(probes_, damage_base);
  if (status.role == Role::stepped_down) SOMETIMES(probes_, stepped_down);
  if (status.epoch >= Epoch{4}) SOMETIMES(probes_, four_epochs);
  if (status.epoch >= Epoch{10}) SOMETIMES(probes_, ten_epochs);
  if (status.log_failed) SOMETIMES(probes_, log_failed);
  if (status.role == Role::primary && ++primaries[status.volume] > 1) {
    SOMETIMES(probes_, stale_primary);
  }
  for (const PeerStatus& peer : status.peers) {
    if (peer.state == ReplicaState::proving) SOMETIMES(probes_, proving);
    if (peer.state == ReplicaState::failed) SOMETIMES(probes_, peer_failed);
    if (peer.state == ReplicaState::unreachable) SOMETIMES(probes_, peer_unreachable);
  }
}

// A replica that the volume's record places elsewhere: a clone, or of a swapped pool.
bool Cluster::is_stranger(NodeNumber node, VolumeId volume, ReplicaId replica) const {
  const controller::VolumeRecord* record = controller_.volume(volume);
  if (record == nullptr) return false;
  const controller::ReplicaRecord* known = record->replica(replica);
  if (known == nullptr) known = record->retired_replica(replica);
  return known == nullptr || known->node != NodeId{node};
}

void Cluster::sample() {
  for (const auto& volume : volumes_) {
    const controller::VolumeRecord* record = controller_.volume(volume->id());
    if (record == nullptr) continue;
    volume->follow(*record);
    for (const controller::ReplicaRecord& replica : record->replicas) {
      if (replica.trouble == controller::older_copy_trouble) SOMETIMES(probes_, older_copy);
    }
  }
  if (volumes_.size() > 1) SOMETIMES(probes_, several_volumes);
  if (network_.stats().held > 0) SOMETIMES(probes_, half_open);
  std::map<VolumeId, int> primaries;
  for (const auto& m : machines_) {
    if (m->process == nullptr) continue;
    m->process->host().for_each_replica([&](runtime::VolumeHost& host) {
      if (host.core() == nullptr || host.state() != runtime::VolumeHost::State::open) return;
      if (!options_.is_v2()) return;
      if (is_stranger(m->number, host.volume(), host.core()->facts().replica)) return;
      OneLineage& lineage = lineages_.try_emplace(host.volume(), verdict_).first->second;
      lineage.sample(host.core()->facts());
      lineage.sample(host.core()->status());
      probe(host, primaries);
    });
  }
  if (primaries.size() < volumes_.size()) SOMETIMES(probes_, no_primary);
  if (++looks_ % bounds_every == 0) see_bounds();
  note_recoveries();
}

void Cluster::see_bounds() {
  for (const auto& m : machines_) {
    if (m->process != nullptr) m->process->see_bounds(bounded_);
    for (const auto& [replica, entry] : m->disks.entries()) {
      if (!entry.complete) continue;
      std::uint64_t volume_kib = 0;
      for (const auto& volume : volumes_) {
        if (volume->id() != entry.record.volume) continue;
        volume_kib = volume->options().workload.volume_blocks * limits::block_bytes / limits::KiB;
      }
      const std::uint64_t log_kib = options_.log_bytes / limits::KiB;
      bounded_.see(Resource::log_kib, entry.disk->bytes_below("log/") / limits::KiB, log_kib,
                   m->number);
      bounded_.see(Resource::files_kib, entry.disk->used_bytes() / limits::KiB,
                   2 * log_kib + 3 * volume_kib + map_kib, m->number);
    }
  }
  for (const auto& volume : volumes_) {
    const controller::VolumeRecord* record = controller_.volume(volume->id());
    if (record == nullptr) continue;
    bounded_.see(Resource::retired, record->retired.size(), retired_max, 0);
  }
}

std::string Cluster::what_is_not_in_sync() const {
  for (const auto& volume : volumes_) {
    const std::string missing = what_is_not_in_sync(*volume);
    if (!missing.empty()) return volume->name() + ": " + missing;
  }
  return {};
}

std::string Cluster::what_is_not_in_sync(const VolumeClient& volume) const {
  const controller::VolumeRecord* record = controller_.volume(volume.id());
  if (record == nullptr) return "no volume";
  if (record->wish.has_value()) return "a change of the configuration is under way";
  if (!record->retired.empty()) return "copies that went have not gone";
  if (record->pending.has_value()) return "a failover is under way";
  for (const auto& m : machines_) {
    if (m->process == nullptr) continue;
    for (const ReplicaStatus& status : m->process->host().statuses()) {
      if (status.volume != volume.id()) continue;
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

void Cluster::ask_scrub() {
  for (const auto& m : machines_) {
    if (m->process == nullptr) continue;
    m->process->host().for_each_replica([](runtime::VolumeHost& host) {
      if (host.scrub() != nullptr) host.scrub()->ask();
    });
  }
}

// A store that was opened anew since does not know that it was asked.
std::string Cluster::what_is_not_scrubbed() {
  std::string text;
  for (const auto& m : machines_) {
    if (m->process == nullptr) return "n" + std::to_string(m->number) + " is down";
    m->process->host().for_each_replica([&](runtime::VolumeHost& host) {
      runtime::Scrub* scrub = host.scrub();
      if (scrub != nullptr && scrub->clean_since_asked()) return;
      if (scrub != nullptr && !scrub->asked()) scrub->ask();
      text = "replica " + std::to_string(host.replica().value());
      if (scrub != nullptr) text += " found " + std::to_string(scrub->found());
    });
  }
  return text;
}

std::vector<ReplicaDisk> Cluster::disks(std::size_t volume) const {
  std::vector<ReplicaDisk> all;
  for (const auto& m : machines_) {
    for (const auto& [replica, entry] : m->disks.entries()) {
      if (!entry.complete || entry.record.volume != volumes_[volume]->id()) continue;
      if (is_stranger(m->number, volumes_[volume]->id(), replica)) continue;
      all.push_back({replica, entry.record.incarnation, entry.disk.get(),
                     volumes_[volume]->atlas().is_rotten(m->number)});
    }
  }
  return all;
}

std::string Cluster::what_is_not_at_rest() const {
  std::map<VolumeId, Lsn> ends;
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
      if (is_stranger(m->number, status.volume, status.replica)) continue;
      const Watermarks& marks = status.marks;
      const auto [end, first] = ends.try_emplace(status.volume, marks.written);
      if (!first && end->second != marks.written) return "logs end at different places";
      if (marks.durable != marks.written) {
        return "replica " + std::to_string(status.replica.value()) + " is not durable to its end";
      }
    }
  }
  return {};
}

std::string Cluster::describe() const {
  std::string text;
  for (const auto& volume : volumes_) {
    text += volume->name() + " controller: " + controller_.waiting(volume->id());
    const controller::VolumeRecord* record = controller_.volume(volume->id());
    if (record == nullptr) continue;
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

std::uint64_t Cluster::failovers() const {
  std::uint64_t epochs = 0;
  for (const auto& volume : volumes_) {
    const controller::VolumeRecord* record = controller_.volume(volume->id());
    if (record != nullptr) epochs += record->greatest_epoch().value();
  }
  return epochs;
}

}  // namespace seawall::sim
