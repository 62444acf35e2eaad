// Node to controller: one pair of functions a message.
#include "proto/convert.h"

namespace seawall::proto {
namespace {

constexpr std::size_t replicas_per_message_max = 1 << 16;

void write(const control::Register& in, v1::NodeMessage& message) {
  v1::Register& out = *message.mutable_register_();
  out.set_node(in.node.value());
  out.set_name(in.name);
  out.set_pool_id(in.pool_id);
  out.set_data_address(in.data_address);
  out.set_http_address(in.http_address);
  out.set_boot_hi(in.boot_hi);
  out.set_boot_lo(in.boot_lo);
  out.set_process_start(in.process_start.value());
  out.set_pool_bytes(in.pool_bytes);
  out.set_pool_free_bytes(in.pool_free_bytes);
  for (const ReplicaStatus& status : in.replicas) to_proto(status, *out.add_replicas());
}

template <class Repeated>
bool read_statuses(const Repeated& in, std::vector<ReplicaStatus>& out) {
  if (static_cast<std::size_t>(in.size()) > replicas_per_message_max) return false;
  for (const v1::ReplicaStatus& each : in) {
    if (!from_proto(each, out.emplace_back())) return false;
  }
  return true;
}

bool read(const v1::Register& in, control::Register& out) {
  out.node = NodeId(in.node());
  out.name = in.name();
  out.pool_id = in.pool_id();
  out.data_address = in.data_address();
  out.http_address = in.http_address();
  out.boot_hi = in.boot_hi();
  out.boot_lo = in.boot_lo();
  out.process_start = ProcessStart(in.process_start());
  out.pool_bytes = in.pool_bytes();
  out.pool_free_bytes = in.pool_free_bytes();
  return read_statuses(in.replicas(), out.replicas);
}

void write(const control::Heartbeat& in, v1::NodeMessage& message) {
  v1::Heartbeat& out = *message.mutable_heartbeat();
  out.set_node(in.node.value());
  out.set_sequence(in.sequence);
  out.set_pool_free_bytes(in.pool_free_bytes);
  for (const ReplicaStatus& status : in.replicas) to_proto(status, *out.add_replicas());
}

bool read(const v1::Heartbeat& in, control::Heartbeat& out) {
  out.node = NodeId(in.node());
  out.sequence = in.sequence();
  out.pool_free_bytes = in.pool_free_bytes();
  return read_statuses(in.replicas(), out.replicas);
}

void write(const control::Fenced& in, v1::NodeMessage& message) {
  v1::Fenced& out = *message.mutable_fenced();
  to_proto(in.report.volume, *out.mutable_volume());
  out.set_epoch(in.report.epoch.value());
  to_proto(in.report.facts, *out.mutable_facts());
  out.set_replica(in.replica.value());
}

bool read(const v1::Fenced& in, control::Fenced& out) {
  from_proto(in.volume(), out.report.volume);
  out.report.epoch = Epoch(in.epoch());
  out.replica = ReplicaId(in.replica());
  return from_proto(in.facts(), out.report.facts);
}

void write(const control::FenceRefused& in, v1::NodeMessage& message) {
  v1::FenceRefused& out = *message.mutable_fence_refused();
  to_proto(in.volume, *out.mutable_volume());
  out.set_replica(in.replica.value());
  out.set_promised(in.promised.value());
}

bool read(const v1::FenceRefused& in, control::FenceRefused& out) {
  from_proto(in.volume(), out.volume);
  out.replica = ReplicaId(in.replica());
  out.promised = Epoch(in.promised());
  return true;
}

void write(const control::ReplicaCreated& in, v1::NodeMessage& message) {
  v1::ReplicaCreated& out = *message.mutable_replica_created();
  out.set_operation(in.operation);
  to_proto(in.volume, *out.mutable_volume());
  out.set_replica(in.replica.value());
  out.set_ok(in.ok);
  out.set_error(in.error);
}

bool read(const v1::ReplicaCreated& in, control::ReplicaCreated& out) {
  out.operation = in.operation();
  from_proto(in.volume(), out.volume);
  out.replica = ReplicaId(in.replica());
  out.ok = in.ok();
  out.error = in.error().substr(0, reason_bytes_max);
  return true;
}

void write(const control::ReplicaDeleted& in, v1::NodeMessage& message) {
  v1::ReplicaDeleted& out = *message.mutable_replica_deleted();
  out.set_operation(in.operation);
  to_proto(in.volume, *out.mutable_volume());
  out.set_replica(in.replica.value());
  out.set_ok(in.ok);
}

bool read(const v1::ReplicaDeleted& in, control::ReplicaDeleted& out) {
  out.operation = in.operation();
  from_proto(in.volume(), out.volume);
  out.replica = ReplicaId(in.replica());
  out.ok = in.ok();
  return true;
}

void write(const control::Proposed& in, v1::NodeMessage& message) {
  v1::Proposed& out = *message.mutable_proposed();
  to_proto(in.proposal.volume, *out.mutable_volume());
  out.set_epoch(in.proposal.epoch.value());
  out.set_base(in.proposal.base.value());
  to_proto(in.proposal.wanted, *out.mutable_wanted());
  out.set_cause(in.proposal.cause.value());
  out.set_from(in.from.value());
}

bool read(const v1::Proposed& in, control::Proposed& out) {
  from_proto(in.volume(), out.proposal.volume);
  out.proposal.epoch = Epoch(in.epoch());
  out.proposal.base = Revision(in.base());
  out.proposal.cause = ReplicaId(in.cause());
  out.from = ReplicaId(in.from());
  return from_proto(in.wanted(), out.proposal.wanted);
}

void write(const control::FailoverWanted& in, v1::NodeMessage& message) {
  v1::FailoverWanted& out = *message.mutable_failover_wanted();
  to_proto(in.volume, *out.mutable_volume());
  out.set_from(in.from.value());
  out.set_epoch(in.epoch.value());
  out.set_reason(in.reason);
}

void write(const control::AssignRefused& in, v1::NodeMessage& message) {
  v1::AssignRefused& out = *message.mutable_assign_refused();
  to_proto(in.volume, *out.mutable_volume());
  out.set_from(in.from.value());
  out.set_epoch(in.epoch.value());
  out.set_reason(in.reason);
}

template <class Message, class Struct>
bool read_complaint(const Message& in, Struct& out) {
  from_proto(in.volume(), out.volume);
  out.from = ReplicaId(in.from());
  out.epoch = Epoch(in.epoch());
  out.reason = in.reason().substr(0, reason_bytes_max);
  return true;
}

bool read(const v1::FailoverWanted& in, control::FailoverWanted& out) {
  return read_complaint(in, out);
}
bool read(const v1::AssignRefused& in, control::AssignRefused& out) {
  return read_complaint(in, out);
}

}  // namespace

void to_proto(const control::FromNode& in, v1::NodeMessage& out) {
  std::visit([&out](const auto& message) { write(message, out); }, in);
}

bool from_proto(const v1::NodeMessage& in, control::FromNode& out) {
  switch (in.kind_case()) {
    case v1::NodeMessage::kRegister: return read(in.register_(), out.emplace<control::Register>());
    case v1::NodeMessage::kHeartbeat:
      return read(in.heartbeat(), out.emplace<control::Heartbeat>());
    case v1::NodeMessage::kFenced: return read(in.fenced(), out.emplace<control::Fenced>());
    case v1::NodeMessage::kFenceRefused:
      return read(in.fence_refused(), out.emplace<control::FenceRefused>());
    case v1::NodeMessage::kReplicaCreated:
      return read(in.replica_created(), out.emplace<control::ReplicaCreated>());
    case v1::NodeMessage::kReplicaDeleted:
      return read(in.replica_deleted(), out.emplace<control::ReplicaDeleted>());
    case v1::NodeMessage::kProposed: return read(in.proposed(), out.emplace<control::Proposed>());
    case v1::NodeMessage::kFailoverWanted:
      return read(in.failover_wanted(), out.emplace<control::FailoverWanted>());
    case v1::NodeMessage::kAssignRefused:
      return read(in.assign_refused(), out.emplace<control::AssignRefused>());
    case v1::NodeMessage::KIND_NOT_SET: return false;
  }
  return false;
}

}  // namespace seawall::proto
