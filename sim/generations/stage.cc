#include "sim/generations/stage.h"

#include <algorithm>
#include <utility>

namespace seawall::sim {
namespace {

constexpr Micros look_every = 50 * ms;
constexpr Micros ready_limit = 60 * seconds;
constexpr std::uint64_t seed = 20;

RunOptions run_options(const StageOptions& stage, const Generation& generation) {
  RunOptions options;
  options.seed = seed;
  options.nodes = options.replicas = stage.nodes;
  options.policy = stage.policy;
  options.log_bytes = stage.log_bytes;
  options.keep_log_percent = stage.keep_log_percent;
  options.timer_lateness_max = 1 * ms;
  options.generation = &generation;
  options.workload.volume_blocks = stage.volume_blocks;
  options.workload.blocks_max = 4;
  options.workload.queue_depth = 8;
  options.workload.think_max = stage.think_max;
  options.workload.weight_write = 80;
  options.workload.weight_read = 15;
  options.workload.weight_flush = 1;
  options.workload.weight_discard = options.workload.weight_zero = 0;
  options.workload.fua = percent(0);
  return options;
}

char state_letter(ReplicaState state) {
  switch (state) {
    case ReplicaState::in_sync: return 's';
    case ReplicaState::catching_up:
    case ReplicaState::proving: return 'c';
    case ReplicaState::rebuilding: return 'b';
    case ReplicaState::rewinding: return 'w';
    case ReplicaState::unreachable:
    case ReplicaState::failed:
    case ReplicaState::terminal:
    case ReplicaState::unknown: return '.';
  }
  return '.';
}

}  // namespace

const char* recovery_way_name(RecoveryWay way) {
  switch (way) {
    case RecoveryWay::attach: return "live";
    case RecoveryWay::catch_up: return "catch-up";
    case RecoveryWay::rewind: return "rewind";
    case RecoveryWay::delta: return "delta";
    case RecoveryWay::full: return "full";
  }
  return "?";
}

Stage::Stage(const StageOptions& stage, const Generation& generation)
    : options_(run_options(stage, generation)) {
  options_.watch = [this](NodeNumber node, const Core& core, const Command& command) {
    watch(node, core, command);
  };
  Prng prng(seed);
  workload_ = std::make_unique<Workload>(scheduler_, trace_, verdict_, prng.fork(),
                                         options_.workload, false);
  cluster_ = std::make_unique<Cluster>(scheduler_, trace_, verdict_, options_, prng.fork());
  workload_->set_loss_allowed([this] { return cluster_->volume(0).loss_allowed(); });
  workload_->set_device_gone([this](ClientStatus) { cluster_->volume(0).device_gone(); });
  workload_->set_on_wrong([this](const std::string& what) {
    if (measures_.wrong.empty()) {
      measures_.wrong = what;
      note(0, "WRONG: " + what.substr(0, what.find(", which")));
    }
    // A client that is told of a loss has read nothing.
    if (what.find("was told") != std::string::npos) measures_.safe = false;
  });
  for (NodeNumber node = 1; node <= cluster_->machines(); ++node) cluster_->start(node);
  cluster_->controller().start();
  cluster_->volume(0).create(*workload_);
  until([this] { return workload_->has_client() && cluster_->what_is_not_in_sync().empty(); },
        ready_limit);
  events_.clear();
  look();
}

Stage::~Stage() = default;

// --- who is who ---

const controller::VolumeRecord* Stage::record() const {
  return cluster_->controller().volume(std::as_const(*cluster_).volume(0).id());
}

NodeNumber Stage::node_of(ReplicaId replica) const {
  for (const controller::ReplicaRecord& each : record()->replicas) {
    if (each.id == replica) return static_cast<NodeNumber>(each.node.value());
  }
  return 0;
}

NodeNumber Stage::primary() const { return node_of(record()->primary); }

NodeNumber Stage::follower(int n) const {
  for (NodeNumber node = 1; node <= cluster_->storage_nodes(); ++node) {
    if (node != primary() && --n == 0) return node;
  }
  return 0;
}

namespace {

std::optional<ReplicaStatus> status_at(const Cluster& cluster, NodeNumber node) {
  const Process* process = cluster.process(node);
  if (process == nullptr) return std::nullopt;
  for (const ReplicaStatus& status : process->host().statuses()) return status;
  return std::nullopt;
}

}  // namespace

std::uint64_t Stage::written(NodeNumber node) const {
  const auto status = status_at(*cluster_, node);
  return status ? status->marks.written.value() : 0;
}

std::uint64_t Stage::promised(NodeNumber node) const {
  const auto status = status_at(*cluster_, node);
  return status ? status->promised.value() : 0;
}

std::uint64_t Stage::trimmed(NodeNumber node) const {
  const auto status = status_at(*cluster_, node);
  return status ? status->marks.trimmed.value() : 0;
}

std::uint64_t Stage::copied_bytes(NodeNumber node) const {
  const PeerStatus* peer = peer_of(node);
  return peer == nullptr ? 0 : peer->bytes_total - peer->bytes_left;
}

bool Stage::is_rebuilding(NodeNumber node) const { return sample(node).state == 'b'; }

bool Stage::serves(NodeNumber node) const {
  const auto status = status_at(*cluster_, node);
  return status && status->serving;
}

// --- time ---

void Stage::run(Micros time) {
  until([] { return false; }, time);
}

bool Stage::until(const std::function<bool()>& done, Micros limit) {
  const Micros deadline = scheduler_.now() + limit;
  while (!verdict_.failed()) {
    if (done()) return true;
    if (scheduler_.next_time() > deadline || !scheduler_.step()) return done();
  }
  return false;
}

// --- the client ---

void Stage::send(std::uint64_t lba, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    IoRequest request;
    request.kind = ClientOp::write;
    request.lba = lba + i;
    request.blocks = 1;
    static_cast<void>(workload_->submit(request, [](bool) {}));
  }
}

void Stage::write(std::uint64_t lba, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    bool done = false;
    until([&] { return workload_->has_client(); }, 30 * seconds);
    IoRequest request;
    request.kind = ClientOp::write;
    request.lba = lba + i;
    request.blocks = 1;
    if (!workload_->submit(request, [&](bool) { done = true; })) return;
    if (!until([&] { return done; }, 90 * seconds)) {
      note(0, "a write had no answer");
      return;
    }
  }
}

void Stage::flush() {
  bool done = false;
  workload_->flush([&](bool) { done = true; });
  until([&] { return done; }, 90 * seconds);
}

void Stage::load(bool on) {
  if (on) workload_->start_issuing();
  else workload_->stop_issuing();
  if (!on) until([this] { return workload_->idle(); }, 90 * seconds);
}

void Stage::kill_client() { crash(client()); }

void Stage::new_client() {
  if (cluster_->running(client())) kill_client();
  start(client());
}

bool Stage::client_ready(Micros limit) {
  return until([this] { return workload_->has_client(); }, limit);
}

bool Stage::read(std::uint64_t lba, Micros limit) {
  const auto state = std::make_shared<int>(0);
  IoRequest request;
  request.kind = ClientOp::read;
  request.lba = lba;
  request.blocks = 1;
  if (!workload_->submit(request, [state](bool ok) { *state = ok ? 1 : 2; })) return false;
  return until([state] { return *state != 0; }, limit) && *state == 1;
}

void Stage::read_back() {
  const auto read = std::make_shared<bool>(false);
  if (!client_ready(60 * seconds)) return note(0, "no client can attach");
  workload_->read_everything([read] { *read = true; });
  if (!until([read] { return *read; }, 90 * seconds)) note(0, "reading back does not end");
}

// --- what breaks ---

void Stage::note(NodeNumber node, const std::string& text) {
  events_.push_back(StageEvent{scheduler_.now(), node, text});
}

void Stage::cut_pair(NodeNumber a, NodeNumber b) {
  broken_.insert({a, b});
  cluster_->network().hold(a, b);
  cluster_->network().hold(b, a);
}

void Stage::cut_peers(NodeNumber node) {
  note(node, "cut from its peers");
  for (NodeNumber other = 1; other <= cluster_->storage_nodes(); ++other) {
    if (other != node) cut_pair(node, other);
  }
}

void Stage::cut_control(NodeNumber node) {
  broken_.insert(node);
  note(node, "cut from the controller");
  cluster_->control_net().hold(node);
}

void Stage::cut(NodeNumber node) {
  note(node, "cut off");
  for (NodeNumber other = 1; other <= cluster_->machines(); ++other) {
    if (other != node) cut_pair(node, other);
  }
  cluster_->control_net().hold(node);
}

void Stage::mend(NodeNumber node) {
  if (broken_.erase(node) > 0) note(node, "mended");
  for (NodeNumber other = 1; other <= cluster_->machines(); ++other) {
    cluster_->network().release(node, other);
    cluster_->network().release(other, node);
  }
  cluster_->control_net().release(node);
}

void Stage::mend_control(NodeNumber node) {
  note(node, "hears the controller again");
  cluster_->control_net().release(node);
}

void Stage::crash(NodeNumber node) {
  note(node, node == client() ? "the client dies" : "dies");
  cluster_->crash(node);
}

void Stage::crash_losing(NodeNumber node) {
  cluster_->lose_in_flight(node);
  crash(node);
}

void Stage::lose_power(NodeNumber node) {
  note(node, "loses power");
  cluster_->lose_power(node);
}

void Stage::start(NodeNumber node) {
  if (cluster_->running(node)) return;
  note(node, node == client() ? "a fresh client" : "starts");
  cluster_->start(node);
}

void Stage::move(NodeNumber node) {
  const std::string address = "n" + std::to_string(node) + "-moved-" + std::to_string(++moves_);
  note(node, "has a new address");
  cluster_->move(node, address);
}

void Stage::slow_disk(NodeNumber node, Micros extra) {
  const bool was = slow_disks_.erase(node) > 0;
  if (extra > 0) slow_disks_.insert(node);
  if (was || extra > 0) note(node, extra == 0 ? "its disk is itself again" : "its disk is slow");
  cluster_->set_slow_disk(node, extra);
}

void Stage::slow_link(NodeNumber node, Micros extra) {
  const bool was = slow_links_.erase(node) > 0;
  if (extra > 0) slow_links_.insert(node);
  if (was || extra > 0) note(node, extra == 0 ? "its link is itself again" : "its link is slow");
  cluster_->network().set_slow(node, extra);
}

void Stage::stop_controller() {
  note(0, "the controller dies");
  cluster_->controller().crash();
}

void Stage::start_controller() {
  note(0, "the controller starts");
  cluster_->controller().start();
}

// --- measures ---

void Stage::recovers(NodeNumber node) {
  if (recovering_.empty()) {
    recovers_since_ = scheduler_.now();
    bytes_before_ = 0;
  }
  recovering_.push_back(node);
  bytes_before_ += cluster_->network().bytes_to(node);
}

void Stage::settle(Micros limit) {
  for (NodeNumber node = 1; node <= cluster_->machines(); ++node) {
    mend(node);
    slow_link(node, 0);
    slow_disk(node, 0);
    start(node);
  }
  if (!cluster_->controller().running()) start_controller();
  if (recovers_since_ == 0) recovers_since_ = scheduler_.now();
  if (until([this] { return cluster_->what_is_not_in_sync().empty(); }, limit)) {
    measures_.to_in_sync = scheduler_.now() - recovers_since_;
    measures_.completed = true;
    note(0, "all in sync");
  } else {
    note(0, "not in sync: " + cluster_->what_is_not_in_sync());
  }
}

Measures Stage::finish() {
  const Oracle::Wrong& wrong = workload_->oracle().last_wrong();
  measures_.safe = measures_.safe && !wrong.lost;
  measures_.kept_out = !wrong.shown;
  for (const NodeNumber node : recovering_) {
    measures_.bytes += cluster_->network().bytes_to(node);
  }
  measures_.bytes -= std::min(measures_.bytes, bytes_before_);
  if (verdict_.failed() && measures_.wrong.empty()) measures_.wrong = verdict_.text();
  if (verdict_.failed()) measures_.safe = measures_.completed = false;
  return measures_;
}

const PeerStatus* Stage::peer_of(NodeNumber node) const {
  static ReplicaStatus status;  // keeps what the result points to
  const controller::VolumeRecord* volume = record();
  if (volume == nullptr) return nullptr;
  const auto found = status_at(*cluster_, primary());
  if (!found || found->role != Role::primary) return nullptr;
  status = *found;
  for (const PeerStatus& peer : status.peers) {
    if (node_of(peer.replica) == node) return &peer;
  }
  return nullptr;
}

StageSample::Replica Stage::sample(NodeNumber node) const {
  StageSample::Replica replica;
  const auto status = status_at(*cluster_, node);
  if (!status) {
    replica.state = '-';
    return replica;
  }
  replica.written = status->marks.written.value();
  replica.trimmed = status->marks.trimmed.value();
  if (status->role == Role::primary) replica.state = 'P';
  else if (status->role == Role::promoting) replica.state = 'p';
  else if (const PeerStatus* peer = peer_of(node)) replica.state = state_letter(peer->state);
  return replica;
}

void Stage::count_escalations() {
  for (const NodeNumber node : recovering_) {
    const PeerStatus* peer = peer_of(node);
    if (peer == nullptr) continue;
    std::uint32_t escalations = 0;
    for (const FailureStatus& failure : peer->failures) {
      if (failure.action != FailureAction::escalate) continue;
      escalations += failure.nth - rule_of(failure.kind).retries;
    }
    measures_.escalations = std::max(measures_.escalations, escalations);
  }
}

void Stage::look() {
  count_escalations();
  StageSample sample_now;
  sample_now.time = scheduler_.now();
  for (NodeNumber node = 1; node <= cluster_->storage_nodes(); ++node) {
    sample_now.replicas.push_back(sample(node));
  }
  const std::uint64_t completed = workload_->stats().ok;
  sample_now.completed = completed - completed_before_;
  completed_before_ = completed;
  const bool waits = !workload_->idle() || !workload_->has_client();
  if (sample_now.completed > 0 || !waits) waiting_since_ = scheduler_.now();
  measures_.stalled = std::max(measures_.stalled, scheduler_.now() - waiting_since_);
  samples_.push_back(std::move(sample_now));
  scheduler_.after(look_every, world, [this] { look(); });
}

void Stage::planned(const PeerStatus& status, RecoveryWay way) {
  const bool believed = status.state == ReplicaState::in_sync;
  const std::string why = believed ? "believed as it is" : status.reason;
  const NodeNumber node = node_of(status.replica);
  note(node, std::string(recovery_way_name(way)) + (why.empty() ? "" : ": " + why));
  if (std::find(recovering_.begin(), recovering_.end(), node) == recovering_.end()) return;
  measures_.as_it_is = measures_.as_it_is || believed;
  if (why == "escalated") measures_.accidental = true;
  measures_.ways.push_back(way);
}

// What a primary orders is its plan made visible.
void Stage::watch(NodeNumber, const Core& core, const Command& command) {
  const auto* send = std::get_if<command::Send>(&command);
  if (send == nullptr || cluster_ == nullptr || record() == nullptr) return;
  const ReplicaStatus status = core.status();
  const PeerStatus* to = nullptr;
  for (const PeerStatus& peer : status.peers) {
    if (peer.replica == send->envelope.to) to = &peer;
  }
  if (to == nullptr) return;
  if (const auto* start = std::get_if<message::StartStream>(&send->message)) {
    const bool live = start->from > start->head;
    planned(*to, live ? RecoveryWay::attach : RecoveryWay::catch_up);
  } else if (std::holds_alternative<message::Rewind>(send->message)) {
    planned(*to, RecoveryWay::rewind);
  } else if (const auto* ask = std::get_if<message::AskBaseMap>(&send->message)) {
    // Of the whole map, or of what changed since: known only now, the replica has its word in it.
    if (ask->from > Lba{0}) return;
    planned(*to, ask->since ? RecoveryWay::delta : RecoveryWay::full);
  }
}

}  // namespace seawall::sim
