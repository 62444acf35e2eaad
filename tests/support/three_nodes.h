// ThreeNodes: a volume of three replicas on three nodes in one thread, and a client that attaches.
//
// Life cycle: a test's. The test is the controller: promote() fences, waits for the promises and
// assigns. Thread: one. No wall clock: until() steps a clock of its own.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/prng.h"
#include "tests/support/loopback.h"

namespace seawall::testing {

using runtime::Attachment;
using runtime::ClientIo;
using runtime::VolumeHost;

inline constexpr VolumeId volume{7, 7};
inline constexpr Incarnation incarnation{8, 8};
inline constexpr BlockCount volume_size{1024};

struct Answer {
  ClientStatus status = ClientStatus::ok;
  std::vector<std::byte> data;
};

class ThreeNodes : public ::testing::Test {
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
      create.log_bytes = log_bytes_;
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
                               NodeId{static_cast<std::uint64_t>(i + 1)}, address(i), ++starts_,
                               core_options_);
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
    for (int i = 0; i < members_; ++i) {
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

  // The generation after one that was stopped.
  void attach_again() {
    ++generation_;
    current_.assignment.revision = Revision{++revision_};
    current_.assignment.attachments.clear();
    current_.assignment.attachments.push_back({AttachmentId{generation_}, NodeId{1}});
    for (auto& n : nodes_) {
      if (n != nullptr) n->host.on_control(current_);
    }
    settle();
    attach_on(client_node_);
  }
  void attach_on(int i) {
    control::AttachmentView view;
    view.volume = volume;
    view.volume_name = "vol";
    view.incarnation = incarnation;
    view.attachment = AttachmentId{generation_};
    view.size = volume_size;
    view.io_timeout_ms = io_timeout_ms_;
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

  CoreOptions core_options_;
  std::uint64_t log_bytes_ = 0;  // 0: the default
  int members_ = count;          // of an assignment: the first ones
  std::uint32_t io_timeout_ms_ = 20'000;
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
  std::uint64_t generation_ = 1;
  std::uint64_t cookies_ = 0;
  std::map<std::uint64_t, Answer> answers_;
};

}  // namespace seawall::testing
