// Three nodes in one thread, from a client's request to three logs and back: what production and
// the simulator run, on a tame network.
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/three_nodes.h"

namespace seawall::testing {
namespace {

using Cluster = ThreeNodes;

TEST_F(Cluster, ALocalClientWritesReadsAndFlushes) {
  promote(1, 0);
  until([&] { return serves(0); });
  attach_on(0);
  EXPECT_EQ(wait(write(3, 2, 0x33)).status, ClientStatus::ok);
  EXPECT_EQ(wait(flush()).status, ClientStatus::ok);
  const Answer read = wait(submit({ClientOp::read, Lba{2}, BlockCount{4}, no_slot, false, 0}));
  ASSERT_EQ(read.status, ClientStatus::ok);
  ASSERT_EQ(read.data.size(), 4 * 4096u);
  EXPECT_EQ(read.data[0], std::byte{0});
  EXPECT_EQ(read.data[4096], std::byte{0x33});
  EXPECT_EQ(read.data[3 * 4096 - 1], std::byte{0x33});
  EXPECT_EQ(read.data[3 * 4096], std::byte{0});
  const Answer beyond =
      wait(submit({ClientOp::read, Lba{1023}, BlockCount{2}, no_slot, false, 0}));
  EXPECT_EQ(beyond.status, ClientStatus::out_of_range);
}

TEST_F(Cluster, ARemoteClientIsServedThroughALink) {
  promote(1, 0);
  until([&] { return serves(0); });
  attach_on(2);
  write_all(300, 1);
  EXPECT_EQ(wait(flush()).status, ClientStatus::ok);
  expect_all(300, 1);
  until([&] { return in_sync(0, 1) && in_sync(0, 2); });
  EXPECT_GE(host(1)->status().marks.written, Lsn{300});
}

TEST_F(Cluster, DiscardAndZeroesReadAsZeroes) {
  promote(1, 1);
  until([&] { return serves(1); });
  attach_on(0);
  write_all(20, 9);
  EXPECT_EQ(wait(submit({ClientOp::discard, Lba{0}, BlockCount{10}, no_slot, false, 0})).status,
            ClientStatus::ok);
  EXPECT_EQ(
      wait(submit({ClientOp::write_zeroes, Lba{10}, BlockCount{5}, no_slot, true, 0})).status,
      ClientStatus::ok);
  const Answer read = wait(submit({ClientOp::read, Lba{0}, BlockCount{20}, no_slot, false, 0}));
  ASSERT_EQ(read.status, ClientStatus::ok);
  for (std::size_t block = 0; block < 20; ++block) {
    const auto expected = block < 15 ? std::byte{0} : static_cast<std::byte>(9 + block);
    EXPECT_EQ(read.data[block * 4096 + 5], expected) << block;
  }
}

TEST_F(Cluster, AReplicaThatWasAwayCatchesUp) {
  promote(1, 0);
  until([&] { return serves(0); });
  attach_on(0);
  write_all(50, 1);
  kill(2);
  write_all(200, 2);
  start(2);
  settle();
  node(2).host.on_control(current_);
  until([&] { return in_sync(0, 2); });
  EXPECT_EQ(host(2)->status().marks.written, host(0)->status().marks.written);
  expect_all(200, 2);
}

TEST_F(Cluster, TheClientFollowsAFailoverAndNothingIsLost) {
  promote(1, 0);
  until([&] { return serves(0); });
  attach_on(2);
  write_all(100, 1);
  kill(0);
  const std::uint64_t held = write(500, 1, 0x77);  // submitted while there is no primary
  pass(500);
  EXPECT_FALSE(answers_.contains(held));
  promote(2, 1);
  EXPECT_EQ(wait(held).status, ClientStatus::ok);
  expect_all(100, 1);
  EXPECT_TRUE(serves(1));
  // The old primary returns, its tail is cut or equal, and it is a replica again.
  start(0);
  settle();
  node(0).host.on_control(current_);
  until([&] { return in_sync(1, 0); });
  write_all(100, 5);
  until([&] { return in_sync(1, 0) && in_sync(1, 2); });
  expect_all(100, 5);
}

TEST_F(Cluster, RequestsInFlightAtAFailoverCompleteOnce) {
  promote(1, 0);
  until([&] { return serves(0); });
  attach_on(2);
  write_all(10, 1);
  std::vector<std::uint64_t> cookies;
  for (std::uint64_t i = 0; i < 60; ++i) cookies.push_back(write(i, 1, 0x40));
  for (int i = 0; i < 7; ++i) network_.deliver_one();  // some are on their way, some are not
  kill(0);
  pass(100);
  promote(2, 2);  // the primary moves to the client's own node
  for (const auto cookie : cookies) EXPECT_EQ(wait(cookie).status, ClientStatus::ok);
  for (std::uint64_t i = 0; i < 60; ++i) {
    const Answer answer = wait(submit({ClientOp::read, Lba{i}, BlockCount{1}, no_slot, false, 0}));
    EXPECT_EQ(answer.data[0], std::byte{0x40});
  }
}

// The link died without a word, the replica at its other end is the next primary again.
TEST_F(Cluster, AClientLeavesADeadLinkForANewerEpochOfTheSameReplica) {
  promote(1, 0);
  until([&] { return serves(0); });
  attach_on(2);
  EXPECT_EQ(wait(write(1, 1, 1)).status, ClientStatus::ok);
  node(0).transport.silence(address(2));
  node(2).transport.silence(address(0));
  const std::uint64_t cookie = write(1, 1, 2);
  kill(0);
  start(0);
  settle();
  promote(2, 0);
  EXPECT_EQ(wait(cookie).status, ClientStatus::ok);
}

TEST_F(Cluster, WithoutAPrimaryIoFailsAfterItsTimeOut) {
  promote(1, 0);
  until([&] { return serves(0); });
  attach_on(2);
  EXPECT_EQ(wait(write(1, 1, 1)).status, ClientStatus::ok);
  kill(0);
  const Instant submitted = clock_.now();
  const std::uint64_t cookie = write(1, 1, 2);
  EXPECT_EQ(wait(cookie).status, ClientStatus::io_error);
  EXPECT_GE(clock_.now() - submitted, Duration{20'000});
  EXPECT_LE(clock_.now() - submitted, Duration{20'100});
}

TEST_F(Cluster, ADetachFailsWhatIsOpenAndTheAttachmentGoes) {
  promote(1, 0);
  until([&] { return serves(0); });
  attach_on(2);
  EXPECT_EQ(wait(write(1, 1, 1)).status, ClientStatus::ok);
  kill(0);
  const std::uint64_t cookie = write(1, 1, 2);
  node(2).host.detach(volume);
  EXPECT_EQ(wait(cookie).status, ClientStatus::io_error);
  settle();
  EXPECT_EQ(node(2).host.find_attachment(volume), nullptr);
}

TEST_F(Cluster, AGenerationOfAnotherProcessOrOfAnEarlierLifeIsRefused) {
  promote(1, 0);
  until([&] { return serves(0); });
  attach_on(2);
  control::AttachmentView view = node(2).host.find_attachment(volume)->view();
  const auto ignore = [](std::uint64_t, ClientStatus, Slot) {};
  node(2).host.detach(volume);
  until([&] { return node(2).host.find_attachment(volume) == nullptr; });
  until([&] { return node(2).host.attachments() == 0; });
  EXPECT_EQ(node(2).host.attach(view, ignore), nullptr) << "its request numbers are used up";
  view.attachment = AttachmentId{2};
  view.holder_start = ProcessStart{0xdead};
  EXPECT_EQ(node(2).host.attach(view, ignore), nullptr) << "minted for a process before this one";
  view.holder_start = ProcessStart{};
  EXPECT_NE(node(2).host.attach(view, ignore), nullptr);
}

TEST_F(Cluster, ADeletedReplicaIsGoneFromItsPool) {
  promote(1, 0);
  until([&] { return serves(0); });
  node(2).host.on_control(control::DeleteReplica{9, volume, replica(2)});
  until([&] { return !node(2).control.all<control::ReplicaDeleted>().empty(); });
  EXPECT_TRUE(node(2).control.all<control::ReplicaDeleted>()[0].ok);
  EXPECT_EQ(host(2), nullptr);
  EXPECT_TRUE(directories_[2].list().empty());
  node(2).host.on_control(control::DeleteReplica{10, volume, replica(2)});  // again: done
  EXPECT_EQ(node(2).control.all<control::ReplicaDeleted>().size(), 2u);
}

TEST_F(Cluster, HeartbeatsTellTheStateOfEveryReplica) {
  pass(1100);
  const auto beats = node(0).control.all<control::Heartbeat>();
  ASSERT_GE(beats.size(), 4u);
  ASSERT_EQ(beats.back().replicas.size(), 1u);
  EXPECT_EQ(beats.back().replicas[0].replica, replica(0));
  EXPECT_EQ(node(0).control.all<control::Register>().size(), 1u);
}

TEST_F(Cluster, AnIdleHourIsNoSilenceOfThePrimary) {
  promote(1, 0);
  until([&] { return serves(0); });
  attach_on(2);
  EXPECT_EQ(wait(write(1, 1, 1)).status, ClientStatus::ok);
  pass(5000);
  const std::uint64_t before = node(1).transport.links_ever();
  EXPECT_EQ(wait(write(1, 1, 2)).status, ClientStatus::ok);
  EXPECT_EQ(node(1).transport.links_ever(), before) << "nobody else was asked";
}

class SmallLog : public ThreeNodes {
 protected:
  SmallLog() {
    log_bytes_ = 4 * 1024 * 1024;
    core_options_.barrier_bytes = 256 * 1024;  // what is not stable must leave room in the log
  }
};

TEST_F(SmallLog, WritersGoOnAroundTheLogManyTimes) {
  promote(1, 0);
  until([&] { return serves(0); });
  attach_on(1);
  for (std::uint8_t round = 0; round < 5; ++round) write_all(1000, round);
  EXPECT_EQ(wait(flush()).status, ClientStatus::ok);
  expect_all(1000, 4);
  EXPECT_GT(host(0)->status().marks.trimmed, Lsn{2000});
}

TEST_F(SmallLog, AReplicaThatFellBehindTheLogIsRebuiltAndCanBePromoted) {
  promote(1, 0);
  until([&] { return serves(0); });
  attach_on(1);
  write_all(600, 1);
  until([&] { return in_sync(0, 2); });
  const Lsn old_end = host(2)->status().marks.written;
  kill(2);
  for (std::uint8_t round = 2; round < 6; ++round) write_all(1000, round);
  EXPECT_EQ(wait(flush()).status, ClientStatus::ok);
  until([&] { return host(0)->status().marks.trimmed > old_end; });
  start(2);
  settle();
  node(2).host.on_control(current_);
  until([&] { return in_sync(0, 2); });
  EXPECT_LT(host(2)->store()->stats().records, 1000u) << "the base came over, not four rounds";
  EXPECT_FALSE(host(2)->core()->facts().marker.has_value());
  constexpr std::uint8_t stamp = 6;
  write_all(100, stamp);
  until([&] { return in_sync(0, 1) && in_sync(0, 2); });
  kill(0);
  promote(2, 2);
  for (std::uint64_t lba = 0; lba < 1000; ++lba) {
    const Answer answer =
        wait(submit({ClientOp::read, Lba{lba}, BlockCount{1}, no_slot, false, 0}));
    ASSERT_EQ(answer.status, ClientStatus::ok);
    const std::uint64_t expected = (lba < 100 ? stamp : 5) + lba % 50;
    ASSERT_EQ(answer.data[100], static_cast<std::byte>(expected)) << lba;
  }
}

}  // namespace
}  // namespace seawall::testing
