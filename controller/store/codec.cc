#include "controller/store/codec.h"

#include <algorithm>

#include "proto/convert.h"
#include "proto/store.pb.h"

namespace seawall::controller {
namespace {

void write(const ReplicaRecord& replica, v1::StoredReplica& out) {
  out.set_id(replica.id.value());
  out.set_node(replica.node.value());
  out.set_endpoint(replica.endpoint.value());
  out.set_address(replica.address);
  out.set_word(replica.word);
  out.set_trouble(replica.trouble);
  if (replica.told.generation == 0) return;
  out.set_told_start(replica.told.start.value());
  out.set_told_generation(replica.told.generation);
  out.set_told_written(replica.told.written.value());
  out.set_told_durable(replica.told.durable.value());
}

ReplicaRecord read(const v1::StoredReplica& in) {
  return ReplicaRecord{ReplicaId(in.id()), NodeId(in.node()), EndpointVersion(in.endpoint()),
                       in.address(), in.word(), in.trouble(),
                       OpeningTold{ProcessStart(in.told_start()), in.told_generation(),
                                   Lsn(in.told_written()), Lsn(in.told_durable())}};
}

void write_position(const Position& in, v1::Position& out) {
  out.set_term(in.term.value());
  out.set_lsn(in.lsn.value());
}

Position read_position(const v1::Position& in) {
  return Position{Term(in.term()), Lsn(in.lsn())};
}

void write_force(const ForceOrder& in, v1::StoredForce& out) {
  for (const ReplicaId member : in.members) out.add_members(member.value());
  out.set_operation(in.operation);
  out.set_who(in.who);
  out.set_why(in.why);
  out.set_asked_ms(in.asked_ms);
  out.set_old_primary_stopped(in.old_primary_stopped);
}

bool read_force(const v1::StoredForce& in, ForceOrder& out) {
  for (const std::uint64_t member : in.members()) {
    if (!out.members.try_push_back(ReplicaId(member))) return false;
  }
  out.operation = in.operation();
  out.who = in.who();
  out.why = in.why();
  out.asked_ms = in.asked_ms();
  out.old_primary_stopped = in.old_primary_stopped();
  return true;
}

void write_orders(const VolumeRecord& record, v1::StoredVolume& out) {
  if (record.move) {
    out.mutable_move()->set_target(record.move->target.value());
    out.mutable_move()->set_operation(record.move->operation);
  }
  for (const ReplicaRecord& replica : record.left_out) write(replica, *out.add_left_out());
  if (record.force) write_force(*record.force, *out.mutable_force());
  if (!record.forced) return;
  v1::StoredForceOutcome& forced = *out.mutable_forced();
  write_force(record.forced->order, *forced.mutable_order());
  forced.set_epoch(record.forced->epoch.value());
  write_position(record.forced->kept, *forced.mutable_kept());
  if (record.forced->known) write_position(*record.forced->known, *forced.mutable_known());
}

bool read_orders(const v1::StoredVolume& in, VolumeRecord& record) {
  if (in.has_move()) {
    record.move = MoveOrder{ReplicaId(in.move().target()), in.move().operation()};
  }
  for (const v1::StoredReplica& each : in.left_out()) record.left_out.push_back(read(each));
  if (in.has_force() && !read_force(in.force(), record.force.emplace())) return false;
  if (!in.has_forced()) return true;
  ForceOutcome& forced = record.forced.emplace();
  forced.epoch = Epoch(in.forced().epoch());
  forced.kept = read_position(in.forced().kept());
  if (in.forced().has_known()) forced.known = read_position(in.forced().known());
  return read_force(in.forced().order(), forced.order);
}

}  // namespace

std::string encode(const VolumeRecord& record) {
  v1::StoredVolume out;
  out.set_name(record.name);
  proto::to_proto(record.id, *out.mutable_id());
  proto::to_proto(record.incarnation, *out.mutable_incarnation());
  out.set_state(static_cast<std::uint32_t>(record.state));
  out.set_create_operation(record.create_operation);
  out.set_reason(record.reason);
  out.set_epoch(record.epoch.value());
  if (record.pending) out.set_pending(record.pending->value());
  out.set_revision(record.revision.value());
  proto::to_proto(record.config, *out.mutable_config());
  out.set_size_blocks(record.size.value());
  out.set_log_bytes(record.log_bytes);
  out.set_io_timeout_ms(record.io_timeout_ms);
  for (const ReplicaRecord& replica : record.replicas) write(replica, *out.add_replicas());
  for (const ReplicaRecord& replica : record.retired) write(replica, *out.add_retired());
  out.set_replicas_made(record.replicas_made);
  if (record.wish) proto::to_proto(*record.wish, *out.mutable_wish());
  out.set_change_operation(record.change_operation);
  out.set_retry_operation(record.retry_operation);
  out.set_primary(record.primary.value());
  out.set_winner_start(record.winner_start.value());
  out.set_primary_node_start(record.primary_node_start.value());
  out.mutable_winner_position()->set_term(record.winner_position.term.value());
  out.mutable_winner_position()->set_lsn(record.winner_position.lsn.value());
  out.set_after_power_loss(record.after_power_loss);
  out.set_last_generation(record.last_generation.value());
  for (const AttachmentRecord& attachment : record.attachments) {
    v1::StoredAttachment& each = *out.add_attachments();
    each.set_generation(attachment.generation.value());
    each.set_node(attachment.node.value());
    each.set_node_start(attachment.node_start.value());
  }
  out.set_detach_operation(record.detach_operation);
  write_orders(record, out);
  return out.SerializeAsString();
}

Result<VolumeRecord> decode_volume(const std::string& bytes) {
  v1::StoredVolume in;
  if (!in.ParseFromString(bytes)) return make_error(Errc::corrupt, "a volume record is no record");
  VolumeRecord record;
  if (in.state() < 1 || in.state() > 3) {
    return make_error(Errc::corrupt, "a volume record has an unknown state", in.state());
  }
  if (!proto::from_proto(in.config(), record.config)) {
    return make_error(Errc::corrupt, "a volume record has an impossible configuration");
  }
  record.name = in.name();
  proto::from_proto(in.id(), record.id);
  proto::from_proto(in.incarnation(), record.incarnation);
  record.state = static_cast<VolumeState>(in.state());
  record.create_operation = in.create_operation();
  record.reason = in.reason();
  record.epoch = Epoch(in.epoch());
  if (in.has_pending()) record.pending = Epoch(in.pending());
  record.revision = Revision(in.revision());
  record.size = BlockCount(in.size_blocks());
  record.log_bytes = in.log_bytes();
  record.io_timeout_ms = in.io_timeout_ms();
  for (const v1::StoredReplica& each : in.replicas()) record.replicas.push_back(read(each));
  for (const v1::StoredReplica& each : in.retired()) record.retired.push_back(read(each));
  record.replicas_made =
      std::max(in.replicas_made(), static_cast<std::uint32_t>(record.replicas.size()));
  if (in.has_wish() && !proto::from_proto(in.wish(), record.wish.emplace())) {
    return make_error(Errc::corrupt, "a volume record wishes for an impossible configuration");
  }
  record.change_operation = in.change_operation();
  record.retry_operation = in.retry_operation();
  record.primary = ReplicaId(in.primary());
  record.winner_start = ProcessStart(in.winner_start());
  record.primary_node_start = ProcessStart(in.primary_node_start());
  record.winner_position =
      Position{Term(in.winner_position().term()), Lsn(in.winner_position().lsn())};
  record.after_power_loss = in.after_power_loss();
  record.last_generation = AttachmentId(in.last_generation());
  for (const v1::StoredAttachment& each : in.attachments()) {
    record.attachments.push_back(AttachmentRecord{
        AttachmentId(each.generation()), NodeId(each.node()), ProcessStart(each.node_start())});
  }
  record.detach_operation = in.detach_operation();
  if (!read_orders(in, record)) {
    return make_error(Errc::corrupt, "a volume record has an order with too many members");
  }
  return record;
}

std::string encode(const NodeRecord& record) {
  v1::StoredNode out;
  out.set_id(record.id.value());
  out.set_name(record.name);
  out.set_pool_id(record.pool_id);
  out.set_data_address(record.data_address);
  out.set_http_address(record.http_address);
  out.set_process_start(record.process_start.value());
  out.set_pool_bytes(record.pool_bytes);
  return out.SerializeAsString();
}

Result<NodeRecord> decode_node(const std::string& bytes) {
  v1::StoredNode in;
  if (!in.ParseFromString(bytes)) return make_error(Errc::corrupt, "a node record is no record");
  return NodeRecord{NodeId(in.id()),   in.name(),         in.pool_id(),
                    in.data_address(), in.http_address(), ProcessStart(in.process_start()),
                    in.pool_bytes()};
}

}  // namespace seawall::controller
