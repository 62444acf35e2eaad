// The controller's thread: questions from many threads, links to nodes, watchers, and its end.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "controller/api/desk.h"
#include "controller/api/listen.h"
#include "controller/store/memory_store.h"

namespace seawall::controller {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds patience{20'000};

control::Register hello(std::uint64_t node) {
  control::Register message;
  message.node = NodeId(node);
  message.name = "n" + std::to_string(node);
  message.data_address = "127.0.0.1:7000";
  message.process_start = ProcessStart(node);
  message.pool_free_bytes = limits::TiB;
  return message;
}

CreateVolume create(const std::string& name, std::uint64_t number) {
  CreateVolume request;
  request.operation = name;
  request.name = name;
  request.size_bytes = limits::GiB;
  request.replicas = 1;
  request.fresh_id = VolumeId{1, number};
  request.fresh_incarnation = Incarnation{2, number};
  return request;
}

// Makes replicas as it is told until its link ends.
void serve(Desk& desk, std::uint64_t session, NodeLink& link) {
  v1::ControllerMessage message;
  while (link.pop(message)) {
    if (!message.has_create_replica()) continue;
    const v1::CreateReplica& order = message.create_replica();
    const VolumeId volume{order.volume().hi(), order.volume().lo()};
    desk.say(session, control::ReplicaCreated{order.operation(), volume, ReplicaId(order.replica()),
                                              true, ""});
  }
}

TEST(Desk, answers_many_threads_at_once_and_each_its_own_question) {
  MemoryStore store;
  Desk desk(store);
  ASSERT_TRUE(desk.start().has_value());
  const auto link = std::make_shared<NodeLink>();
  const std::uint64_t session = desk.open(link);
  ASSERT_TRUE(desk.say(session, hello(1)));
  std::thread node([&] { serve(desk, session, *link); });
  std::vector<std::thread> askers;
  std::atomic<int> right = 0;
  for (std::uint64_t i = 1; i <= 8; ++i) {
    askers.emplace_back([&, i] {
      for (std::uint64_t k = 0; k < 10; ++k) {
        const std::uint64_t number = i * 100 + k;
        const Answer answer = desk.ask(create("v" + std::to_string(number), number), patience);
        if (!answer.refusal && answer.volume == VolumeId{1, number}) ++right;
      }
    });
  }
  for (std::thread& asker : askers) asker.join();
  EXPECT_EQ(right, 80);
  EXPECT_EQ(desk.cluster()->volumes_size(), 80);
  EXPECT_EQ(desk.volume("v101")->name(), "v101");
  EXPECT_FALSE(desk.volume("nothing").has_value());
  desk.stop();
  node.join();
}

TEST(Desk, one_that_stops_answers_everybody_who_waits_and_ends_every_link) {
  MemoryStore store;
  Desk desk(store);
  ASSERT_TRUE(desk.start().has_value());
  const auto link = std::make_shared<NodeLink>();
  const std::uint64_t session = desk.open(link);
  ASSERT_TRUE(desk.say(session, hello(1)));
  Answer answer;
  std::thread asker([&] { answer = desk.ask(create("v", 1), patience); });  // nobody makes it
  v1::ControllerMessage message;
  ASSERT_TRUE(link->pop(message));
  EXPECT_TRUE(message.has_create_replica());
  desk.stop();
  asker.join();
  ASSERT_TRUE(answer.refusal);
  EXPECT_EQ(answer.refusal->code, RefusalCode::busy);
  EXPECT_FALSE(link->pop(message));
  EXPECT_TRUE(desk.ask(create("w", 2), patience).refusal);
  EXPECT_EQ(desk.cluster(), nullptr);
}

TEST(Desk, a_question_ends_at_its_deadline_and_the_volume_can_be_asked_for_again) {
  MemoryStore store;
  Desk desk(store);
  ASSERT_TRUE(desk.start().has_value());
  const auto link = std::make_shared<NodeLink>();
  const std::uint64_t session = desk.open(link);
  ASSERT_TRUE(desk.say(session, hello(1)));
  const Answer late = desk.ask(create("v", 1), milliseconds(100));
  ASSERT_TRUE(late.refusal);
  EXPECT_EQ(late.refusal->code, RefusalCode::timed_out);
  std::thread node([&] { serve(desk, session, *link); });
  const Answer answer = desk.ask(create("v", 2), patience);
  EXPECT_FALSE(answer.refusal);
  EXPECT_EQ(answer.volume, (VolumeId{1, 1})) << "the same operation: the same volume";
  desk.stop();
  node.join();
}

TEST(Desk, a_watcher_sees_the_present_at_once_and_then_each_change) {
  MemoryStore store;
  Desk desk(store);
  ASSERT_TRUE(desk.start().has_value());
  desk.begin_watch();
  const auto first = desk.wait_for_change(0, patience);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->nodes_size(), 0);
  const std::uint64_t session = desk.open(std::make_shared<NodeLink>());
  ASSERT_TRUE(desk.say(session, hello(1)));
  const auto second = desk.wait_for_change(first->sequence(), patience);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->nodes_size(), 1);
  EXPECT_GT(second->sequence(), first->sequence());
  EXPECT_EQ(desk.wait_for_change(second->sequence(), milliseconds(300)), nullptr)
      << "nothing has changed";
  desk.end_watch();
}

TEST(Desk, a_newer_session_of_a_node_ends_the_older_with_its_reason) {
  MemoryStore store;
  Desk desk(store);
  ASSERT_TRUE(desk.start().has_value());
  const auto old_link = std::make_shared<NodeLink>();
  ASSERT_TRUE(desk.say(desk.open(old_link), hello(1)));
  ASSERT_TRUE(desk.say(desk.open(std::make_shared<NodeLink>()), hello(1)));
  v1::ControllerMessage last;
  ASSERT_TRUE(old_link->pop(last));
  EXPECT_TRUE(last.has_rejected());
  EXPECT_FALSE(last.rejected().message().empty());
  EXPECT_FALSE(old_link->pop(last));
}

TEST(NodeLink, one_that_is_not_read_is_ended_and_not_grown) {
  NodeLink link;
  for (std::size_t i = 0; i <= NodeLink::messages_max; ++i) link.push(v1::ControllerMessage());
  v1::ControllerMessage message;
  EXPECT_FALSE(link.pop(message));
}

TEST(Listen, only_loopback_and_unix_sockets_speak_plain_text) {
  std::string detail;
  EXPECT_EQ(parse_listen("127.0.0.1:1,unix:/x,[::1]:2,localhost:65535", &detail)->size(), 4U);
  for (const char* wrong : {"", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:1,", ":1",
                            "0.0.0.0:1", "10.0.0.1:1", "127.0.0.1:x", "unix:"}) {
    EXPECT_FALSE(parse_listen(wrong, &detail).has_value()) << wrong;
    EXPECT_NE(detail.find("--listen is"), std::string::npos);
  }
}

}  // namespace
}  // namespace seawall::controller
