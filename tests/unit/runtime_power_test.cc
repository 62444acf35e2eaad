// All nodes lose power at once, and the logs come back as a loyal disk may leave them; and what a
// node does while its log is still being opened.
#include <gtest/gtest.h>

#include "engine/promotion.h"
#include "tests/support/log_batches.h"
#include "tests/support/three_nodes.h"

namespace seawall::testing {
namespace {

class Power : public ThreeNodes {
 protected:
  Power() { log_bytes_ = 1024 * 1024; }

  void begin(int members) {
    members_ = members;
    for (int i = members; i < count; ++i) kill(i);
    promote(1, 0);
    until([&] { return serves(0); });
    attach_on(0);
    write_all(50, 1);
    ASSERT_EQ(wait(flush()).status, ClientStatus::ok);
    for (int i = 0; i < members; ++i) {
      until([&] { return marks(i).durable == marks(0).written; });
    }
  }
  const Watermarks& marks(int i) { return host(i)->core()->facts().marks; }
  void reopen(int i) {
    start(i);
    settle();
    until([&] { return host(i) != nullptr && host(i)->state() == VolumeHost::State::open; });
  }
  // As the controller would, of the reports of this epoch.
  PromotionDecision decision(std::uint64_t epoch) {
    std::vector<FenceReport> reports;
    for (int i = 0; i < members_; ++i) {
      for (const auto& fenced : node(i).control.all<control::Fenced>()) {
        if (fenced.report.epoch == Epoch{epoch}) reports.push_back(fenced.report);
      }
    }
    PromotionFacts facts;
    facts.config = &current_.assignment.config;
    facts.pending = Epoch{epoch};
    facts.record_epoch = Epoch{epoch};
    facts.record_revision = Revision{revision_};
    facts.reports = reports;
    facts.since_fence = Duration{1'000};
    facts.since_enough = Duration{1'000};
    return decide_promotion(facts);
  }
  // Ten writes that nobody flushes, each a batch of its own: the first five are torn, the others
  // whole.
  void tear_the_tail(int members) {
    begin(members);
    const Lsn flushed = marks(0).written;
    for (std::uint64_t lba = 60; lba < 70; ++lba) {
      ASSERT_EQ(wait(write(lba, 1, 0x77)).status, ClientStatus::ok);
    }
    for (int i = 0; i < members; ++i) {
      until([&] { return marks(i).written == flushed + LsnCount{10}; });
      ASSERT_EQ(marks(i).durable, flushed) << "a barrier came between";
    }
    attachment_->stop();
    until([&] { return attachment_->open() == 0; });
    const std::vector<std::byte> garbage(512, std::byte{0x55});
    for (int i = 0; i < members; ++i) {
      kill(i);
      MemDirectory& directory = directories_[static_cast<std::size_t>(i)];
      ++directory.boot;
      int torn = 0;
      for (const Place& place : log_batches(directory.mem_disk(replica(i)), incarnation)) {
        const Lsn lsn{place.head.first_lsn};
        if (lsn <= flushed || lsn > flushed + LsnCount{5}) continue;
        directory.mem_disk(replica(i)).poke(place.file, place.payload() + 1024, garbage);
        ++torn;
      }
      ASSERT_EQ(torn, 5);
    }
    for (int i = 0; i < members; ++i) {
      reopen(i);
      EXPECT_EQ(marks(i).written, flushed) << "the unflushed tail is cut, and only it";
      EXPECT_EQ(host(i)->core()->facts().damage, Damage::none);
      EXPECT_FALSE(host(i)->core()->facts().intact);
    }
    promote(2, 0);
    const PromotionDecision decided = decision(2);
    EXPECT_EQ(decided.kind, PromotionKind::promote);
    EXPECT_TRUE(decided.after_power_loss);
    EXPECT_EQ(decided.winner_position.lsn, flushed);
    until([&] { return serves(0); });
    attach_again();
    expect_all(50, 1);
    for (std::uint64_t lba = 60; lba < 70; ++lba) {
      const std::uint64_t asked =
          submit({ClientOp::read, Lba{lba}, BlockCount{1}, no_slot, false, 0});
      const Answer answer = wait(asked);
      ASSERT_EQ(answer.status, ClientStatus::ok) << "an unflushed block is old, not unreadable";
      EXPECT_EQ(answer.data[17], std::byte{0}) << "what was cut came back";
    }
    write_all(70, 9);
    ASSERT_EQ(wait(flush()).status, ClientStatus::ok);
    expect_all(70, 9);
  }
};

TEST_F(Power, P159_of_three_the_unflushed_tail_is_cut_and_the_volume_serves) { tear_the_tail(3); }

TEST_F(Power, P159_of_one_the_unflushed_tail_is_cut_and_the_volume_serves) { tear_the_tail(1); }

// The winner is told to lead while its log is being opened: it says nothing to anybody before it
// knows what it holds and what it has trimmed, and then its plan is a catch-up, not one from zero.
TEST_F(Power, P96_no_plan_is_made_while_the_own_log_is_being_opened) {
  begin(3);
  for (std::uint8_t round = 0; marks(0).trimmed == Lsn{0}; ++round) {
    write_all(50, round);
    ASSERT_EQ(wait(flush()).status, ClientStatus::ok);
    pass(700);
  }
  const Lsn trimmed = marks(0).trimmed;
  attachment_->stop();
  until([&] { return attachment_->open() == 0; });
  kill(0);
  start(0);
  ASSERT_TRUE(node(0).blocking.run_one()) << "its pool is listed, the opening begins";
  node(0).blocking.held = true;
  node(0).host.on_control(assignment(2, 0, nullptr));
  for (int i = 0; i < count; ++i) {
    node(i).host.on_control(
        control::Fence{FenceRequest{volume, replica(i), Epoch{2}, Revision{revision_}}});
  }
  pass(3000);
  EXPECT_EQ(host(0)->core(), nullptr) << "there is nobody who could decide";
  EXPECT_EQ(node(0).transport.links_ever(), 0u) << "it greeted somebody";
  EXPECT_TRUE(node(0).control.all<control::Fenced>().empty()) << "it reported what it cannot know";
  node(0).blocking.held = false;
  until([&] { return host(0)->core() != nullptr; });
  EXPECT_GE(marks(0).trimmed, trimmed);
  promote(3, 0);
  until([&] { return serves(0) && in_sync(0, 1) && in_sync(0, 2); });
  for (const PeerStatus& peer : host(0)->status().peers) {
    EXPECT_EQ(peer.state, ReplicaState::in_sync);
    EXPECT_EQ(peer.bytes_total, 0u) << "a base was sent";
  }
}

}  // namespace
}  // namespace seawall::testing
