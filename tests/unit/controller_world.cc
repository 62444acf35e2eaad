#include "tests/unit/controller_world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "engine/config_change.h"
#include "engine/promotion.h"
#include "engine/quorum.h"

namespace seawall::controller {

World::World(std::size_t nodes, std::uint64_t seed) : random_(seed * 1000) {
  for (std::size_t i = 0; i < nodes; ++i) {
    ModelNode node;
    node.id = NodeId(i + 1);
    node.name = "n" + std::to_string(i + 1);
    node.address = "127.0.0." + std::to_string(i + 1) + ":7000";
    node.process_start = ProcessStart(next_start_++);
    nodes_.push_back(std::move(node));
  }
  said_.resize(nodes);
  restart_core();
  run(50);
}

void World::restart_core() {
  for (ModelNode& node : nodes_) node.session = 0;
  to_controller_.clear();
  to_nodes_.clear();
  Options options;
  options.doubt_older_copies = true;
  core_ = std::make_unique<Core>(options);
  Core::Outputs out;
  core_->start(store_.volumes().value(), store_.nodes().value(), now_, out);
  carry_out(std::move(out));
  // Users ask again, with the same operation, what was not answered.
  const auto unanswered = unanswered_;
  for (const auto& [id, question] : unanswered) {
    input(input::Asked{id, question.first, question.second});
  }
}

void World::crash_controller() { restart_core(); }

bool World::count_step() {
  ++steps_;
  if (crash_at_ == 0 || steps_ != crash_at_) return false;
  crashed_ = true;
  return true;
}

void World::input(Input input) {
  if (crashed_) return;
  Core::Outputs out;
  core_->step(input, now_, out);
  carry_out(std::move(out));
}

void World::carry_out(Core::Outputs outputs) {
  std::deque<Output> left(outputs.begin(), outputs.end());
  while (!left.empty() && !crashed_) {
    Output next = std::move(left.front());
    left.pop_front();
    Core::Outputs more;
    if (const auto* commit = std::get_if<output::Commit>(&next)) {
      if (count_step()) return;  // before the commit
      const StoreOutcome outcome =
          store_.compare_and_set(commit->volume, commit->expected, commit->next, commit->event);
      if (count_step()) return;  // after it
      core_->step(input::Stored{commit->token, outcome}, now_, more);
    } else if (const auto* load = std::get_if<output::Load>(&next)) {
      Result<std::optional<VolumeRecord>> held = store_.volume(load->volume);
      const bool fails = failing_loads_ > 0;
      if (fails) --failing_loads_;
      input::Loaded loaded{load->token, !fails, std::nullopt};
      if (!fails) loaded.record = *held;
      core_->step(loaded, now_, more);
    } else if (std::holds_alternative<output::Survey>(next)) {
      core_->step(input::Surveyed{true, *store_.versions()}, now_, more);
    } else if (const auto* node = std::get_if<output::RememberNode>(&next)) {
      ASSERT_TRUE(store_.remember(node->record).has_value());
    } else if (const auto* delivery = std::get_if<output::Deliver>(&next)) {
      if (count_step()) return;  // before the delivery
      to_nodes_.push_back(*delivery);
      if (duplicating_) to_nodes_.push_back(*delivery);
    } else if (const auto* reject = std::get_if<output::Reject>(&next)) {
      for (ModelNode& each : nodes_) {
        if (each.session == reject->session) each.session = 0;
      }
    } else if (const auto* answered = std::get_if<output::Answered>(&next)) {
      EXPECT_FALSE(answers_.contains(answered->id)) << "answered twice";
      answers_[answered->id] = answered->answer;
      unanswered_.erase(answered->id);
    }
    left.insert(left.end(), more.begin(), more.end());
  }
}

void World::connect_nodes() {
  for (ModelNode& node : nodes_) {
    if (!node.alive || !node.reaches || node.session != 0) continue;
    node.session = next_session_++;
    control::Register hello;
    hello.node = node.id;
    hello.name = node.name;
    hello.pool_id = "pool" + std::to_string(node.id.value());
    hello.data_address = node.address;
    hello.process_start = node.process_start;
    hello.pool_bytes = 200 * limits::GiB;
    hello.pool_free_bytes = node.free_bytes;
    hello.replicas = statuses(node);
    input(input::NodeSaid{node.session, hello});
  }
}

void World::tell_failures(VolumeId volume, const ModelReplica& primary, PeerStatus& peer) const {
  std::uint32_t word = 0;
  for (const PeerEndpoint& endpoint : primary.assignment.endpoints) {
    if (endpoint.replica == peer.replica) word = endpoint.word;
  }
  for (const ModelNode& node : nodes_) {
    const auto at = node.replicas.find(volume);
    if (at == node.replicas.end() || at->second.facts.replica != peer.replica) continue;
    const std::vector<FailureStatus>& failures = at->second.failures;
    if (failures.empty() || word > at->second.word) continue;
    for (const FailureStatus& failure : failures) peer.failures.push_back(failure);
    peer.escalated = true;
    const bool terminal = failures.back().action == FailureAction::terminal;
    peer.state = terminal ? ReplicaState::terminal : ReplicaState::rebuilding;
  }
}

void World::fill_peers(const ModelNode& node, const ModelReplica& primary,
                       ReplicaStatus& status) const {
  status.committed = primary.facts.marks.written;
  status.drained = primary.assignment.drains && !primary.never_rests;
  for (const ModelNode& other : nodes_) {
    const auto at = other.replicas.find(status.volume);
    if (&other == &node || at == other.replicas.end()) continue;
    const ReplicaId id = at->second.facts.replica;
    const bool listed = std::find(primary.level.begin(), primary.level.end(), id) !=
                        primary.level.end();
    if (listed || !primary.assignment.config.members.contains(id)) continue;
    PeerStatus peer;
    peer.replica = at->second.facts.replica;
    const bool follows = other.alive && at->second.assignment.epoch == primary.assignment.epoch;
    peer.state = follows ? ReplicaState::in_sync : ReplicaState::unreachable;
    peer.written = at->second.facts.marks.written;
    peer.start = at->second.opening.start;
    tell_failures(status.volume, primary, peer);
    status.peers.push_back(peer);
  }
}

std::vector<ReplicaStatus> World::statuses(const ModelNode& node) const {
  std::vector<ReplicaStatus> all;
  for (const auto& [volume, replica] : node.replicas) {
    ReplicaStatus status;
    status.volume = volume;
    status.replica = replica.facts.replica;
    status.epoch = replica.assignment.epoch;
    status.revision = replica.assignment.revision;
    status.promised = replica.facts.promised;
    status.role = replica.role;
    status.serving = replica.serving;
    status.log_failed = replica.log_failed || replica.given_up;
    status.given_up = replica.given_up;
    status.store_failures = replica.given_up ? 9 : 0;
    status.marks = replica.facts.marks;
    status.grants_primary = replica.grants;
    status.opening = replica.opening;
    for (const ReplicaId id : replica.level) {
      PeerStatus peer;
      peer.replica = id;
      for (const ModelNode& other : nodes_) {
        const auto at = other.replicas.find(volume);
        const bool is_it = at != other.replicas.end() && at->second.facts.replica == id;
        if (is_it && other.alive) peer.start = at->second.opening.start;
      }
      peer.state = ReplicaState::in_sync;
      peer.written = replica.facts.marks.written;
      tell_failures(volume, replica, peer);
      status.peers.push_back(peer);
    }
    if (replica.serving) fill_peers(node, replica, status);
    all.push_back(status);
  }
  return all;
}

void World::say(std::size_t index, control::FromNode message) {
  to_controller_.emplace_back(nodes_[index].session, message);
  if (duplicating_) to_controller_.emplace_back(nodes_[index].session, std::move(message));
}

void World::drain() {
  while (!crashed_ && (!to_nodes_.empty() || !to_controller_.empty())) {
    if (!to_nodes_.empty()) {
      const output::Deliver delivery = std::move(to_nodes_.front());
      to_nodes_.pop_front();
      deliver(delivery);
      continue;
    }
    auto [session, message] = std::move(to_controller_.front());
    to_controller_.pop_front();
    input(input::NodeSaid{session, std::move(message)});
  }
}

void World::deliver(const output::Deliver& delivery) {
  const std::size_t index = index_of(delivery.node);
  ModelNode& node = nodes_[index];
  if (!node.alive || !node.reaches || node.session != delivery.session) return;  // lost
  ++said_[index];
  history_.emplace_back(node.id, delivery.message);
  std::visit([&](const auto& message) { on(node, message); }, delivery.message);
}

void World::beat(std::size_t index) {
  const ModelNode& node = nodes_[index];
  if (node.session == 0 || !node.alive || !node.reaches) return;
  control::Heartbeat heartbeat;
  heartbeat.node = node.id;
  heartbeat.pool_free_bytes = node.free_bytes;
  heartbeat.replicas = statuses(node);
  say(index, heartbeat);
}

void World::beat() {
  for (std::size_t i = 0; i < nodes_.size(); ++i) beat(i);
}

void World::run(std::uint64_t milliseconds) {
  for (std::uint64_t spent = 0; spent < milliseconds; spent += 50) {
    now_ += Duration(50);
    if (crashed_) {
      crashed_ = false;
      crash_at_ = 0;
      restart_core();
    }
    connect_nodes();
    drain();
    if (now_.value() % 250 == 0) beat();
    drain();
    replicate();
    input(input::Tick{});
    drain();
  }
}

std::uint64_t World::ask(Request request, std::uint64_t deadline_ms) {
  const std::uint64_t id = next_request_++;
  if (auto* create = std::get_if<CreateVolume>(&request)) {
    create->fresh_id = VolumeId{7, ++random_};
    create->fresh_incarnation = Incarnation{9, ++random_};
  }
  const Instant deadline = now_ + Duration(deadline_ms);
  unanswered_[id] = {request, deadline};
  input(input::Asked{id, std::move(request), deadline});
  drain();
  return id;
}

const Answer* World::answer_of(std::uint64_t id) const {
  const auto at = answers_.find(id);
  return at == answers_.end() ? nullptr : &at->second;
}

Answer World::ask_and_wait(Request request) {
  const std::uint64_t id = ask(std::move(request));
  EXPECT_TRUE(run_until([&] { return answer_of(id) != nullptr; }));
  return *answer_of(id);
}

VolumeId World::create(const std::string& name, std::uint32_t replicas, const std::string& policy) {
  CreateVolume request;
  request.operation = "create-" + name;
  request.name = name;
  request.size_bytes = limits::GiB;
  request.replicas = replicas;
  request.policy = policy;
  const Answer answer = ask_and_wait(request);
  EXPECT_FALSE(answer.refusal) << answer.refusal->message;
  EXPECT_TRUE(run_until([&] { return is_settled(*answer.volume); }));
  return *answer.volume;
}

void World::kill(std::size_t index) {
  ModelNode& node = nodes_[index];
  node.alive = false;
  if (node.session != 0) input(input::NodeGone{node.session});
  node.session = 0;
  node.views.clear();
}

void World::start(std::size_t index, bool after_power_loss) {
  ModelNode& node = nodes_[index];
  node.alive = true;
  node.process_start = ProcessStart(next_start_++);
  node.session = 0;  // a new process has a new connection
  for (auto& [volume, replica] : node.replicas) {
    replica.role = Role::none;
    replica.serving = false;
    replica.assignment = Assignment{};
    replica.facts.process_start = node.process_start;
    replica.opening.before = replica.opening.start;
    replica.opening.start = node.process_start;
    replica.opening.found = replica.opening.generation;
    replica.opening.end = replica.facts.marks.written;
    replica.opening.power_lost = after_power_loss;
    ++replica.opening.generation;
    if (!after_power_loss) continue;
    replica.facts.intact = false;
  }
}

void World::cut(std::size_t index) { nodes_[index].reaches = false; }

void World::heal(std::size_t index) {
  nodes_[index].reaches = true;
  if (nodes_[index].session != 0) input(input::NodeGone{nodes_[index].session});
  nodes_[index].session = 0;
}

std::size_t World::index_of(NodeId id) const { return static_cast<std::size_t>(id.value() - 1); }

std::optional<VolumeRecord> World::record(VolumeId volume) { return store_.volume(volume).value(); }

std::size_t World::primary_index(VolumeId volume) {
  const auto held = record(volume);
  return index_of(held->replica(held->primary)->node);
}

bool World::is_serving(VolumeId volume) {
  const auto held = record(volume);
  if (!held || held->pending || held->epoch == Epoch(0)) return false;
  const ModelNode& node = nodes_[primary_index(volume)];
  const auto at = node.replicas.find(volume);
  return node.alive && at != node.replicas.end() && at->second.serving &&
         at->second.role == Role::primary && at->second.assignment.epoch == held->epoch;
}

bool World::is_settled(VolumeId volume) {
  if (!is_serving(volume)) return false;
  const auto held = record(volume);
  for (const ReplicaRecord& replica : held->replicas) {
    const ModelNode& node = nodes_[index_of(replica.node)];
    if (!node.alive || !node.reaches) continue;
    const auto at = node.replicas.find(volume);
    if (at == node.replicas.end() || at->second.assignment.revision != held->revision) return false;
  }
  return true;
}

// --- the model of a node ---

void World::on(ModelNode& node, const control::CreateReplica& message) {
  const std::size_t index = index_of(node.id);
  if (node.fails_create) {
    say(index, control::ReplicaCreated{message.operation, message.volume, message.replica, false,
                                       "the pool is full"});
    return;
  }
  if (!node.replicas.contains(message.volume)) {
    ModelReplica& replica = node.replicas[message.volume];
    replica.facts.incarnation = message.incarnation;
    replica.facts.replica = message.replica;
    replica.facts.process_start = node.process_start;
    replica.facts.intact = true;
    replica.facts.size = message.size;
    replica.opening = Opening{node.process_start, {}, 1, Lsn(0), 2};
  }
  say(index, control::ReplicaCreated{message.operation, message.volume, message.replica, true, ""});
}

void World::on(ModelNode& node, const control::DeleteReplica& message) {
  const auto at = node.replicas.find(message.volume);
  if (at != node.replicas.end() && at->second.facts.replica == message.replica) {
    node.replicas.erase(at);
  }
  say(index_of(node.id),
      control::ReplicaDeleted{message.operation, message.volume, message.replica, true});
}

void World::on(ModelNode& node, const control::Fence& message) {
  const auto at = node.replicas.find(message.request.volume);
  if (at == node.replicas.end() || node.mute_fences) return;
  ModelReplica& replica = at->second;
  const auto held = record(message.request.volume);
  EXPECT_TRUE(held && held->greatest_epoch() >= message.request.epoch) << "not in the store";
  if (message.request.epoch < replica.facts.promised) {
    say(index_of(node.id), control::FenceRefused{message.request.volume, replica.facts.replica,
                                                 replica.facts.promised});
    return;
  }
  if (message.request.epoch > replica.facts.promised) {
    replica.serving = false;
    replica.role = replica.role == Role::primary ? Role::stepped_down : replica.role;
  }
  if (replica.facts.promised != message.request.epoch) ++replica.opening.generation;
  replica.facts.promised = message.request.epoch;
  replica.facts.seen_epoch = std::max(replica.facts.seen_epoch, message.request.epoch);
  replica.facts.seen_revision = std::max(replica.facts.seen_revision, message.request.revision);
  say(index_of(node.id),
      control::Fenced{FenceReport{message.request.volume, message.request.epoch, replica.facts},
                      replica.facts.replica});
}

void World::check_assign(const control::Assign& message) {
  const Assignment& assignment = message.assignment;
  const auto held = record(assignment.volume);
  EXPECT_TRUE(held && held->revision >= assignment.revision) << "told before it was committed";
  const auto [primary, fresh] =
      primaries_.try_emplace({assignment.volume, assignment.epoch}, assignment.primary);
  EXPECT_EQ(primary->second, assignment.primary) << "one epoch, two primaries";
  if (fresh) {
    const auto completed = completed_.find(assignment.volume);
    if (completed != completed_.end()) {
      EXPECT_GE(assignment.winner_position, completed->second) << "a completed write is lost";
    }
  }
  const auto [content, first] = assigned_.try_emplace(
      {assignment.volume, {assignment.epoch, assignment.revision}}, assignment);
  EXPECT_EQ(content->second, assignment) << "one revision, two contents";
}

void World::on(ModelNode& node, const control::Assign& message) {
  check_assign(message);
  const Assignment& assignment = message.assignment;
  const auto at = node.replicas.find(assignment.volume);
  if (at == node.replicas.end()) return;
  ModelReplica& replica = at->second;
  if (assignment.epoch < replica.facts.promised) return;  // older than its promise
  const auto newness = std::pair(assignment.epoch, assignment.revision);
  if (newness < std::pair(replica.assignment.epoch, replica.assignment.revision)) return;
  const bool new_epoch = assignment.epoch != replica.assignment.epoch;
  const bool leads = assignment.primary == replica.facts.replica;
  if (leads && new_epoch &&
      (assignment.winner_start != node.process_start ||
       assignment.winner_position != position_of(replica.facts))) {
    say(index_of(node.id), control::AssignRefused{assignment.volume, replica.facts.replica,
                                                  assignment.epoch, "not what I reported"});
    return;
  }
  replica.assignment = assignment;
  replica.proposed.reset();  // its outcome is known
  if (new_epoch) replica.level.clear();
  replica.facts.promised = std::max(replica.facts.promised, assignment.epoch);
  replica.facts.seen_epoch = assignment.epoch;
  replica.facts.seen_revision = assignment.revision;
  if (!new_epoch) return;
  replica.serving = false;
  replica.role = leads ? Role::promoting : Role::replica;
  if (!leads) return;
  replica.facts.last_term = assignment.epoch;  // its term-start, written here only so far
  ++replica.facts.marks.written;
}

void World::on(ModelNode&, const control::Refuse&) {}

void World::on(ModelNode& node, const control::Probe&) { beat(index_of(node.id)); }

void World::on(ModelNode& node, const control::AttachmentView& message) {
  if (message.revoked) {
    node.views.erase(message.attachment);
  } else {
    node.views[message.attachment] = message;
  }
}

// Every living primary brings the living members of its epoch up to its own log.
void World::replicate() {
  for (ModelNode& node : nodes_) {
    if (!node.alive) continue;
    for (auto& [volume, primary] : node.replicas) {
      const bool leads = primary.role == Role::primary || primary.role == Role::promoting;
      if (!leads || primary.facts.promised != primary.assignment.epoch) continue;
      std::vector<Standing<Lsn>> standings{{primary.facts.replica, primary.facts.marks.written}};
      for (ModelNode& other : nodes_) {
        const auto at = other.replicas.find(volume);
        if (&other == &node || !other.alive || other.lags || at == other.replicas.end()) continue;
        ModelReplica& peer = at->second;
        if (primary.assignment.epoch < peer.facts.promised) continue;
        if (peer.assignment.epoch != primary.assignment.epoch) continue;
        if (!primary.assignment.names(peer.facts.replica)) continue;
        peer.facts.last_term = primary.facts.last_term;
        peer.facts.marks.written = primary.facts.marks.written;
        standings.push_back({peer.facts.replica, peer.facts.marks.written});
      }
      primary.level.clear();
      for (const Standing<Lsn>& each : standings) {
        if (each.replica != primary.facts.replica) primary.level.push_back(each.replica);
      }
      const auto committed =
          reached_jointly<Lsn>(primary.assignment.config, primary.proposed, standings);
      if (committed && *committed == primary.facts.marks.written) {
        primary.role = Role::primary;
        primary.serving = true;
        Position& completed = completed_[volume];
        completed = std::max(completed, position_of(primary.facts));
      }
      if (primary.serving) propose(node, primary);
    }
  }
}

// Its step to the wish, once everybody whom that step adds is level; again until it has an answer.
void World::propose(ModelNode& node, ModelReplica& primary) {
  if (primary.proposed && now_.value() % 500 != 0) return;
  const Assignment& assignment = primary.assignment;
  if (!assignment.wish) return;
  const auto counts = [&primary](ReplicaId id) {
    return id == primary.facts.replica || std::ranges::count(primary.level, id) > 0;
  };
  Configuration next = *assignment.wish;
  next.members = members_of_step(*assignment.wish, primary.facts.replica);
  if (fulfils(assignment.config, next)) return;
  std::size_t present = 0;
  for (const ReplicaId id : next.members) {
    if (!counts(id) && !assignment.config.members.contains(id)) return;
    present += counts(id) ? 1 : 0;
    if (next.policy == Policy::in_sync && counts(id)) next.in_sync.push_back(id);
  }
  const std::size_t least =
      next.policy == Policy::quorum ? write_quorum(next.members.size()) : next.min_in_sync;
  if (present < least) return;
  primary.proposed = next;
  say(index_of(node.id),
      control::Proposed{ConfigProposal{assignment.volume, assignment.epoch, assignment.revision,
                                       next, primary.facts.replica},
                        primary.facts.replica});
}

bool World::write(VolumeId volume) {
  if (!is_serving(volume)) return false;
  ModelReplica& primary = nodes_[primary_index(volume)].replicas.at(volume);
  ++primary.facts.marks.written;
  const Position wanted = position_of(primary.facts);
  replicate();
  return completed_[volume] >= wanted;
}

void World::write_privately(VolumeId volume) {
  ++nodes_[primary_index(volume)].replicas.at(volume).facts.marks.written;
}

}  // namespace seawall::controller
