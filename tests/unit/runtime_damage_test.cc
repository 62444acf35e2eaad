// Three nodes whose disks fail and rot: what stops, what comes back by itself, what is fetched.
#include <gtest/gtest.h>

#include "node/runtime/reopen.h"
#include "tests/support/three_nodes.h"
#include "wal/segment.h"

namespace seawall::testing {
namespace {

class Damage : public ThreeNodes {
 protected:
  wal::MemDisk& disk(int i) {
    return directories_[static_cast<std::size_t>(i)].mem_disk(replica(i));
  }
  // Fails the next operation of that kind on the log, or on the file named.
  void fail_next(int i, wal::Op::Kind kind, const std::string& file = "log/") {
    wal::MemDisk::Fault fault;
    fault.kind = kind;
    fault.file = file;
    disk(i).inject(fault);
  }
  bool stopped(int i) { return host(i)->status().log_failed; }
  void begin() {
    promote(1, 0);
    until([&] { return serves(0); });
    attach_on(0);
    write_all(50, 1);
    ASSERT_EQ(wait(flush()).status, ClientStatus::ok);
    until([&] { return in_sync(0, 1) && in_sync(0, 2); });
  }
};

TEST_F(Damage, P143_F11_a_replica_stops_at_an_error_and_comes_back_verified) {
  begin();
  for (const auto kind : {wal::Op::Kind::write, wal::Op::Kind::sync}) {
    fail_next(1, kind);
    const std::uint64_t request = write(3, 1, 0x44);
    until([&] { return stopped(1); });
    EXPECT_EQ(wait(request).status, ClientStatus::ok) << "two of three are enough";
    EXPECT_EQ(wait(flush()).status, ClientStatus::ok);
    EXPECT_FALSE(in_sync(0, 1)) << "it counts although its disk has failed";
    EXPECT_STRNE(host(1)->status().reason, "") << "it must say why";
    write_all(100, 2);
    until([&] { return !stopped(1) && in_sync(0, 1); });
    EXPECT_EQ(host(1)->status().marks.written, host(0)->status().marks.written);
    expect_all(100, 2);
  }
}

TEST_F(Damage, P143_F11_a_primary_whose_disk_fails_asks_for_a_failover_and_returns_as_a_replica) {
  begin();
  fail_next(0, wal::Op::Kind::sync);
  const std::uint64_t flushed = flush();
  const std::uint64_t written = write(7, 1, 0x77);
  MAYBE(flushed);
  const std::uint64_t again = flush();
  until([&] { return !node(0).control.all<control::FailoverWanted>().empty(); });
  EXPECT_FALSE(serves(0));
  promote(2, 1);
  until([&] { return serves(1); });
  EXPECT_EQ(wait(written).status, ClientStatus::ok);
  EXPECT_EQ(wait(again).status, ClientStatus::ok);
  until([&] { return in_sync(1, 0) && in_sync(1, 2); });
  const Answer read = wait(submit({ClientOp::read, Lba{7}, BlockCount{1}, no_slot, false, 0}));
  ASSERT_EQ(read.status, ClientStatus::ok);
  EXPECT_EQ(read.data[5], std::byte{0x77});
}

TEST_F(Damage, P143_a_flush_after_a_failed_one_proves_only_what_was_written_again) {
  begin();
  disk(1).clear_faults();
  fail_next(1, wal::Op::Kind::sync);
  write_all(80, 5);
  ASSERT_EQ(wait(flush()).status, ClientStatus::ok);
  until([&] { return stopped(1); });
  until([&] { return !stopped(1) && in_sync(0, 1); });
  const Lsn durable = host(1)->status().marks.durable;
  // What it has called durable since survives the loss of everything that was not.
  node(1).host.stop(false);
  pass(100);
  nodes_[1].reset();
  directories_[1].mem_disk(replica(1)).power_loss_all_lost();
  start(1);
  settle();
  until([&] { return host(1) != nullptr && host(1)->state() == VolumeHost::State::open; });
  EXPECT_GE(host(1)->status().marks.written, durable);
  node(1).host.on_control(current_);
  until([&] { return in_sync(0, 1); });
}

// A batch as it lies on the disk of a replica.
struct Place {
  std::string file;
  std::uint64_t offset = 0;
  wal::DiskBatch head{};
};

class Rot : public Damage {
 protected:
  Rot() { log_bytes_ = 1024 * 1024; }

  std::vector<Place> batches(int i) {
    std::vector<Place> found;
    for (int slot = 0; slot < 16; ++slot) {
      const std::string name = "log/" + std::to_string(slot);
      for (std::uint32_t block = 1; block < 16; ++block) {
        const auto bytes = disk(i).peek(name, block * 4096, (16 - block) * 4096);
        wal::BatchView view;
        if (!wal::BatchView::open(bytes, incarnation, nullptr, block, view)) continue;
        found.push_back({name, block * 4096ull, view.head()});
      }
    }
    std::sort(found.begin(), found.end(), [](const Place& a, const Place& b) {
      return a.head.first_lsn < b.head.first_lsn;
    });
    return found;
  }
  void restart(int i) {
    start(i);
    settle();
    until([&] { return host(i) != nullptr && host(i)->state() == VolumeHost::State::open; });
  }
};

TEST_F(Rot, P146_W20_a_log_that_lost_its_end_is_cut_back_and_catches_up) {
  begin();
  for (std::uint64_t lba = 0; lba < 12; ++lba) {  // each one knows of those before it
    ASSERT_EQ(wait(write(lba, 1, 9)).status, ClientStatus::ok);
  }
  until([&] { return host(2)->status().marks.written == host(0)->status().marks.written; });
  const Lsn applied = host(2)->status().marks.applied;
  kill(2);
  auto found = batches(2);
  std::erase_if(found, [&](const Place& p) { return Lsn{p.head.first_lsn} <= applied.next(); });
  ASSERT_GE(found.size(), 2u);
  const Place& place = found[0];
  disk(2).flip_bit(place.file, place.offset + 24, 3);  // a field of the batch's header
  restart(2);
  const ReplicaFacts& facts = host(2)->core()->facts();
  EXPECT_EQ(facts.damage, seawall::Damage::regressed);
  EXPECT_EQ(facts.marks.written, Lsn{place.head.first_lsn - 1});
  ASSERT_TRUE(facts.floor.has_value()) << "what it may have acknowledged is forgotten";
  EXPECT_GE(facts.floor->lsn, Lsn{found.back().head.first_lsn});
  node(2).host.on_control(current_);
  write_all(60, 3);
  until([&] { return in_sync(0, 2); });
  EXPECT_EQ(host(2)->core()->facts().damage, seawall::Damage::none);
  EXPECT_FALSE(host(2)->core()->facts().floor.has_value());
  promote(2, 2);
  until([&] { return serves(2); });
  expect_all(60, 3);
}

TEST(ReopenPlan, P143_pauses_grow_and_a_budget_ends_them) {
  runtime::ReopenPlan plan;
  Instant now{1000};
  Duration last{0};
  const Error error = make_error(Errc::io_error, "the disk said no");
  for (std::uint32_t i = 1; i <= runtime::ReopenPlan::budget; ++i) {
    plan.failed(now, error);
    ASSERT_TRUE(plan.due().has_value()) << i;
    const Duration pause = *plan.due() - now;
    EXPECT_GE(pause, last);
    EXPECT_LE(pause, runtime::ReopenPlan::pause_max);
    last = pause;
    now = *plan.due();
    plan.begun();
    plan.opened(now);
    now = now + Duration{1000};  // a good second is no reset
  }
  plan.failed(now, error);
  EXPECT_TRUE(plan.spent());
  EXPECT_FALSE(plan.due().has_value());
  EXPECT_STREQ(plan.reason(), "the disk said no");
}

TEST(ReopenPlan, P143_good_minutes_reset_the_budget_and_a_foreign_disk_is_left_alone) {
  runtime::ReopenPlan plan;
  Instant now{1000};
  for (std::uint32_t i = 0; i < 3 * runtime::ReopenPlan::budget; ++i) {
    plan.opened(now);
    now = now + runtime::ReopenPlan::good_after;
    plan.failed(now, make_error(Errc::io_error, "again"));
    ASSERT_EQ(plan.failures(), 1u);
    ASSERT_EQ(*plan.due() - now, runtime::ReopenPlan::pause_min);
  }
  plan.failed(now, make_error(Errc::wrong_incarnation, "foreign"));
  EXPECT_TRUE(plan.spent());
}

}  // namespace
}  // namespace seawall::testing
