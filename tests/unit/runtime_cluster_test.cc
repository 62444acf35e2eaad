// Three nodes in one thread, from a client's request to three logs and back: what production and
// the simulator run, on a tame network.
#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/prng.h"
#include "tests/support/loopback.h"

namespace seawall {
namespace {

using runtime::Attachment;
using runtime::ClientIo;
using runtime::VolumeHost;
using seawall::testing::LoopbackNetwork;
using seawall::testing::ManualClock;
using seawall::testing::MemDirectory;
using seawall::testing::Node;

const VolumeId volume{7, 7};
const Incarnation incarnation{8, 8};
constexpr BlockCount volume_size{1024};

struct Answer {
  ClientStatus status = ClientStatus::ok;
  std::vector<std::byte> data;
};

class Cluster : public ::testing::Test {
 protected:
  static constexpr int count = 3;

  void SetUp() override {
    for (int i = 0; i < count; ++i) {
      start(i);
      control::CreateReplica create;
      create.operation = 1;
      create.volume = volume;
      create.volume_name = "vol";
      create.incarnation = incarnation;
      create.replica = replica(i);
      create.size = volume_size;
      settle();
      node(i).host.on_control(create);
    }
    settle();
    for (int i = 0; i < count; ++i) {
      const auto created = node(i).control.all<control::ReplicaCreated>();
      ASSERT_EQ(created.size(), 1u);
      ASSERT_TRUE(created[0].ok) << created[0].error;
    }
  }
  void TearDown() override {
    for (int i = 0; i < count; ++i) {
      if (nodes_[i] == nullptr) continue;
      node(i).host.stop(true);
    }
    until([&] {
      return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& n) {
        return n == nullptr || n->host.stopped();
      });
    });
    for (int i = 0; i < count; ++i) {
      if (nodes_[i] == nullptr) continue;
      EXPECT_EQ(node(i).pool.in_use(), 0u) << "a slot leaked on node " << i;
    }
    for (auto& n : nodes_) n.reset();
  }

  static ReplicaId replica(int i) { return ReplicaId{static_cast<std::uint64_t>(10 + i)}; }
  static std::string address(int i) { return "node" + std::to_string(i); }
  Node& node(int i) { return *nodes_[static_cast<std::size_t>(i)]; }
  VolumeHost* host(int i) { return node(i).host.find_replica(volume, replica(i)); }

  void start(int i) {
    nodes_[static_cast<std::size_t>(i)] =
        std::make_unique<Node>(network_, clock_, directories_[static_cast<std::size_t>(i)],
                               NodeId{static_cast<std::uint64_t>(i + 1)}, address(i), ++starts_);
  }
  // The process dies: nothing is said, what was in flight on its disk is decided by the dice.
  void kill(int i) {
    directories_[static_cast<std::size_t>(i)].crash(prng_);
    nodes_[static_cast<std::size_t>(i)].reset();
  }

  void settle() {
    for (int quiet = 0; quiet < 3;) {
      bool any = false;
      while (network_.deliver_one()) any = true;
      for (auto& n : nodes_) {
        if (n != nullptr) any = n->round(clock_.now()) || any;
      }
      quiet = any ? 0 : quiet + 1;
    }
  }
  // Steps the clock until the condition holds; fails after a minute of its time.
  template <class Condition>
  bool until(Condition condition) {
    for (int ms = 0; ms < 60'000; ++ms) {
      settle();
      if (condition()) return true;
      clock_.advance(Duration{1});
    }
    ADD_FAILURE() << "a minute has passed";
    return false;
  }
  void pass(int ms) {
    for (int i = 0; i < ms; ++i) {
      settle();
      clock_.advance(Duration{1});
    }
  }

  control::Assign assignment(std::uint64_t epoch, int primary, const FenceReport* winner) {
    control::Assign assign;
    Assignment& a = assign.assignment;
    a.volume = volume;
    a.incarnation = incarnation;
    a.epoch = Epoch{epoch};
    a.revision = Revision{++revision_};
    a.primary = replica(primary);
    for (int i = 0; i < count; ++i) {
      a.config.members.push_back(replica(i));
      a.config.in_sync.push_back(replica(i));
      a.endpoints.push_back({replica(i), EndpointVersion{1}});
      assign.addresses.push_back({replica(i), NodeId{static_cast<std::uint64_t>(i + 1)},
                                  EndpointVersion{1}, address(i)});
    }
    a.attachments.push_back({AttachmentId{1}, NodeId{1}});
    a.size = volume_size;
    if (winner != nullptr) {
      a.winner_start = winner->facts.process_start;
      a.winner_position = {winner->facts.last_term, winner->facts.marks.written};
    }
    return assign;
  }
  // What a controller does: fences a majority, waits for its reports, assigns, tells everybody.
  void promote(std::uint64_t epoch, int primary) {
    std::map<int, std::size_t> before;
    for (int i = 0; i < count; ++i) {
      if (nodes_[static_cast<std::size_t>(i)] == nullptr) continue;
      before[i] = node(i).control.all<control::Fenced>().size();
      node(i).host.on_control(
          control::Fence{FenceRequest{volume, replica(i), Epoch{epoch}, Revision{revision_}}});
    }
    std::optional<FenceReport> report;
    until([&] {
      std::size_t promised = 0;
      for (const auto& [i, reports] : before) {
        const auto all = node(i).control.all<control::Fenced>();
        if (all.size() <= reports || all.back().report.epoch != Epoch{epoch}) continue;
        ++promised;
        if (i == primary) report = all.back().report;
      }
      return promised == before.size() && report.has_value();
    });
    current_ = assignment(epoch, primary, &*report);
    for (const auto& [i, reports] : before) node(i).host.on_control(current_);
  }
  bool serves(int i) { return host(i) != nullptr && host(i)->status().serving; }

  void attach_on(int i) {
    control::AttachmentView view;
    view.volume = volume;
    view.volume_name = "vol";
    view.incarnation = incarnation;
    view.attachment = AttachmentId{1};
    view.size = volume_size;
    view.io_timeout_ms = 20'000;
    view.addresses = current_.addresses;
    client_node_ = i;
    attachment_ = node(i).host.attach(
        view, [this, i](std::uint64_t cookie, ClientStatus status, Slot slot) {
          Answer answer{status, {}};
          if (slot != no_slot) {
            const auto bytes = node(i).pool.bytes(slot);
            answer.data.assign(bytes.begin(), bytes.end());
            node(i).pool.unref(slot);
          }
          EXPECT_FALSE(answers_.contains(cookie)) << "completed twice";
          answers_[cookie] = std::move(answer);
        });
    ASSERT_NE(attachment_, nullptr);
  }
  std::uint64_t submit(ClientIo io) {
    io.cookie = ++cookies_;
    EXPECT_TRUE(attachment_->submit(io));
    return io.cookie;
  }
  std::uint64_t write(std::uint64_t lba, std::uint64_t blocks, std::uint8_t stamp) {
    auto& pool = node(client_node_).pool;
    const Slot slot = pool.take(blocks * 4096);
    std::memset(pool.bytes(slot).data(), stamp, blocks * 4096);
    return submit({ClientOp::write, Lba{lba}, BlockCount{blocks}, slot, false, 0});
  }
  std::uint64_t flush() {
    return submit({ClientOp::flush, Lba{}, BlockCount{}, no_slot, false, 0});
  }
  Answer wait(std::uint64_t cookie) {
    until([&] { return answers_.contains(cookie); });
    return answers_[cookie];
  }
  void write_all(std::uint64_t blocks, std::uint8_t stamp) {
    std::vector<std::uint64_t> cookies;
    for (std::uint64_t lba = 0; lba < blocks; ++lba) {
      cookies.push_back(write(lba, 1, static_cast<std::uint8_t>(stamp + lba % 50)));
      if (cookies.size() == 100) {
        for (const auto cookie : cookies) ASSERT_EQ(wait(cookie).status, ClientStatus::ok);
        cookies.clear();
      }
    }
    for (const auto cookie : cookies) ASSERT_EQ(wait(cookie).status, ClientStatus::ok);
  }
  void expect_all(std::uint64_t blocks, std::uint8_t stamp) {
    for (std::uint64_t lba = 0; lba < blocks; ++lba) {
      const Answer answer = wait(
          submit({ClientOp::read, Lba{lba}, BlockCount{1}, no_slot, false, 0}));
      ASSERT_EQ(answer.status, ClientStatus::ok) << lba;
      ASSERT_EQ(answer.data.size(), 4096u);
      ASSERT_EQ(answer.data[17], static_cast<std::byte>(stamp + lba % 50)) << lba;
    }
  }
  bool in_sync(int primary, int peer) {
    for (const PeerStatus& status : host(primary)->status().peers) {
      if (status.replica == replica(peer)) return status.state == ReplicaState::in_sync;
    }
    return false;
  }

  ManualClock clock_;
  LoopbackNetwork network_;
  Prng prng_{1};
  std::array<MemDirectory, count> directories_;
  std::array<std::unique_ptr<Node>, count> nodes_;
  std::uint64_t starts_ = 100;
  std::uint64_t revision_ = 0;
  control::Assign current_;
  Attachment* attachment_ = nullptr;
  int client_node_ = 0;
  std::uint64_t cookies_ = 0;
  std::map<std::uint64_t, Answer> answers_;
};

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

}  // namespace
}  // namespace seawall
