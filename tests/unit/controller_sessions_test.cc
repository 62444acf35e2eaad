#include <gtest/gtest.h>

#include <variant>

#include "controller/core/core.h"

namespace seawall::controller {
namespace {

control::Register hello(std::uint64_t node, std::vector<std::uint64_t> volumes) {
  control::Register message;
  message.node = NodeId(node);
  message.name = "n" + std::to_string(node);
  message.pool_id = "pool";
  message.process_start = ProcessStart(1);
  for (const std::uint64_t volume : volumes) {
    ReplicaStatus status;
    status.volume = VolumeId{1, volume};
    status.replica = ReplicaId(1);
    message.replicas.push_back(status);
  }
  return message;
}

const Refusal* rejection(const Core::Outputs& outputs) {
  for (const Output& output : outputs) {
    if (const auto* reject = std::get_if<output::Reject>(&output)) return &reject->refusal;
  }
  return nullptr;
}

VolumeRecord known_volume() {
  VolumeRecord record;
  record.id = VolumeId{1, 7};
  record.name = "v";
  return record;
}

TEST(NodeSession, a_pool_that_holds_only_replicas_of_another_cluster_is_rejected_by_name) {
  Core core;
  Core::Outputs out;
  core.start({}, {}, Instant(0), out);
  core.step(input::NodeSaid{1, hello(1, {7, 8})}, Instant(0), out);
  const Refusal* refusal = rejection(out);
  ASSERT_NE(refusal, nullptr);
  EXPECT_EQ(refusal->field, "pool");
  EXPECT_NE(refusal->message.find("2 replicas of another cluster"), std::string::npos);
}

TEST(NodeSession, an_empty_pool_is_welcome) {
  Core core;
  Core::Outputs out;
  core.start({}, {}, Instant(0), out);
  core.step(input::NodeSaid{1, hello(1, {})}, Instant(0), out);
  EXPECT_EQ(rejection(out), nullptr);
}

TEST(NodeSession, a_node_of_this_cluster_may_still_hold_what_was_deleted_meanwhile) {
  NodeRecord node;
  node.id = NodeId(1);
  node.name = "n1";
  Core core;
  Core::Outputs out;
  core.start({}, {node}, Instant(0), out);
  core.step(input::NodeSaid{1, hello(1, {8})}, Instant(0), out);
  EXPECT_EQ(rejection(out), nullptr);
}

TEST(NodeSession, a_node_that_the_store_forgot_is_known_by_its_replicas) {
  Core core;
  Core::Outputs out;
  core.start({known_volume()}, {}, Instant(0), out);
  core.step(input::NodeSaid{1, hello(1, {7, 8})}, Instant(0), out);
  EXPECT_EQ(rejection(out), nullptr);
}

}  // namespace
}  // namespace seawall::controller
