#include "proto/convert.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <string>

#include "engine/base/limits.h"

namespace seawall::proto {
namespace {

// Structs carry reasons as static texts: what came over the wire is kept for the life of the
// process.
const char* keep_reason(const std::string& text) {
  static std::mutex mutex;
  static std::set<std::string>* kept = new std::set<std::string>;  // never destroyed: pointers stay
  if (text.empty()) return "";
  const std::string bounded = text.substr(0, reason_bytes_max);
  const std::lock_guard<std::mutex> lock(mutex);
  const auto at = kept->find(bounded);
  if (at != kept->end()) return at->c_str();
  if (kept->size() >= reasons_max) return "other";
  return kept->insert(bounded).first->c_str();
}

bool read_set(const google::protobuf::RepeatedField<std::uint64_t>& in, ReplicaSet& out) {
  out.clear();
  for (const std::uint64_t id : in) {
    if (!out.empty() && ReplicaId(id) <= out.back()) return false;  // sorted, no duplicates
    if (!out.try_push_back(ReplicaId(id))) return false;
  }
  return true;
}

template <class Out, class Value, class Setter>
void write_optional(const std::optional<Value>& value, Out& out, Setter setter) {
  if (value) (out.*setter)(value->value());
}

void write_marks(const Watermarks& in, v1::Watermarks& out) {
  out.set_written(in.written.value());
  out.set_durable(in.durable.value());
  out.set_applied(in.applied.value());
  out.set_trimmed(in.trimmed.value());
}

Watermarks read_marks(const v1::Watermarks& in) {
  return Watermarks{Lsn(in.written()), Lsn(in.durable()), Lsn(in.applied()), Lsn(in.trimmed())};
}

void write_session(const SessionId& in, v1::SessionId& out) {
  out.set_epoch(in.epoch.value());
  out.set_counter(in.counter);
}

SessionId read_session(const v1::SessionId& in) { return {Epoch(in.epoch()), in.counter()}; }

void write_position(const Position& in, v1::Position& out) {
  out.set_term(in.term.value());
  out.set_lsn(in.lsn.value());
}

Position read_position(const v1::Position& in) { return {Term(in.term()), Lsn(in.lsn())}; }

v1::ReplicaState state_to_proto(ReplicaState state) {
  switch (state) {
    case ReplicaState::in_sync: return v1::REPLICA_STATE_IN_SYNC;
    case ReplicaState::catching_up: return v1::REPLICA_STATE_CATCHING_UP;
    case ReplicaState::rebuilding: return v1::REPLICA_STATE_REBUILDING;
    case ReplicaState::rewinding: return v1::REPLICA_STATE_REWINDING;
    case ReplicaState::proving: return v1::REPLICA_STATE_PROVING;
    case ReplicaState::unreachable: return v1::REPLICA_STATE_UNREACHABLE;
    case ReplicaState::failed: return v1::REPLICA_STATE_FAILED;
    case ReplicaState::unknown: return v1::REPLICA_STATE_UNKNOWN;
    case ReplicaState::terminal: return v1::REPLICA_STATE_TERMINAL;
  }
  return v1::REPLICA_STATE_UNKNOWN;
}

ReplicaState state_from_proto(v1::ReplicaState state) {
  switch (state) {
    case v1::REPLICA_STATE_IN_SYNC: return ReplicaState::in_sync;
    case v1::REPLICA_STATE_CATCHING_UP: return ReplicaState::catching_up;
    case v1::REPLICA_STATE_REBUILDING: return ReplicaState::rebuilding;
    case v1::REPLICA_STATE_REWINDING: return ReplicaState::rewinding;
    case v1::REPLICA_STATE_PROVING: return ReplicaState::proving;
    case v1::REPLICA_STATE_UNREACHABLE: return ReplicaState::unreachable;
    case v1::REPLICA_STATE_FAILED: return ReplicaState::failed;
    case v1::REPLICA_STATE_TERMINAL: return ReplicaState::terminal;
    default: return ReplicaState::unknown;
  }
}

void write_failures(const PeerStatus& in, v1::PeerStatus& out) {
  for (const FailureStatus& failure : in.failures) {
    v1::FailureStatus& each = *out.add_failures();
    each.set_kind(static_cast<std::uint32_t>(failure.kind));
    each.set_action(static_cast<std::uint32_t>(failure.action));
    each.set_nth(failure.nth);
    each.set_ago_ms(failure.ago.value());
  }
}

// What a newer node knows and this one does not is left out: nothing is decided by it.
void read_failures(const v1::PeerStatus& in, PeerStatus& out) {
  for (const v1::FailureStatus& each : in.failures()) {
    const bool known = each.kind() < failure_kinds &&
                       each.action() <= static_cast<std::uint32_t>(FailureAction::terminal);
    if (!known || out.failures.full()) continue;
    out.failures.push_back({static_cast<FailureKind>(each.kind()),
                            static_cast<FailureAction>(each.action()), each.nth(),
                            Duration(each.ago_ms())});
  }
}

void write_peer(const PeerStatus& in, v1::PeerStatus& out) {
  out.set_replica(in.replica.value());
  out.set_state(state_to_proto(in.state));
  out.set_kind(static_cast<v1::RecoveryKind>(in.kind));
  write_session(in.session, *out.mutable_session());
  write_optional(in.written, out, &v1::PeerStatus::set_written);
  write_optional(in.durable, out, &v1::PeerStatus::set_durable);
  write_optional(in.applied, out, &v1::PeerStatus::set_applied);
  out.set_bytes_total(in.bytes_total);
  out.set_bytes_left(in.bytes_left);
  out.set_reason(in.reason);
  out.set_phase(static_cast<v1::SessionPhase>(in.phase));
  if (in.lag) out.set_lag(*in.lag);
  out.set_lasting_ms(in.lasting.value());
  out.set_escalated(in.escalated);
  write_failures(in, out);
  out.set_start(in.start.value());
}

bool read_peer(const v1::PeerStatus& in, PeerStatus& out) {
  if (!v1::RecoveryKind_IsValid(in.kind())) return false;
  out.replica = ReplicaId(in.replica());
  out.state = state_from_proto(in.state());
  out.kind = static_cast<RecoveryKind>(in.kind());
  out.session = read_session(in.session());
  if (in.has_written()) out.written = Lsn(in.written());
  if (in.has_durable()) out.durable = Lsn(in.durable());
  if (in.has_applied()) out.applied = Lsn(in.applied());
  out.bytes_total = in.bytes_total();
  out.bytes_left = in.bytes_left();
  out.reason = keep_reason(in.reason());
  if (v1::SessionPhase_IsValid(in.phase())) out.phase = static_cast<SessionPhase>(in.phase());
  if (in.has_lag()) out.lag = in.lag();
  out.lasting = Duration(in.lasting_ms());
  out.escalated = in.escalated();
  read_failures(in, out);
  out.start = ProcessStart(in.start());
  return true;
}

void write_opening(const Opening& in, v1::Opening& out) {
  out.set_start(in.start.value());
  out.set_before(in.before.value());
  out.set_found(in.found);
  write_optional(in.end, out, &v1::Opening::set_end);
  out.set_generation(in.generation);
  out.set_power_lost(in.power_lost);
}

Opening read_opening(const v1::Opening& in) {
  Opening out;
  out.start = ProcessStart(in.start());
  out.before = ProcessStart(in.before());
  out.found = in.found();
  if (in.has_end()) out.end = Lsn(in.end());
  out.generation = in.generation();
  out.power_lost = in.power_lost();
  return out;
}

void write_addresses(const std::vector<control::ReplicaAddress>& in,
                     google::protobuf::RepeatedPtrField<v1::ReplicaAddress>& out) {
  for (const control::ReplicaAddress& address : in) {
    v1::ReplicaAddress& each = *out.Add();
    each.set_replica(address.replica.value());
    each.set_node(address.node.value());
    each.set_version(address.version.value());
    each.set_address(address.address);
  }
}

bool read_addresses(const google::protobuf::RepeatedPtrField<v1::ReplicaAddress>& in,
                    std::vector<control::ReplicaAddress>& out) {
  if (static_cast<std::size_t>(in.size()) > limits::members_max) return false;
  for (const v1::ReplicaAddress& each : in) {
    out.push_back(control::ReplicaAddress{ReplicaId(each.replica()), NodeId(each.node()),
                                          EndpointVersion(each.version()), each.address()});
  }
  return true;
}

void write_assignment(const Assignment& in, v1::Assignment& out) {
  to_proto(in.volume, *out.mutable_volume());
  to_proto(in.incarnation, *out.mutable_incarnation());
  out.set_epoch(in.epoch.value());
  out.set_revision(in.revision.value());
  out.set_primary(in.primary.value());
  to_proto(in.config, *out.mutable_config());
  for (const PeerEndpoint& endpoint : in.endpoints) {
    v1::PeerEndpoint& each = *out.add_endpoints();
    each.set_replica(endpoint.replica.value());
    each.set_version(endpoint.version.value());
    each.set_word(endpoint.word);
  }
  for (const AttachmentGrant& grant : in.attachments) {
    v1::AttachmentGrant& each = *out.add_attachments();
    each.set_attachment(grant.attachment.value());
    each.set_node(grant.node.value());
  }
  out.set_size_blocks(in.size.value());
  out.set_winner_start(in.winner_start.value());
  write_position(in.winner_position, *out.mutable_winner_position());
  out.set_after_power_loss(in.after_power_loss);
  if (in.wish) to_proto(*in.wish, *out.mutable_wish());
  out.set_drains(in.drains);
  out.set_forced(in.forced);
}

// Members and newcomers together are bounded, as the primary has one row for each.
bool read_wish(const v1::Configuration& in, Assignment& out) {
  if (!from_proto(in, out.wish.emplace())) return false;
  std::size_t all = out.config.members.size();
  for (const ReplicaId member : out.wish->members)
    all += out.config.members.contains(member) ? 0 : 1;
  return all <= limits::members_max;
}

bool read_assignment(const v1::Assignment& in, Assignment& out) {
  from_proto(in.volume(), out.volume);
  from_proto(in.incarnation(), out.incarnation);
  out.epoch = Epoch(in.epoch());
  out.revision = Revision(in.revision());
  out.primary = ReplicaId(in.primary());
  if (!from_proto(in.config(), out.config)) return false;
  for (const v1::PeerEndpoint& each : in.endpoints()) {
    const PeerEndpoint endpoint{ReplicaId(each.replica()), EndpointVersion(each.version()),
                                each.word()};
    if (!out.endpoints.try_push_back(endpoint)) return false;
  }
  for (const v1::AttachmentGrant& each : in.attachments()) {
    const AttachmentGrant grant{AttachmentId(each.attachment()), NodeId(each.node())};
    if (!out.attachments.try_push_back(grant)) return false;
  }
  out.size = BlockCount(in.size_blocks());
  out.winner_start = ProcessStart(in.winner_start());
  out.winner_position = read_position(in.winner_position());
  out.after_power_loss = in.after_power_loss();
  if (in.has_wish() && !read_wish(in.wish(), out)) return false;
  out.drains = in.drains();
  out.forced = in.forced();
  return out.size.value() <= limits::volume_blocks_max;
}

// --- controller to node, one pair a message ---

void write(const control::CreateReplica& in, v1::ControllerMessage& message) {
  v1::CreateReplica& out = *message.mutable_create_replica();
  out.set_operation(in.operation);
  to_proto(in.volume, *out.mutable_volume());
  out.set_volume_name(in.volume_name);
  to_proto(in.incarnation, *out.mutable_incarnation());
  out.set_replica(in.replica.value());
  out.set_size_blocks(in.size.value());
  out.set_log_bytes(in.log_bytes);
  out.set_extent_bytes(in.extent_bytes);
}

bool read(const v1::CreateReplica& in, control::CreateReplica& out) {
  out.operation = in.operation();
  from_proto(in.volume(), out.volume);
  out.volume_name = in.volume_name();
  from_proto(in.incarnation(), out.incarnation);
  out.replica = ReplicaId(in.replica());
  out.size = BlockCount(in.size_blocks());
  out.log_bytes = in.log_bytes();
  out.extent_bytes = in.extent_bytes();
  return out.size.value() <= limits::volume_blocks_max;
}

void write(const control::DeleteReplica& in, v1::ControllerMessage& message) {
  v1::DeleteReplica& out = *message.mutable_delete_replica();
  out.set_operation(in.operation);
  to_proto(in.volume, *out.mutable_volume());
  out.set_replica(in.replica.value());
}

bool read(const v1::DeleteReplica& in, control::DeleteReplica& out) {
  out.operation = in.operation();
  from_proto(in.volume(), out.volume);
  out.replica = ReplicaId(in.replica());
  return true;
}

void write(const control::Assign& in, v1::ControllerMessage& message) {
  v1::Assign& out = *message.mutable_assign();
  write_assignment(in.assignment, *out.mutable_assignment());
  out.set_volume_name(in.volume_name);
  write_addresses(in.addresses, *out.mutable_addresses());
}

bool read(const v1::Assign& in, control::Assign& out) {
  out.volume_name = in.volume_name();
  return read_assignment(in.assignment(), out.assignment) &&
         read_addresses(in.addresses(), out.addresses);
}

void write(const control::Fence& in, v1::ControllerMessage& message) {
  v1::Fence& out = *message.mutable_fence();
  to_proto(in.request.volume, *out.mutable_volume());
  out.set_replica(in.request.replica.value());
  out.set_epoch(in.request.epoch.value());
  out.set_revision(in.request.revision.value());
}

bool read(const v1::Fence& in, control::Fence& out) {
  from_proto(in.volume(), out.request.volume);
  out.request.replica = ReplicaId(in.replica());
  out.request.epoch = Epoch(in.epoch());
  out.request.revision = Revision(in.revision());
  return true;
}

void write(const control::Refuse& in, v1::ControllerMessage& message) {
  v1::Refuse& out = *message.mutable_refuse();
  to_proto(in.refusal.volume, *out.mutable_volume());
  out.set_epoch(in.refusal.epoch.value());
  out.set_base(in.refusal.base.value());
  out.set_current(in.refusal.current.value());
}

bool read(const v1::Refuse& in, control::Refuse& out) {
  from_proto(in.volume(), out.refusal.volume);
  out.refusal.epoch = Epoch(in.epoch());
  out.refusal.base = Revision(in.base());
  out.refusal.current = Revision(in.current());
  return true;
}

void write(const control::Probe& in, v1::ControllerMessage& message) {
  to_proto(in.volume, *message.mutable_probe()->mutable_volume());
}

bool read(const v1::Probe& in, control::Probe& out) {
  from_proto(in.volume(), out.volume);
  return true;
}

void write(const control::AttachmentView& in, v1::ControllerMessage& message) {
  to_proto(in, *message.mutable_attachment());
}

template <class Struct, class Message>
bool read_into(const Message& in, control::ToNode& out) {
  return read(in, out.emplace<Struct>());
}

}  // namespace

void to_proto(const Configuration& in, v1::Configuration& out) {
  for (const ReplicaId member : in.members) out.add_members(member.value());
  for (const ReplicaId member : in.in_sync) out.add_in_sync(member.value());
  out.set_policy(static_cast<v1::Policy>(in.policy));
  out.set_min_in_sync(in.min_in_sync);
  out.set_write_cache(static_cast<v1::WriteCache>(in.write_cache));
}

bool from_proto(const v1::Configuration& in, Configuration& out) {
  if (!read_set(in.members(), out.members) || !read_set(in.in_sync(), out.in_sync)) return false;
  if (in.policy() != v1::POLICY_QUORUM && in.policy() != v1::POLICY_IN_SYNC) return false;
  if (in.write_cache() != v1::WRITE_CACHE_WRITEBACK && in.write_cache() != v1::WRITE_CACHE_NONE) {
    return false;
  }
  if (in.min_in_sync() > limits::members_max) return false;
  out.policy = static_cast<Policy>(in.policy());
  out.min_in_sync = static_cast<std::uint8_t>(in.min_in_sync());
  out.write_cache = static_cast<WriteCache>(in.write_cache());
  return true;
}

void to_proto(const ReplicaFacts& in, v1::ReplicaFacts& out) {
  to_proto(in.incarnation, *out.mutable_incarnation());
  out.set_replica(in.replica.value());
  out.set_process_start(in.process_start.value());
  out.set_promised(in.promised.value());
  out.set_seen_epoch(in.seen_epoch.value());
  out.set_seen_revision(in.seen_revision.value());
  write_marks(in.marks, *out.mutable_marks());
  out.set_last_term(in.last_term.value());
  out.set_chain(in.chain);
  out.set_intact(in.intact);
  if (in.floor) write_position(*in.floor, *out.mutable_floor());
  if (in.marker) {
    v1::RebuildMarker& marker = *out.mutable_marker();
    write_session(in.marker->session, *marker.mutable_session());
    marker.set_cut(in.marker->cut.value());
    write_optional(in.marker->start, marker, &v1::RebuildMarker::set_start);
  }
  out.set_damage(static_cast<v1::Damage>(in.damage));
  out.set_size_blocks(in.size.value());
  for (const TermEntry& entry : in.terms) {
    v1::TermEntry& each = *out.add_terms();
    each.set_term(entry.term.value());
    each.set_first_lsn(entry.first_lsn.value());
    each.set_chain_before(entry.chain_before);
  }
}

bool from_proto(const v1::ReplicaFacts& in, ReplicaFacts& out) {
  if (!v1::Damage_IsValid(in.damage())) return false;
  from_proto(in.incarnation(), out.incarnation);
  out.replica = ReplicaId(in.replica());
  out.process_start = ProcessStart(in.process_start());
  out.promised = Epoch(in.promised());
  out.seen_epoch = Epoch(in.seen_epoch());
  out.seen_revision = Revision(in.seen_revision());
  out.marks = read_marks(in.marks());
  out.last_term = Term(in.last_term());
  out.chain = in.chain();
  out.intact = in.intact();
  if (in.has_floor()) out.floor = read_position(in.floor());
  if (in.has_marker()) {
    RebuildMarker& marker = out.marker.emplace();
    marker.session = read_session(in.marker().session());
    marker.cut = Lsn(in.marker().cut());
    if (in.marker().has_start()) marker.start = Lsn(in.marker().start());
  }
  out.damage = static_cast<Damage>(in.damage());
  out.size = BlockCount(in.size_blocks());
  for (const v1::TermEntry& each : in.terms()) {
    const TermEntry entry{Term(each.term()), Lsn(each.first_lsn()), each.chain_before()};
    if (!out.terms.try_push_back(entry)) return false;
  }
  return true;
}

void to_proto(const ReplicaStatus& in, v1::ReplicaStatus& out) {
  to_proto(in.volume, *out.mutable_volume());
  out.set_replica(in.replica.value());
  out.set_epoch(in.epoch.value());
  out.set_promised(in.promised.value());
  out.set_revision(in.revision.value());
  out.set_role(static_cast<v1::Role>(in.role));
  out.set_serving(in.serving);
  write_marks(in.marks, *out.mutable_marks());
  write_optional(in.committed, out, &v1::ReplicaStatus::set_committed);
  write_optional(in.stable, out, &v1::ReplicaStatus::set_stable);
  out.set_log_failed(in.log_failed);
  for (const PeerStatus& peer : in.peers) write_peer(peer, *out.add_peers());
  out.set_reason(in.reason);
  if (in.grants_primary) out.set_grants_primary(*in.grants_primary);
  out.set_drained(in.drained);
  out.set_fill_percent(in.fill_percent);
  out.set_store_failures(in.store_failures);
  out.set_given_up(in.given_up);
  write_opening(in.opening, *out.mutable_opening());
}

bool from_proto(const v1::ReplicaStatus& in, ReplicaStatus& out) {
  if (!v1::Role_IsValid(in.role())) return false;
  from_proto(in.volume(), out.volume);
  out.replica = ReplicaId(in.replica());
  out.epoch = Epoch(in.epoch());
  out.promised = Epoch(in.promised());
  out.revision = Revision(in.revision());
  out.role = static_cast<Role>(in.role());
  out.serving = in.serving();
  out.marks = read_marks(in.marks());
  if (in.has_committed()) out.committed = Lsn(in.committed());
  if (in.has_stable()) out.stable = Lsn(in.stable());
  out.log_failed = in.log_failed();
  for (const v1::PeerStatus& each : in.peers()) {
    PeerStatus peer;
    if (!read_peer(each, peer) || !out.peers.try_push_back(peer)) return false;
  }
  out.reason = keep_reason(in.reason());
  if (in.has_grants_primary()) out.grants_primary = in.grants_primary();
  out.drained = in.drained();
  out.store_failures = in.store_failures();
  out.given_up = in.given_up();
  out.opening = read_opening(in.opening());
  out.fill_percent = static_cast<std::uint8_t>(std::min(in.fill_percent(), 255u));
  return true;
}

void to_proto(const control::AttachmentView& in, v1::AttachmentView& out) {
  to_proto(in.volume, *out.mutable_volume());
  out.set_volume_name(in.volume_name);
  to_proto(in.incarnation, *out.mutable_incarnation());
  out.set_attachment(in.attachment.value());
  out.set_epoch(in.epoch.value());
  out.set_revision(in.revision.value());
  out.set_primary(in.primary.value());
  out.set_size_blocks(in.size.value());
  out.set_io_timeout_ms(in.io_timeout_ms);
  write_addresses(in.addresses, *out.mutable_addresses());
  out.set_revoked(in.revoked);
  out.set_holder_start(in.holder_start.value());
}

bool from_proto(const v1::AttachmentView& in, control::AttachmentView& out) {
  from_proto(in.volume(), out.volume);
  out.volume_name = in.volume_name();
  from_proto(in.incarnation(), out.incarnation);
  out.attachment = AttachmentId(in.attachment());
  out.epoch = Epoch(in.epoch());
  out.revision = Revision(in.revision());
  out.primary = ReplicaId(in.primary());
  out.size = BlockCount(in.size_blocks());
  out.io_timeout_ms = in.io_timeout_ms();
  out.revoked = in.revoked();
  out.holder_start = ProcessStart(in.holder_start());
  return read_addresses(in.addresses(), out.addresses) &&
         out.size.value() <= limits::volume_blocks_max;
}

void to_proto(const control::ToNode& in, v1::ControllerMessage& out) {
  std::visit([&out](const auto& message) { write(message, out); }, in);
}

bool from_proto(const v1::ControllerMessage& in, control::ToNode& out) {
  switch (in.kind_case()) {
    case v1::ControllerMessage::kCreateReplica:
      return read_into<control::CreateReplica>(in.create_replica(), out);
    case v1::ControllerMessage::kDeleteReplica:
      return read_into<control::DeleteReplica>(in.delete_replica(), out);
    case v1::ControllerMessage::kAssign: return read_into<control::Assign>(in.assign(), out);
    case v1::ControllerMessage::kFence: return read_into<control::Fence>(in.fence(), out);
    case v1::ControllerMessage::kRefuse: return read_into<control::Refuse>(in.refuse(), out);
    case v1::ControllerMessage::kAttachment:
      return from_proto(in.attachment(), out.emplace<control::AttachmentView>());
    case v1::ControllerMessage::kProbe: return read_into<control::Probe>(in.probe(), out);
    case v1::ControllerMessage::kRejected:  // never reaches a shard
    case v1::ControllerMessage::KIND_NOT_SET: return false;
  }
  return false;
}

}  // namespace seawall::proto
