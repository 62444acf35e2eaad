// Conversions of the control plane: every field of every message survives the way there and back,
// and what no honest sender writes is refused.
#include <gtest/gtest.h>

#include <string>

#include "engine/base/limits.h"
#include "proto/convert.h"

namespace seawall::proto {
namespace {

// Every field of the message, and of the messages in it, holds something that is not its default.
void expect_whole(const google::protobuf::Message& message) {
  const auto* reflection = message.GetReflection();
  const auto* descriptor = message.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    if (field->is_repeated()) {
      EXPECT_GT(reflection->FieldSize(message, field), 0) << field->full_name();
      if (field->message_type() == nullptr) continue;
      for (int k = 0; k < reflection->FieldSize(message, field); ++k) {
        expect_whole(reflection->GetRepeatedMessage(message, field, k));
      }
      continue;
    }
    if (field->real_containing_oneof() != nullptr) continue;  // one of many, checked by its case
    EXPECT_TRUE(reflection->HasField(message, field)) << field->full_name();
    if (field->message_type() != nullptr) expect_whole(reflection->GetMessage(message, field));
  }
}

template <class Wire, class Value>
Value there_and_back(const Value& value) {
  Wire wire;
  to_proto(value, wire);
  Value back;
  EXPECT_TRUE(from_proto(wire, back));
  Wire again;
  to_proto(back, again);
  EXPECT_EQ(wire.SerializeAsString(), again.SerializeAsString());
  return back;
}

const VolumeId volume{1, 2};
const Incarnation incarnation{3, 4};

Configuration configuration() {
  Configuration config;
  config.members = {ReplicaId(1), ReplicaId(2), ReplicaId(3)};
  config.in_sync = {ReplicaId(1), ReplicaId(3)};
  config.policy = Policy::in_sync;
  config.min_in_sync = 2;
  config.write_cache = WriteCache::none;
  return config;
}

std::vector<control::ReplicaAddress> addresses() {
  return {{ReplicaId(1), NodeId(11), EndpointVersion(2), "127.0.0.1:1"}};
}

ReplicaStatus status() {
  ReplicaStatus status;
  status.volume = volume;
  status.replica = ReplicaId(1);
  status.epoch = Epoch(5);
  status.promised = Epoch(6);
  status.revision = Revision(7);
  status.role = Role::primary;
  status.serving = true;
  status.marks = Watermarks{Lsn(40), Lsn(30), Lsn(20), Lsn(10)};
  status.committed = Lsn(0);  // known to be nothing is not unknown
  status.stable = Lsn(25);
  status.log_failed = true;
  status.grants_primary = false;
  status.drained = true;
  status.fill_percent = 40;
  status.store_failures = 2;
  status.given_up = true;
  status.reason = "a reason";
  status.opening = Opening{ProcessStart(~0ULL), ProcessStart(3), 17, Lsn(0), 20, true};
  PeerStatus peer;
  peer.replica = ReplicaId(2);
  peer.state = ReplicaState::rebuilding;
  peer.kind = RecoveryKind::full;
  peer.session = SessionId{Epoch(5), 9};
  peer.written = Lsn(1);
  peer.durable = Lsn(2);
  peer.applied = Lsn(3);
  peer.bytes_total = 100;
  peer.bytes_left = 50;
  peer.reason = "another";
  peer.phase = SessionPhase::running;
  peer.lag = 7;
  peer.lasting = Duration{1'234};
  peer.escalated = true;
  peer.start = ProcessStart(~1ULL);
  peer.failures.push_back({FailureKind::gap, FailureAction::escalate, 9, Duration{55}});
  status.peers.push_back(peer);
  return status;
}

ReplicaFacts facts() {
  ReplicaFacts facts;
  facts.incarnation = incarnation;
  facts.replica = ReplicaId(1);
  facts.process_start = ProcessStart(~0ULL);
  facts.promised = Epoch(6);
  facts.seen_epoch = Epoch(6);
  facts.seen_revision = Revision(8);
  facts.marks = Watermarks{Lsn(40), Lsn(30), Lsn(20), Lsn(10)};
  facts.last_term = Term(5);
  facts.chain = 0xabcdef;
  facts.intact = true;
  facts.floor = Floor{Term(4), Lsn(35)};
  facts.marker = RebuildMarker{SessionId{Epoch(5), 2}, Lsn(33), Lsn(0)};
  facts.damage = Damage::regressed;
  facts.size = BlockCount(77);
  facts.terms = {TermEntry{Term(1), Lsn(1), 1}, TermEntry{Term(5), Lsn(38), 2}};
  return facts;
}

control::Assign assign() {
  control::Assign assign;
  Assignment& assignment = assign.assignment;
  assignment.volume = volume;
  assignment.incarnation = incarnation;
  assignment.epoch = Epoch(6);
  assignment.revision = Revision(8);
  assignment.primary = ReplicaId(1);
  assignment.config = configuration();
  assignment.endpoints = {PeerEndpoint{ReplicaId(1), EndpointVersion(2), 3}};
  assignment.attachments = {AttachmentGrant{AttachmentId(3), NodeId(11)}};
  assignment.size = BlockCount(77);
  assignment.winner_start = ProcessStart(~0ULL);
  assignment.winner_position = Position{Term(5), Lsn(40)};
  assignment.after_power_loss = true;
  assignment.wish = configuration();
  assignment.drains = true;
  assignment.forced = true;
  assign.volume_name = "v";
  assign.addresses = addresses();
  return assign;
}

control::AttachmentView view() {
  control::AttachmentView view;
  view.volume = volume;
  view.volume_name = "v";
  view.incarnation = incarnation;
  view.attachment = AttachmentId(3);
  view.epoch = Epoch(6);
  view.revision = Revision(8);
  view.primary = ReplicaId(1);
  view.size = BlockCount(77);
  view.io_timeout_ms = 30'000;
  view.addresses = addresses();
  view.revoked = true;
  view.holder_start = ProcessStart(9);
  return view;
}

const google::protobuf::Message& inner(const google::protobuf::Message& message) {
  const auto* reflection = message.GetReflection();
  const auto* field =
      reflection->GetOneofFieldDescriptor(message, message.GetDescriptor()->oneof_decl(0));
  EXPECT_NE(field, nullptr);
  return reflection->GetMessage(message, field);
}

TEST(ProtoConvert, every_field_of_every_message_to_a_node_survives) {
  const control::ToNode all[] = {
      control::CreateReplica{1, volume, "v", incarnation, ReplicaId(1), BlockCount(77), 88, 99},
      control::DeleteReplica{1, volume, ReplicaId(1)},
      assign(),
      control::Fence{FenceRequest{volume, ReplicaId(1), Epoch(6), Revision(8)}},
      control::Refuse{ConfigRefusal{volume, Epoch(6), Revision(8), Revision(9)}},
      view(),
      control::Probe{volume}};
  static_assert(std::size(all) == std::variant_size_v<control::ToNode>);
  for (const control::ToNode& message : all) {
    v1::ControllerMessage wire;
    to_proto(message, wire);
    expect_whole(inner(wire));
    EXPECT_EQ((there_and_back<v1::ControllerMessage>(message)).index(), message.index());
  }
  const auto refused = there_and_back<v1::ControllerMessage>(
      control::ToNode(control::Refuse{ConfigRefusal{volume, Epoch(6), Revision(8), Revision(9)}}));
  EXPECT_EQ(std::get<control::Refuse>(refused).refusal.current, Revision(9));
  const auto back = there_and_back<v1::ControllerMessage>(control::ToNode(assign()));
  EXPECT_EQ(std::get<control::Assign>(back).assignment, assign().assignment);
}

TEST(ProtoConvert, every_field_of_every_message_to_the_controller_survives) {
  control::Register hello;
  hello.node = NodeId(11);
  hello.name = "n";
  hello.pool_id = "p";
  hello.data_address = "127.0.0.1:1";
  hello.http_address = "127.0.0.1:2";
  hello.boot_hi = 1;
  hello.boot_lo = 2;
  hello.process_start = ProcessStart(3);
  hello.pool_bytes = 4;
  hello.pool_free_bytes = 5;
  hello.replicas = {status()};
  const ConfigProposal proposal{volume, Epoch(5), Revision(7), configuration(), ReplicaId(2)};
  const control::FromNode all[] = {
      hello,
      control::Heartbeat{NodeId(11), 7, 5, {status()}},
      control::Fenced{FenceReport{volume, Epoch(6), facts()}, ReplicaId(1)},
      control::FenceRefused{volume, ReplicaId(1), Epoch(6)},
      control::ReplicaCreated{1, volume, ReplicaId(1), true, "an error"},
      control::ReplicaDeleted{1, volume, ReplicaId(1), true},
      control::Proposed{proposal, ReplicaId(1)},
      control::FailoverWanted{volume, ReplicaId(1), Epoch(5), "why"},
      control::AssignRefused{volume, ReplicaId(1), Epoch(5), "why"}};
  static_assert(std::size(all) == std::variant_size_v<control::FromNode>);
  for (const control::FromNode& message : all) {
    v1::NodeMessage wire;
    to_proto(message, wire);
    expect_whole(inner(wire));
    EXPECT_EQ((there_and_back<v1::NodeMessage>(message)).index(), message.index());
  }
}

TEST(ProtoConvert, unknown_stays_unknown_and_zero_stays_zero) {
  ReplicaStatus bare;
  const ReplicaStatus back = there_and_back<v1::ReplicaStatus>(bare);
  EXPECT_FALSE(back.committed);
  EXPECT_FALSE(back.stable);
  EXPECT_FALSE(back.grants_primary);
  const ReplicaStatus full = there_and_back<v1::ReplicaStatus>(status());
  EXPECT_EQ(full.committed, Lsn(0));
  EXPECT_EQ(full.grants_primary, false);
  EXPECT_STREQ(full.reason, "a reason");
  const ReplicaFacts empty = there_and_back<v1::ReplicaFacts>(ReplicaFacts{});
  EXPECT_FALSE(empty.floor);
  EXPECT_FALSE(empty.marker);
  EXPECT_EQ((there_and_back<v1::ReplicaFacts>(facts()).marker->start), Lsn(0));
}

TEST(ProtoConvert, what_no_honest_sender_writes_is_refused) {
  v1::Configuration good;
  to_proto(configuration(), good);
  Configuration out;
  v1::Configuration bad = good;
  for (std::uint64_t i = 4; i < 10; ++i) bad.add_members(i);
  EXPECT_FALSE(from_proto(bad, out)) << "more members than there can be";
  bad = good;
  bad.add_members(2);
  EXPECT_FALSE(from_proto(bad, out)) << "out of order, and twice";
  bad = good;
  bad.set_policy(v1::POLICY_UNSPECIFIED);
  EXPECT_FALSE(from_proto(bad, out));
  bad = good;
  bad.set_policy(static_cast<v1::Policy>(9));
  EXPECT_FALSE(from_proto(bad, out));
  bad = good;
  bad.set_min_in_sync(300);
  EXPECT_FALSE(from_proto(bad, out));
  control::ToNode order;
  EXPECT_FALSE(from_proto(v1::ControllerMessage(), order));
  control::FromNode said;
  EXPECT_FALSE(from_proto(v1::NodeMessage(), said));
  v1::ControllerMessage create;
  create.mutable_create_replica()->set_size_blocks(~0ULL);
  EXPECT_FALSE(from_proto(create, order)) << "larger than any volume";
  v1::ControllerMessage crowded;
  to_proto(control::ToNode(assign()), crowded);
  v1::Configuration& wish = *crowded.mutable_assign()->mutable_assignment()->mutable_wish();
  wish.clear_members();
  for (std::uint64_t i = 10; i < 17; ++i) wish.add_members(i);
  EXPECT_FALSE(from_proto(crowded, order)) << "members and newcomers beyond what a primary serves";
  v1::NodeMessage fenced;
  auto& terms = *fenced.mutable_fenced()->mutable_facts()->mutable_terms();
  for (std::size_t i = 0; i <= term_table_max; ++i) terms.Add();
  EXPECT_FALSE(from_proto(fenced, said));
}

TEST(ProtoConvert, reasons_are_bounded_in_number_and_length) {
  v1::ReplicaStatus wire;
  for (std::size_t i = 0; i < reasons_max + 10; ++i) {
    wire.set_reason("reason " + std::to_string(i) + std::string(1'000, 'x'));
    ReplicaStatus out;
    ASSERT_TRUE(from_proto(wire, out));
    EXPECT_LE(std::string(out.reason).size(), reason_bytes_max);
    if (i <= reasons_max) continue;
    EXPECT_STREQ(out.reason, "other");
  }
}

}  // namespace
}  // namespace seawall::proto
