// What users ask: every refusal names field, value and remedy, and nothing half-made stays behind.
#include <gtest/gtest.h>

#include <set>

#include "controller/core/plan.h"
#include "controller/core/validate.h"
#include "tests/unit/controller_world.h"

namespace seawall::controller {
namespace {

CreateVolume volume_request(const std::string& name, std::uint32_t replicas = 3) {
  CreateVolume request;
  request.operation = "create-" + name;
  request.name = name;
  request.size_bytes = limits::GiB;
  request.replicas = replicas;
  return request;
}

Refusal refusal_of(const CreateVolume& request, std::size_t nodes = 3) {
  const auto spec = validate_create(request, nodes);
  EXPECT_FALSE(spec.has_value());
  return spec.has_value() ? Refusal{} : spec.error();
}

void expect_refused(const CreateVolume& request, const std::string& field,
                    const std::string& value) {
  const Refusal refusal = refusal_of(request);
  EXPECT_EQ(refusal.field, field);
  EXPECT_EQ(refusal.value, value);
  EXPECT_FALSE(refusal.wanted.empty());
  EXPECT_NE(refusal.message.find(field), std::string::npos) << refusal.message;
}

TEST(CreateVolume, sizes_that_cannot_be_are_refused_by_name) {
  const std::uint64_t wrong[] = {0, 1, 4095, 4097, 64 * limits::TiB + 4096, ~0ULL};
  for (const std::uint64_t size : wrong) {
    CreateVolume request = volume_request("v");
    request.size_bytes = size;
    expect_refused(request, "size_bytes", std::to_string(size));
  }
  for (const std::uint64_t size : {std::uint64_t{4096}, 64 * limits::TiB}) {
    CreateVolume request = volume_request("v");
    request.size_bytes = size;
    const auto spec = validate_create(request, 3);
    ASSERT_TRUE(spec.has_value());
    EXPECT_EQ(spec->size.value() * 4096, size);
    EXPECT_GE(spec->log_bytes, limits::log_bytes_min);
    EXPECT_LE(spec->log_bytes, limits::log_bytes_max);
  }
}

TEST(CreateVolume, bad_names_are_refused) {
  for (const char* name : {"", "-a", "a-", ".", "a/b", "a b", "../x", "a\n"}) {
    expect_refused(volume_request(name), "name", name);
  }
  expect_refused(volume_request(std::string(64, 'a')), "name", std::string(64, 'a'));
  EXPECT_TRUE(validate_create(volume_request(std::string(63, 'a')), 3).has_value());
}

TEST(CreateVolume, more_replicas_than_nodes_are_refused_and_say_how_many_there_are) {
  const Refusal refusal = refusal_of(volume_request("v", 4), 3);
  EXPECT_EQ(refusal.code, RefusalCode::too_few_nodes);
  EXPECT_EQ(refusal.field, "replicas");
  EXPECT_NE(refusal.message.find("at most 3"), std::string::npos) << refusal.message;
  EXPECT_EQ(refusal_of(volume_request("v", 8), 9).code, RefusalCode::invalid_argument);
  EXPECT_EQ(refusal_of(volume_request("v", 300), 400).code, RefusalCode::invalid_argument);
}

TEST(CreateVolume, P14_unknown_policies_and_min_in_sync_out_of_range_are_refused_by_name) {
  CreateVolume request = volume_request("v");
  request.policy = "majority";
  expect_refused(request, "policy", "majority");
  request.policy = "in-sync";
  for (const std::uint32_t wrong : {0U, 4U, 300U}) {
    request.min_in_sync = wrong;
    expect_refused(request, "min_in_sync", std::to_string(wrong));
  }
  request.policy = "quorum";
  request.min_in_sync = 2;
  expect_refused(request, "min_in_sync", "2");
  request = volume_request("v");
  request.write_cache = "writethrough";
  expect_refused(request, "write_cache", "writethrough");
  request = volume_request("v");
  request.log_bytes = 4096;
  expect_refused(request, "log_bytes", "4096");
  request = volume_request("v");
  request.io_timeout_ms = 1;
  expect_refused(request, "io_timeout_ms", "1");
}

TEST(CreateVolume, policies_mean_what_protocol_md_says) {
  struct Row {
    const char* word;
    std::uint32_t replicas;
    Policy policy;
    std::uint8_t min_in_sync;
  };
  for (const Row& row : {Row{"", 3, Policy::quorum, 1}, Row{"", 2, Policy::in_sync, 1},
                         Row{"", 1, Policy::in_sync, 1}, Row{"in-sync", 3, Policy::in_sync, 2},
                         Row{"in-sync", 1, Policy::in_sync, 1}, Row{"all", 3, Policy::in_sync, 3},
                         Row{"best-effort", 3, Policy::in_sync, 1}}) {
    CreateVolume request = volume_request("v", row.replicas);
    request.policy = row.word;
    const auto spec = validate_create(request, 3);
    ASSERT_TRUE(spec.has_value());
    EXPECT_EQ(spec->policy, row.policy) << row.word;
    if (row.policy != Policy::in_sync) continue;
    EXPECT_EQ(spec->min_in_sync, row.min_in_sync) << row.word;
  }
}

TEST(CreateVolume, a_name_that_is_taken_is_refused_and_the_same_operation_finds_its_volume) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  CreateVolume again = volume_request("v");
  EXPECT_EQ(world.ask_and_wait(again).volume, volume);
  again.operation = "another";
  const Answer answer = world.ask_and_wait(again);
  ASSERT_TRUE(answer.refusal);
  EXPECT_EQ(answer.refusal->code, RefusalCode::already_exists);
}

TEST(CreateVolume, F20_the_same_operation_asked_twice_at_once_makes_one_volume) {
  World world(3);
  const std::uint64_t first = world.ask(volume_request("v"));
  const std::uint64_t second = world.ask(volume_request("v"));
  ASSERT_TRUE(world.run_until(
      [&] { return world.answer_of(first) != nullptr && world.answer_of(second) != nullptr; }));
  EXPECT_EQ(world.answer_of(first)->volume, world.answer_of(second)->volume);
  EXPECT_EQ(world.store().volumes().value().size(), 1U);
}

TEST(CreateVolume, one_that_fails_on_a_node_is_undone_everywhere) {
  World world(3);
  world.node(2).fails_create = true;
  const Answer answer = world.ask_and_wait(volume_request("v"));
  ASSERT_TRUE(answer.refusal);
  EXPECT_EQ(answer.refusal->code, RefusalCode::create_failed);
  EXPECT_NE(answer.refusal->message.find("the pool is full"), std::string::npos);
  EXPECT_NE(answer.refusal->message.find("n3"), std::string::npos) << "it names the node";
  ASSERT_TRUE(world.run_until([&] { return world.store().volumes().value().empty(); }));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(world.node(i).replicas.empty());
  world.node(2).fails_create = false;
  EXPECT_FALSE(world.ask_and_wait(volume_request("v")).refusal) << "the name is free again";
}

TEST(CreateVolume, one_whose_node_dies_meanwhile_is_undone_also_there_when_it_returns) {
  World world(3);
  world.cut(2);  // takes nothing, and the controller does not know it yet
  const std::uint64_t id = world.ask(volume_request("v"), 60'000);
  ASSERT_TRUE(world.run_until([&] { return world.answer_of(id) != nullptr; }));
  ASSERT_TRUE(world.answer_of(id)->refusal);
  EXPECT_EQ(world.answer_of(id)->refusal->code, RefusalCode::create_failed);
  EXPECT_EQ(world.store().volumes().value().size(), 1U) << "a tombstone until all are gone";
  world.heal(2);
  ASSERT_TRUE(world.run_until([&] { return world.store().volumes().value().empty(); }));
}

TEST(CreateVolume, too_little_space_is_refused_before_anything_is_made) {
  World world(3);
  world.node(0).free_bytes = limits::MiB;
  world.run(500);
  const Answer answer = world.ask_and_wait(volume_request("v"));
  ASSERT_TRUE(answer.refusal);
  EXPECT_EQ(answer.refusal->code, RefusalCode::no_space);
  EXPECT_TRUE(world.store().volumes().value().empty());
}

TEST(Attach, a_second_one_is_refused_by_the_name_of_the_holder) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  const Answer first = world.ask_and_wait(AttachVolume{"a", "v", "n1", NodeId(0)});
  ASSERT_FALSE(first.refusal);
  EXPECT_EQ(first.generation, AttachmentId(1));
  ASSERT_TRUE(first.view);
  EXPECT_EQ(first.view->addresses.size(), 3U);
  EXPECT_GE(world.replica(world.primary_index(volume), volume).assignment.revision,
            first.view->revision)
      << "acknowledged by the primary";
  const Answer second = world.ask_and_wait(AttachVolume{"b", "v", "n2", NodeId(0)});
  ASSERT_TRUE(second.refusal);
  EXPECT_EQ(second.refusal->code, RefusalCode::attached_elsewhere);
  EXPECT_NE(second.refusal->message.find("n1"), std::string::npos) << second.refusal->message;
}

TEST(Attach, generations_rise_and_the_same_process_gets_the_same_one) {
  World world(3);
  world.create("v", 3, "quorum");
  EXPECT_EQ(world.ask_and_wait(AttachVolume{"a", "v", "n1", NodeId(0)}).generation,
            AttachmentId(1));
  EXPECT_EQ(world.ask_and_wait(AttachVolume{"b", "v", "", NodeId(1)}).generation, AttachmentId(1));
  world.kill(0);
  world.start(0);  // what the old process served ended with it
  world.run(500);
  EXPECT_EQ(world.ask_and_wait(AttachVolume{"c", "v", "n1", NodeId(0)}).generation,
            AttachmentId(2));
  EXPECT_FALSE(
      world.ask_and_wait(DetachVolume{"d", "v", "", NodeId(0), AttachmentId(0), false}).refusal);
  EXPECT_EQ(world.ask_and_wait(AttachVolume{"e", "v", "n2", NodeId(0)}).generation,
            AttachmentId(3));
}

TEST(Attach, it_waits_for_a_primary_and_is_not_lost_when_nobody_waits_any_more) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  world.kill(0);
  world.kill(1);
  const std::uint64_t id = world.ask(AttachVolume{"a", "v", "n3", NodeId(0)}, 3'000);
  world.run(4'000);
  ASSERT_NE(world.answer_of(id), nullptr);
  ASSERT_TRUE(world.answer_of(id)->refusal);
  EXPECT_EQ(world.answer_of(id)->refusal->code, RefusalCode::timed_out);
  world.start(0);
  world.start(1);
  ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
  const Answer again = world.ask_and_wait(AttachVolume{"a", "v", "n3", NodeId(0)});
  ASSERT_FALSE(again.refusal);
  EXPECT_EQ(again.generation, AttachmentId(1));
}

TEST(Attach, unknown_volumes_and_nodes_and_dead_nodes_are_refused_by_name) {
  World world(3);
  world.create("v", 3, "quorum");
  EXPECT_EQ(world.ask_and_wait(AttachVolume{"a", "w", "n1", NodeId(0)}).refusal->code,
            RefusalCode::not_found);
  EXPECT_EQ(world.ask_and_wait(AttachVolume{"a", "v", "n9", NodeId(0)}).refusal->field, "node");
  world.kill(2);
  world.run(3'000);
  EXPECT_EQ(world.ask_and_wait(AttachVolume{"a", "v", "n3", NodeId(0)}).refusal->code,
            RefusalCode::not_ready);
}

TEST(Detach, what_is_not_attached_is_refused_and_a_repeated_detach_is_done_already) {
  World world(3);
  world.create("v", 3, "quorum");
  const DetachVolume detach{"d", "v", "", NodeId(0), AttachmentId(0), false};
  EXPECT_EQ(world.ask_and_wait(detach).refusal->code, RefusalCode::not_attached);
  ASSERT_FALSE(world.ask_and_wait(AttachVolume{"a", "v", "n1", NodeId(0)}).refusal);
  DetachVolume wrong = detach;
  wrong.node = "n2";
  EXPECT_EQ(world.ask_and_wait(wrong).refusal->code, RefusalCode::attached_elsewhere);
  wrong = detach;
  wrong.generation = AttachmentId(7);
  EXPECT_EQ(world.ask_and_wait(wrong).refusal->field, "generation");
  EXPECT_FALSE(world.ask_and_wait(detach).refusal);
  EXPECT_FALSE(world.ask_and_wait(detach).refusal) << "the same operation";
  EXPECT_TRUE(world.node(0).views.empty()) << "its node was told";
}

TEST(Detach, P174_by_a_live_primary_only_the_revision_rises_and_forced_the_epoch_too) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  ASSERT_FALSE(world.ask_and_wait(AttachVolume{"a", "v", "n1", NodeId(0)}).refusal);
  ASSERT_FALSE(
      world.ask_and_wait(DetachVolume{"d", "v", "", NodeId(0), AttachmentId(0), false}).refusal);
  EXPECT_EQ(world.record(volume)->epoch, Epoch(1));
  ASSERT_FALSE(world.ask_and_wait(AttachVolume{"b", "v", "n1", NodeId(0)}).refusal);
  ASSERT_FALSE(
      world.ask_and_wait(DetachVolume{"f", "v", "", NodeId(0), AttachmentId(0), true}).refusal);
  EXPECT_EQ(world.record(volume)->epoch, Epoch(2));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_GE(world.replica(i, volume).facts.promised, Epoch(2));
    EXPECT_TRUE(world.replica(i, volume).assignment.attachments.empty());
  }
}

TEST(Detach, E16_P33_forced_needs_neither_the_node_nor_the_primary) {
  World world(4);
  const VolumeId volume = world.create("v", 3, "quorum");
  const std::size_t primary = world.primary_index(volume);
  const std::string holder = world.node(primary).name;
  ASSERT_FALSE(world.ask_and_wait(AttachVolume{"a", "v", holder, NodeId(0)}).refusal);
  world.cut(primary);
  ASSERT_FALSE(
      world.ask_and_wait(DetachVolume{"f", "v", "", NodeId(0), AttachmentId(0), true}).refusal);
  ASSERT_TRUE(world.run_until([&] { return world.is_serving(volume); }));
  EXPECT_NE(world.primary_index(volume), primary);
  EXPECT_TRUE(world.record(volume)->attachments.empty());
  const std::string other = world.node(world.primary_index(volume)).name;
  EXPECT_FALSE(world.ask_and_wait(AttachVolume{"b", "v", other, NodeId(0)}).refusal);
}

TEST(DeleteVolume, an_attached_volume_is_refused_and_its_holder_named) {
  World world(3);
  world.create("v", 3, "quorum");
  ASSERT_FALSE(world.ask_and_wait(AttachVolume{"a", "v", "n2", NodeId(0)}).refusal);
  const Answer answer = world.ask_and_wait(DeleteVolume{"d", "v"});
  ASSERT_TRUE(answer.refusal);
  EXPECT_EQ(answer.refusal->code, RefusalCode::still_attached);
  EXPECT_NE(answer.refusal->message.find("n2"), std::string::npos);
}

TEST(DeleteVolume, replicas_on_a_node_that_is_away_go_when_it_returns) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "quorum");
  world.kill(2);
  world.run(3'000);
  EXPECT_FALSE(world.ask_and_wait(DeleteVolume{"d", "v"}).refusal);
  EXPECT_TRUE(world.node(0).replicas.empty());
  EXPECT_TRUE(world.node(2).replicas.contains(volume));
  world.crash_controller();
  EXPECT_FALSE(world.ask_and_wait(volume_request("v", 2)).refusal) << "the name is free";
  world.start(2);
  ASSERT_TRUE(world.run_until([&] { return !world.node(2).replicas.contains(volume); }));
  ASSERT_TRUE(world.run_until([&] { return !world.record(volume).has_value(); }));
}

TEST(DeleteVolume, one_that_does_not_exist_is_no_error_and_says_so) {
  World world(1);
  const Answer answer = world.ask_and_wait(DeleteVolume{"d", "v"});
  EXPECT_FALSE(answer.refusal);
  EXPECT_FALSE(answer.existed);
}

// --- configurations that a primary proposes ---

control::Proposed proposal(World& world, VolumeId volume, const ReplicaSet& in_sync) {
  const auto record = world.record(volume);
  ConfigProposal wanted{volume, record->epoch, record->revision, record->config,
                        record->config.members[0]};
  wanted.wanted.in_sync = in_sync;
  return control::Proposed{wanted, record->primary};
}

// The first member that is not the primary.
ReplicaId other_member(World& world, VolumeId volume) {
  const auto record = world.record(volume);
  const ReplicaSet& members = record->config.members;
  return members[0] == record->primary ? members[1] : members[0];
}

bool was_refused(World& world, std::size_t since) {
  for (std::size_t i = since; i < world.history().size(); ++i) {
    if (std::holds_alternative<control::Refuse>(world.history()[i].second)) return true;
  }
  return false;
}

TEST(CreateVolume, no_two_volumes_share_a_replica_id) {
  World world(3);
  std::set<ReplicaId> seen;
  for (const char* name : {"a", "b", "c", "d"}) {
    const VolumeId volume = world.create(name, 3, "quorum");
    const auto record = world.record(volume);
    for (const auto& replica : record->replicas) {
      EXPECT_TRUE(seen.insert(replica.id).second) << name;
      EXPECT_LT(replica.id.value(), std::uint64_t{1} << 53) << "exact in every JSON reader";
    }
  }
}

TEST(Proposal, the_in_sync_set_shrinks_and_grows_on_its_primarys_word) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "in-sync");
  const std::size_t primary = world.primary_index(volume);
  const ReplicaId leader = world.record(volume)->primary;
  const ReplicaId other = other_member(world, volume);
  const ReplicaSet smaller{std::min(leader, other), std::max(leader, other)};
  world.say(primary, proposal(world, volume, smaller));
  ASSERT_TRUE(world.run_until([&] { return world.record(volume)->config.in_sync == smaller; }));
  ASSERT_TRUE(world.run_until([&] { return world.is_settled(volume); }));
  EXPECT_EQ(world.replica(primary, volume).assignment.config.in_sync, smaller);
  const ReplicaSet all = world.record(volume)->config.members;
  world.say(primary, proposal(world, volume, all));
  ASSERT_TRUE(world.run_until([&] { return world.record(volume)->config.in_sync == all; }));
  EXPECT_EQ(world.record(volume)->epoch, Epoch(1));
}

TEST(Proposal, P05_P38_stale_too_small_foreign_and_untimely_ones_are_refused) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "in-sync");
  const std::size_t primary = world.primary_index(volume);
  const ReplicaId leader = world.record(volume)->primary;
  const ReplicaSet members = world.record(volume)->config.members;
  const auto expect_refusal = [&](const control::Proposed& wanted, std::size_t from,
                                  const char* why) {
    const Configuration before = world.record(volume)->config;
    const std::size_t since = world.history().size();
    world.say(from, wanted);
    world.run(200);
    EXPECT_TRUE(was_refused(world, since)) << why;
    EXPECT_EQ(world.record(volume)->config, before) << why;
  };
  expect_refusal(proposal(world, volume, {leader}), primary, "below minInSync");
  control::Proposed other = proposal(world, volume, {members[0], members[1]});
  other.proposal.base = Revision(1);
  expect_refusal(other, primary, "another revision");
  other = proposal(world, volume, {members[0], members[1]});
  other.proposal.epoch = Epoch(9);
  expect_refusal(other, primary, "another epoch");
  other = proposal(world, volume, {members[0], ReplicaId(~0ULL)});
  expect_refusal(other, primary, "no member");
  other = proposal(world, volume, {members[0], members[1]});
  other.proposal.wanted.min_in_sync = 1;
  expect_refusal(other, primary, "more than the set");
  const std::size_t replica = (primary + 1) % 3;
  other = proposal(world, volume, {members[0], members[1]});
  other.from = world.replica(replica, volume).facts.replica;
  expect_refusal(other, replica, "not the primary");
}

// A grown set that was committed may be what moved the record: a primary that is told "nothing was
// committed" would complete without the new member, which can be promoted.
TEST(Proposal, P35_a_refusal_says_what_is_committed) {
  World world(3);
  const VolumeId volume = world.create("v", 3, "in-sync");
  const std::size_t primary = world.primary_index(volume);
  control::Proposed late = proposal(world, volume, {ReplicaId(1), ReplicaId(2)});
  late.proposal.base = Revision(1);
  const std::size_t since = world.history().size();
  world.say(primary, late);
  world.run(200);
  bool refused = false;
  for (std::size_t i = since; i < world.history().size(); ++i) {
    const auto* refuse = std::get_if<control::Refuse>(&world.history()[i].second);
    if (refuse == nullptr) continue;
    refused = true;
    EXPECT_EQ(refuse->refusal.base, Revision(1));
    EXPECT_EQ(refuse->refusal.current, world.record(volume)->revision);
  }
  EXPECT_TRUE(refused);
}

TEST(Proposal, P34_P35_E17_one_whose_commit_is_unknown_is_read_back_before_anything_is_said) {
  for (const MemoryStore::Fault fault :
       {MemoryStore::Fault::unknown_done, MemoryStore::Fault::unknown_not_done}) {
    World world(3);
    const VolumeId volume = world.create("v", 3, "in-sync");
    const std::size_t primary = world.primary_index(volume);
    const ReplicaId leader = world.record(volume)->primary;
    const ReplicaId other = other_member(world, volume);
    const ReplicaSet smaller{std::min(leader, other), std::max(leader, other)};
    const Configuration before = world.record(volume)->config;
    world.store().fail_next(fault);
    world.fail_loads(1);  // and the first attempt to read it back fails as well
    const std::size_t since = world.history().size();
    const control::Proposed wanted = proposal(world, volume, smaller);
    world.say(primary, wanted);
    world.run(50);
    EXPECT_EQ(world.history().size(), since) << "nothing was said";
    world.run(2'000);
    if (fault == MemoryStore::Fault::unknown_done) {
      EXPECT_EQ(world.record(volume)->config.in_sync, smaller);
      EXPECT_EQ(world.replica(primary, volume).assignment.config.in_sync, smaller);
    } else {
      EXPECT_EQ(world.record(volume)->config, before);
      world.say(primary, wanted);  // the primary asks again
      ASSERT_TRUE(world.run_until([&] { return world.record(volume)->config.in_sync == smaller; }));
    }
  }
}

TEST(Sessions, a_name_that_a_living_node_bears_is_refused_and_a_dead_ones_is_free) {
  World world(2);
  world.node(1).name = "n1";
  world.kill(1);
  world.start(1);
  world.run(1'000);
  EXPECT_EQ(world.core().nodes().at(NodeId(2)).record.name, "n2");
  EXPECT_EQ(world.core().nodes().at(NodeId(2)).session, 0U);
  world.kill(0);
  world.run(3'000);
  EXPECT_EQ(world.core().nodes().at(NodeId(2)).record.name, "n1");
  EXPECT_NE(world.core().nodes().at(NodeId(2)).session, 0U);
}

}  // namespace
}  // namespace seawall::controller
