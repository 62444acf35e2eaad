#include "node/runtime/node_host.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace seawall::runtime {

NodeHost::NodeHost(Shard& shard, ReplicaDirectory& directory, const NodeHostOptions& options)
    : shard_(shard), directory_(directory), options_(options), alive_(std::make_shared<Alive>()) {
  alive_->node = this;
}

NodeHost::~NodeHost() {
  alive_->node = nullptr;
  attachments_.clear();  // before the hosts that they talk to
  if (next_beat_.has_value()) shard_.timers.cancel(*this);
}

// --- life ---

void NodeHost::start() {
  auto found = std::make_shared<std::vector<ReplicaRecord>>();
  shard_.blocking.run(
      [found, &directory = directory_] { *found = directory.list(); },
      [found, alive = alive_] {
        NodeHost* node = alive->node;
        if (node == nullptr) return;
        for (const ReplicaRecord& record : *found) {
          const bool ours = !node->options_.owns || node->options_.owns(record.volume);
          if (ours && !node->stopping_) node->add_replica(record);
        }
        node->listed_ = true;
        node->send_register();
      });
}

void NodeHost::add_replica(const ReplicaRecord& record) {
  if (replicas_.size() >= replicas_max) {
    ++counters_.crowded;
    return;
  }
  Replica replica;
  replica.record = record;
  VolumeHostOptions options;
  options.volume = record.volume;
  options.incarnation = record.incarnation;
  options.replica = record.replica;
  options.process_start = options_.process_start;
  options.boot = options_.boot;
  options.core = options_.core;
  options.scrub = options_.scrub;
  options.keep_log_percent = options_.keep_log_percent;
  replica.host =
      std::make_unique<VolumeHost>(shard_, options, directory_.disk(record.replica));
  replica.host->open();
  replicas_.emplace(record.replica, std::move(replica));
}

bool NodeHost::ready() const {
  if (!listed_) return false;
  return std::all_of(replicas_.begin(), replicas_.end(), [](const auto& entry) {
    return entry.second.host->state() != VolumeHost::State::opening;
  });
}

void NodeHost::stop(bool clean) {
  stopping_ = true;
  for (auto& [volume, attached] : attachments_) {
    attached.attachment->stop();
    attached.detaching = true;
  }
  for (auto& [id, replica] : replicas_) replica.host->close(clean);
  while (!fresh_.empty()) {
    shard_.transport.close(fresh_.back());
    fresh_.pop_back();
  }
}

bool NodeHost::stopped() const {
  if (!stopping_ || !creating_.empty() || !attachments_.empty()) return false;
  return std::all_of(replicas_.begin(), replicas_.end(), [](const auto& entry) {
    return entry.second.host->state() == VolumeHost::State::closed && !entry.second.removing;
  });
}

void NodeHost::turn(Instant now) {
  for (auto& [id, replica] : replicas_) replica.host->turn(now);
  // What attachments ask goes to the disk in this turn, and what is answered at once comes back in
  // it.
  constexpr int rounds_max = 4;
  for (int round = 0; round < rounds_max && !attachments_.empty(); ++round) {
    bool answered = false;
    for (auto& [volume, attached] : attachments_) attached.attachment->turn(now);
    for (auto& [id, replica] : replicas_) replica.host->turn(now);
    for (auto& [volume, attached] : attachments_) {
      answered = answered || attached.attachment->has_news();
    }
    if (!answered) break;
  }
  for (auto& [volume, attached] : attachments_) attached.attachment->wake_for_news(now);
  std::erase_if(attachments_, [](const auto& entry) {
    return entry.second.detaching && entry.second.attachment->open() == 0;
  });
  end_removed();
}

// --- control ---

void NodeHost::on_control(const control::ToNode& message) {
  if (stopping_) {
    ++counters_.dropped_control;
    return;
  }
  std::visit([this](const auto& m) { on(m); }, message);
}

void NodeHost::say_created(const control::CreateReplica& m, bool ok, const std::string& error) {
  shard_.control.send(control::ReplicaCreated{m.operation, m.volume, m.replica, ok, error});
}

void NodeHost::on(const control::CreateReplica& m) {
  const auto existing = replicas_.find(m.replica);
  if (existing != replicas_.end()) {  // the same operation again, or its answer was lost
    const bool same = existing->second.record.volume == m.volume &&
                      existing->second.record.incarnation == m.incarnation;
    return say_created(m, same, same ? "" : "the id belongs to another replica");
  }
  if (creating_.contains(m.replica)) return;  // it answers when it is done
  if (replicas_.size() + creating_.size() >= replicas_max) {
    return say_created(m, false, "this node holds no more replicas");
  }
  creating_.emplace(m.replica, m.operation);
  wal::CreateOptions options;
  options.incarnation = m.incarnation;
  options.replica = m.replica;
  options.geometry = {m.size, m.log_bytes, m.extent_bytes};
  const ReplicaRecord record{m.volume, m.volume_name, m.incarnation, m.replica};
  auto status = std::make_shared<Status>();
  shard_.blocking.run(
      [status, record, options, &directory = directory_] {
        *status = directory.create(record, options);
      },
      [status, m, alive = alive_] {
        if (alive->node != nullptr) alive->node->created(m, *status);
      });
}

void NodeHost::created(const control::CreateReplica& m, const Status& status) {
  creating_.erase(m.replica);
  if (status.has_value() && !stopping_) {
    add_replica({m.volume, m.volume_name, m.incarnation, m.replica});
  }
  say_created(m, status.has_value(), status.has_value() ? "" : status.error().what);
}

void NodeHost::on(const control::DeleteReplica& m) {
  if (creating_.contains(m.replica)) {  // not before it is whole: the controller asks again
    shard_.control.send(control::ReplicaDeleted{m.operation, m.volume, m.replica, false});
    return;
  }
  const auto found = replicas_.find(m.replica);
  if (found == replicas_.end()) {  // nothing left of it: done
    shard_.control.send(control::ReplicaDeleted{m.operation, m.volume, m.replica, true});
    return;
  }
  Replica& replica = found->second;
  if (replica.record.volume != m.volume) {
    shard_.control.send(control::ReplicaDeleted{m.operation, m.volume, m.replica, false});
    return;
  }
  if (std::find(replica.deletions.begin(), replica.deletions.end(), m.operation) ==
      replica.deletions.end()) {
    replica.deletions.push_back(m.operation);
  }
  replica.host->remove();
  replica.host->close(false);
}

// Replicas that are to go and whose Store has closed: their files go now.
void NodeHost::end_removed() {
  for (auto& [id, replica] : replicas_) {
    if (replica.deletions.empty() || replica.removing) continue;
    if (replica.host->state() != VolumeHost::State::closed) continue;
    replica.removing = true;
    directory_.close(id);
    auto status = std::make_shared<Status>();
    shard_.blocking.run(
        [status, replica_id = id, &directory = directory_] {
          *status = directory.remove(replica_id);
        },
        [status, replica_id = id, alive = alive_] {
          if (alive->node != nullptr) alive->node->removed(replica_id, *status);
        });
  }
}

void NodeHost::removed(ReplicaId id, const Status& status) {
  const auto found = replicas_.find(id);
  CHECK(found != replicas_.end());
  const Replica replica = std::move(found->second);
  replicas_.erase(found);
  for (const std::uint64_t operation : replica.deletions) {
    shard_.control.send(
        control::ReplicaDeleted{operation, replica.record.volume, id, status.has_value()});
  }
}

void NodeHost::on(const control::Assign& m) {
  bool known = false;
  for (auto& [id, replica] : replicas_) {
    if (replica.record.volume != m.assignment.volume) continue;
    replica.host->assign(m);
    known = true;
  }
  if (!known) ++counters_.dropped_control;
}

void NodeHost::on(const control::Fence& m) {
  VolumeHost* host = find_replica(m.request.volume, m.request.replica);
  if (host != nullptr) {
    host->fence(m.request);
  } else {
    ++counters_.dropped_control;
  }
}

void NodeHost::on(const control::Refuse& m) {
  for (auto& [id, replica] : replicas_) {
    if (replica.record.volume == m.refusal.volume) replica.host->refuse(m.refusal);
  }
}

void NodeHost::on(const control::AttachmentView& m) {
  if (Attachment* attachment = find_attachment(m.volume)) {
    attachment->update(m);
  } else {
    ++counters_.dropped_control;
  }
}

// A daemon's edge answers for all shards; nothing is left to say here.
void NodeHost::on(const control::Probe&) {
  if (options_.heartbeats && next_beat_.has_value()) beat(shard_.clock.now());
}

// --- attachments ---

Attachment* NodeHost::attach(const control::AttachmentView& view, Attachment::Done done,
                             std::unique_ptr<AttachmentState> state) {
  if (stopping_ || attachments_.contains(view.volume)) return nullptr;
  if (attachments_.size() >= attachments_max) return nullptr;
  // Without the memory of its earlier life an attachment numbers its requests from 1 on: a second
  // life of the same generation, here or in the process before this one, would reuse numbers that
  // mean other requests.
  const bool of_another_process =
      view.holder_start != ProcessStart{} && view.holder_start != options_.process_start;
  AttachmentId& newest = newest_attachment_[view.volume];
  const bool continues = state != nullptr && state->continues();
  if (!continues && (of_another_process || view.attachment <= newest)) return nullptr;
  newest = std::max(newest, view.attachment);
  Attached attached;
  attached.state = state != nullptr ? std::move(state)
                                    : std::make_unique<VolatileAttachmentState>(view.attachment);
  attached.attachment =
      std::make_unique<Attachment>(shard_, *this, *attached.state, std::move(done));
  attached.attachment->update(view);
  return attachments_.emplace(view.volume, std::move(attached))
      .first->second.attachment.get();
}

void NodeHost::detach(VolumeId volume) {
  const auto found = attachments_.find(volume);
  if (found == attachments_.end()) return;
  found->second.attachment->stop();
  found->second.detaching = true;
}

Attachment* NodeHost::find_attachment(VolumeId volume) {
  const auto found = attachments_.find(volume);
  return found == attachments_.end() || found->second.detaching
             ? nullptr
             : found->second.attachment.get();
}

// --- replicas ---

VolumeHost* NodeHost::find_replica(VolumeId volume, ReplicaId replica) {
  const auto found = replicas_.find(replica);
  if (found == replicas_.end() || found->second.record.volume != volume) return nullptr;
  return found->second.host.get();
}

// Of several replicas of one volume, the one that knows the greatest epoch as its own primary.
VolumeHost* NodeHost::find_volume(VolumeId volume) {
  VolumeHost* best = nullptr;
  for (auto& [id, replica] : replicas_) {
    if (replica.record.volume != volume) continue;
    VolumeHost* host = replica.host.get();
    if (best == nullptr || best->state() != VolumeHost::State::open) {
      best = host;
      continue;
    }
    const PrimaryIs mine = host->primary_is();
    const PrimaryIs other = best->primary_is();
    const auto rank = [](const PrimaryIs& answer, const VolumeHost& of) {
      return std::pair(answer.epoch, answer.primary == of.replica());
    };
    if (rank(mine, *host) > rank(other, *best)) best = host;
  }
  return best;
}

std::vector<ReplicaStatus> NodeHost::statuses() const {
  std::vector<ReplicaStatus> all;
  all.reserve(replicas_.size());
  for (const auto& [id, replica] : replicas_) all.push_back(replica.host->status());
  std::sort(all.begin(), all.end(), [](const ReplicaStatus& a, const ReplicaStatus& b) {
    return std::pair(a.volume, a.replica) < std::pair(b.volume, b.replica);
  });
  return all;
}

void NodeHost::for_each_replica(const std::function<void(VolumeHost&)>& visit) {
  for (auto& [id, replica] : replicas_) visit(*replica.host);
}

// --- links ---

void NodeHost::on_accepted(LinkId link, const Frame& first) {
  const SlotRef payload(shard_.pool, first.payload);  // no first frame has one
  if (stopping_ || !runtime::admits(LinkState::fresh, first.header.type)) {
    ++counters_.unadmitted;
    shard_.transport.close(link);
    return;
  }
  route(link, first);
}

void NodeHost::route(LinkId link, const Frame& frame) {
  forget_fresh(link);
  switch (frame.header.type) {
    case FrameType::hello: {
      const Result<PeerFrame> hello = decode_peer(frame, shard_.pool, shard_.scratch.decode);
      if (!hello.has_value()) break;
      VolumeHost* host = find_replica(frame.header.volume, hello->envelope.to);
      if (host != nullptr && host->adopt_peer(link, frame)) return;
      ++counters_.unknown;
      shard_.transport.close(link);
      return;
    }
    case FrameType::client_attach: {
      VolumeHost* host = find_volume(frame.header.volume);
      if (host != nullptr && host->adopt_client(link, frame)) return;
      ++counters_.unknown;
      shard_.transport.close(link);
      return;
    }
    case FrameType::who_is_primary: {
      const Result<WhoIsPrimary> question = decode_who_is_primary(frame);
      if (!question.has_value()) break;
      const VolumeHost* host = find_volume(question->volume);
      PrimaryIs answer{question->volume, {}, std::nullopt, false};
      if (host != nullptr && host->incarnation() == question->incarnation) {
        answer = host->primary_is();
      }
      keep_fresh(link);
      shard_.transport.send(link, encode(answer, shard_.scratch.meta));
      return;
    }
    default: break;
  }
  ++counters_.malformed;
  shard_.transport.close(link);
}

// The oldest one goes when there are too many.
void NodeHost::keep_fresh(LinkId link) {
  if (fresh_.full()) {
    ++counters_.crowded;
    shard_.transport.close(fresh_.front());
    fresh_.erase_at(0);
  }
  fresh_.push_back(link);
  shard_.transport.adopt(link, *this);
}

void NodeHost::forget_fresh(LinkId link) {
  fresh_.erase_if([&](const LinkId& other) { return other == link; });
}

void NodeHost::on_connected(LinkId) {}

bool NodeHost::admits(LinkId link, FrameType type) const {
  return fresh_.contains(link) && runtime::admits(LinkState::fresh, type);
}

void NodeHost::on_frame(LinkId link, const Frame& frame) { on_accepted(link, frame); }

void NodeHost::on_closed(LinkId link) { forget_fresh(link); }

// --- heartbeats ---

void NodeHost::send_register() {
  if (!options_.heartbeats) return;
  control::Register hello;
  hello.node = options_.node;
  hello.name = options_.name;
  hello.pool_id = options_.pool_id;
  hello.data_address = options_.data_address;
  hello.boot_hi = options_.boot.hi;
  hello.boot_lo = options_.boot.lo;
  hello.process_start = options_.process_start;
  hello.replicas = statuses();
  shard_.control.send(hello);
  next_beat_ = shard_.clock.now() + options_.heartbeat;
  shard_.timers.wake_at(*this, *next_beat_);
}

void NodeHost::on_timer(Instant now) {
  next_beat_.reset();
  if (!stopping_) beat(now);
}

void NodeHost::beat(Instant now) {
  control::Heartbeat beat;
  beat.node = options_.node;
  beat.sequence = ++beats_;
  beat.replicas = statuses();
  shard_.control.send(beat);
  next_beat_ = now + options_.heartbeat;
  shard_.timers.wake_at(*this, *next_beat_);
}

}  // namespace seawall::runtime
