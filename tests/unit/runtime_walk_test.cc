// Random walks of a client over three nodes: real Cores, Stores, links and an Attachment, while
// processes die, links are cut or fall silent and primaries change. Every block reads as the newest
// completed write of it or a newer one, and never goes back. WALK_SEED and WALK_SEEDS choose other
// walks.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "engine/promotion.h"
#include "tests/support/three_nodes.h"

namespace seawall::testing {
namespace {

constexpr std::uint64_t blocks = 48;
constexpr std::uint64_t write_blocks_max = 16;  // a quarter of a segment of the small log
constexpr std::size_t open_max = 24;
constexpr int steps = 600;
constexpr int client = 2;  // its daemon lives

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::stoull(text) : otherwise;
}

class Walk : public ThreeNodes, public ::testing::WithParamInterface<std::uint64_t> {
 protected:
  Walk() {
    log_bytes_ = 4 * 1024 * 1024;
    core_options_.barrier_bytes = 256 * 1024;
    const std::uint64_t seed = from_environment("WALK_SEED", 1) + GetParam();
    random_ = Prng(seed);
    prng_ = Prng(seed + 1'000'000);
  }

  struct Request {
    ClientOp op = ClientOp::read;
    std::uint64_t lba = 0, length = 0, number = 0;
    std::vector<std::uint64_t> floor;  // of each block, as it was asked
  };

  bool alive(int i) const { return nodes_[static_cast<std::size_t>(i)] != nullptr; }
  bool anybody_serves() {
    for (int i = 0; i < count; ++i) {
      if (alive(i) && host(i) != nullptr && host(i)->state() == VolumeHost::State::open &&
          serves(i) && host(i)->status().epoch == Epoch{epoch_}) {
        return true;
      }
    }
    return false;
  }

  void ask_something() {
    if (open_.size() >= open_max) return;
    Request request;
    request.lba = random_.below(blocks);
    request.length = random_.range(1, std::min(write_blocks_max, blocks - request.lba));
    const std::uint64_t kind = random_.below(10);
    request.op = kind < 6 ? ClientOp::write : kind < 9 ? ClientOp::read : ClientOp::flush;
    ClientIo io{request.op, Lba{request.lba}, BlockCount{request.length}, no_slot, false, 0};
    if (request.op == ClientOp::flush) io.blocks = BlockCount{};
    if (request.op == ClientOp::write) {
      request.number = ++writes_;
      auto& pool = node(client).pool;
      io.slot = pool.take(request.length * 4096);
      io.fua = random_.chance(one_in(8));
      const auto bytes = pool.bytes(io.slot);
      for (std::uint64_t i = 0; i < request.length; ++i) {
        std::memcpy(bytes.data() + i * 4096, &request.number, sizeof request.number);
        newest_[request.lba + i] = request.number;
      }
    }
    for (std::uint64_t i = 0; i < request.length; ++i) {
      request.floor.push_back(floor_[request.lba + i]);
    }
    open_[submit(io)] = request;
  }

  void hear_answers() {
    for (auto at = open_.begin(); at != open_.end();) {
      const auto answer = answers_.find(at->first);
      if (answer == answers_.end()) {
        ++at;
        continue;
      }
      const Request& request = at->second;
      ASSERT_EQ(answer->second.status, ClientStatus::ok) << "request " << at->first;
      for (std::uint64_t i = 0; i < request.length && request.op != ClientOp::flush; ++i) {
        std::uint64_t& floor = floor_[request.lba + i];
        std::uint64_t value = request.number;
        if (request.op == ClientOp::read) {
          std::memcpy(&value, answer->second.data.data() + i * 4096, sizeof value);
          ASSERT_GE(value, request.floor[i]) << "block " << request.lba + i << " went back";
          ASSERT_LE(value, newest_[request.lba + i]) << "block " << request.lba + i;
        }
        floor = std::max(floor, value);
      }
      answers_.erase(answer);
      at = open_.erase(at);
    }
  }

  // The controller: fences who lives, and assigns as the pure function decides.
  void elect() {
    ++epoch_;
    for (int i = 0; i < count; ++i) {
      if (!alive(i)) continue;
      node(i).host.on_control(
          control::Fence{FenceRequest{volume, replica(i), Epoch{epoch_}, Revision{revision_}}});
    }
    Configuration config;
    for (int i = 0; i < count; ++i) config.members.push_back(replica(i));
    for (int waited = 0; waited < 3'000; waited += 50) {
      pass(50);
      std::vector<FenceReport> reports;
      for (int i = 0; i < count; ++i) {
        if (!alive(i)) continue;
        const auto all = node(i).control.all<control::Fenced>();
        if (!all.empty() && all.back().report.epoch == Epoch{epoch_}) {
          reports.push_back(all.back().report);
        }
      }
      PromotionFacts facts;
      facts.config = &config;
      facts.pending = Epoch{epoch_};
      facts.record_epoch = Epoch{epoch_};
      facts.record_revision = Revision{revision_};
      facts.reports = reports;
      facts.since_fence = Duration{static_cast<std::uint64_t>(waited)};
      facts.since_enough = Duration{limits::choice_wait_ms_max};
      const PromotionDecision decision = decide_promotion(facts);
      if (decision.kind != PromotionKind::promote) continue;
      for (const FenceReport& report : reports) {
        if (report.facts.replica != decision.winner) continue;
        const int winner = static_cast<int>(decision.winner.value()) - 10;
        current_ = assignment(epoch_, winner, &report);
      }
      deliver(percent(80));
      return;
    }
  }
  void deliver(Ratio chance) {
    for (int i = 0; i < count; ++i) {
      if (alive(i) && random_.chance(chance)) node(i).host.on_control(current_);
    }
  }

  void harm() {
    const int one = static_cast<int>(random_.below(count));
    const int other = (one + static_cast<int>(random_.range(1, 2))) % count;
    const std::uint64_t kind = random_.below(60);
    if (kind == 0 && one != client && alive(one)) kill(one);
    if (kind >= 1 && kind < 6 && !alive(one)) start(one);
    if (!alive(0) && !alive(1) && random_.chance(percent(20))) start(one % 2);  // nor for too long
    if (kind == 6) network_.cut(address(one), address(other));
    if (kind >= 7 && kind < 11) network_.heal();
    if (kind == 11 && alive(one) && alive(other)) {
      node(one).transport.silence(address(other));
      node(other).transport.silence(address(one));
      silenced_ = true;
    }
    if (kind == 12) elect();
  }

  void look_after() {
    if (random_.chance(percent(20))) deliver(percent(50));
    unserved_ = anybody_serves() ? 0 : unserved_ + 1;
    // A link that is silent within one epoch ends by the transport's time-out, which is not here.
    const bool tired = silenced_ && random_.chance(percent(2));
    if (unserved_ < 15 && !tired) return;
    unserved_ = 0;
    silenced_ = false;
    elect();
  }

  Prng random_{1};
  std::uint64_t epoch_ = 1, writes_ = 0;
  int unserved_ = 0;
  bool silenced_ = false;
  std::map<std::uint64_t, Request> open_;
  std::map<std::uint64_t, std::uint64_t> floor_, newest_;
};

TEST_P(Walk, WhatCompletedStaysAndEverythingComesToRest) {
  promote(1, 0);
  until([&] { return serves(0); });
  attach_on(client);
  for (int step = 0; step < steps && !HasFatalFailure(); ++step) {
    for (std::uint64_t i = random_.below(4); i > 0; --i) ask_something();
    pass(static_cast<int>(random_.range(1, 40)));
    hear_answers();
    harm();
    look_after();
  }
  ASSERT_FALSE(HasFatalFailure());
  network_.heal();
  for (int i = 0; i < count; ++i) {
    if (!alive(i)) start(i);
  }
  settle();
  elect();
  deliver(percent(100));
  ASSERT_TRUE(until([&] {
    hear_answers();
    return HasFatalFailure() || open_.empty();
  }));
  ASSERT_FALSE(HasFatalFailure());
  const int leader = static_cast<int>(current_.assignment.primary.value()) - 10;
  ASSERT_TRUE(until([&] {
    return in_sync(leader, (leader + 1) % count) && in_sync(leader, (leader + 2) % count);
  }));
  for (std::uint64_t lba = 0; lba < blocks; ++lba) {
    const Answer answer =
        wait(submit({ClientOp::read, Lba{lba}, BlockCount{1}, no_slot, false, 0}));
    ASSERT_EQ(answer.status, ClientStatus::ok);
    std::uint64_t value = 0;
    std::memcpy(&value, answer.data.data(), sizeof value);
    EXPECT_EQ(value, newest_[lba]) << lba;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Walk,
                         ::testing::Range<std::uint64_t>(0, from_environment("WALK_SEEDS", 20)));

}  // namespace
}  // namespace seawall::testing
