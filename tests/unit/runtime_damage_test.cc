// Three nodes whose disks fail and rot: what stops, what comes back by itself, what is fetched.
#include <gtest/gtest.h>

#include "node/runtime/reopen.h"
#include "tests/support/log_batches.h"
#include "tests/support/three_nodes.h"

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

// A disk that fails for good spends the budget of its store and is left alone: one word brings it
// back, and until then nothing is tried, however long it is.
TEST_F(Damage, P127_what_was_left_alone_comes_back_by_a_word_or_a_new_epoch) {
  begin();
  for (const bool by_word : {true, false}) {
    wal::MemDisk::Fault fault;
    fault.kind = wal::Op::Kind::read;
    fault.sticky = true;
    disk(1).inject(fault);
    fail_next(1, wal::Op::Kind::sync);
    MAYBE(write(3, 1, 0x44));
    pass(150'000);  // longer than all its pauses together
    EXPECT_TRUE(host(1)->status().given_up);
    EXPECT_TRUE(stopped(1));
    EXPECT_EQ(host(1)->status().store_failures, rule_of(FailureKind::store_failed).retries + 1);
    disk(1).clear_faults();
    pass(120'000);
    EXPECT_TRUE(host(1)->status().given_up) << "it was tried again without a word";
    node(1).host.on_control(current_);  // what it has heard already is no word
    settle();
    EXPECT_TRUE(host(1)->status().given_up);
    if (by_word) {
      current_.assignment.revision = Revision{++revision_};
      ++current_.assignment.endpoints[1].word;
      for (auto& each : nodes_) each->host.on_control(current_);
    } else {
      current_.assignment.epoch = Epoch{2};
      current_.assignment.revision = Revision{++revision_};
      node(1).host.on_control(current_);
    }
    until([&] { return !stopped(1); });
    if (by_word) until([&] { return in_sync(0, 1); });
  }
}

TEST_F(Damage, F13_a_primary_whose_disk_hangs_steps_down_and_a_hung_replica_counts_no_more) {
  promote(1, 0);
  until([&] { return serves(0); });
  attach_on(2);
  write_all(50, 1);
  until([&] { return in_sync(0, 1) && in_sync(0, 2); });
  disk(1).stop_after(0);  // nothing comes back, and nothing fails
  std::uint64_t request = write(3, 1, 0x44);
  EXPECT_EQ(wait(request).status, ClientStatus::ok) << "two of three are enough";
  until([&] { return stopped(1); });
  EXPECT_FALSE(in_sync(0, 1));
  kill(1);
  start(1);
  settle();
  node(1).host.on_control(current_);
  until([&] { return in_sync(0, 1); });
  disk(0).stop_after(0);
  request = write(3, 1, 0x45);
  until([&] { return !node(0).control.all<control::FailoverWanted>().empty(); });
  EXPECT_FALSE(serves(0));
  kill(0);
  promote(2, 1);
  EXPECT_EQ(wait(request).status, ClientStatus::ok);
  const Answer read = wait(submit({ClientOp::read, Lba{3}, BlockCount{1}, no_slot, false, 0}));
  ASSERT_EQ(read.status, ClientStatus::ok);
  EXPECT_EQ(read.data[5], std::byte{0x45});
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

class Rot : public Damage {
 protected:
  Rot() { log_bytes_ = 1024 * 1024; }

  std::vector<Place> batches(int i) { return log_batches(disk(i), incarnation); }
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

// Batches beyond what is in the base, of one block each, oldest first.
class Unknown : public Rot {
 protected:
  std::vector<Place> unfolded(int i) {
    for (std::uint64_t lba = 0; lba < 12; ++lba) {
      EXPECT_EQ(wait(write(lba, 1, static_cast<std::uint8_t>(100 + lba))).status, ClientStatus::ok);
    }
    EXPECT_EQ(wait(flush()).status, ClientStatus::ok);
    until([&] { return host(i)->status().marks.written == host(0)->status().marks.written; });
    auto found = batches(i);
    const Lsn applied = host(i)->status().marks.applied;
    std::erase_if(found, [&](const Place& p) {
      return Lsn{p.head.first_lsn} <= applied || p.head.payload_blocks != 1 || p.head.count != 1;
    });
    return found;
  }
  void rot(int i, Lsn lsn) {
    for (const Place& place : batches(i)) {
      if (Lsn{place.head.first_lsn} != lsn) continue;
      disk(i).flip_bit(place.file, place.offset + place.head.header_blocks * 4096ull + 77, 2);
    }
  }
  const ReplicaFacts& facts(int i) { return host(i)->core()->facts(); }
  std::uint8_t block_of(const Answer& answer) { return static_cast<std::uint8_t>(answer.data[9]); }
  Answer read_block(std::uint64_t lba) {
    return wait(submit({ClientOp::read, Lba{lba}, BlockCount{1}, no_slot, false, 0}));
  }
};

TEST_F(Unknown, F06_W08_records_that_rotted_in_a_replicas_log_are_fetched) {
  begin();
  const auto found = unfolded(2);
  ASSERT_GE(found.size(), 4u);
  kill(2);
  for (std::size_t i = 0; i + 2 < found.size(); i += 2) rot(2, Lsn{found[i].head.first_lsn});
  restart(2);
  EXPECT_EQ(facts(2).damage, seawall::Damage::unknown_records);
  EXPECT_EQ(facts(2).marks.written, Lsn{found.back().head.first_lsn}) << "nothing is cut";
  EXPECT_FALSE(facts(2).floor.has_value());
  node(2).host.on_control(current_);
  until([&] { return in_sync(0, 2) && facts(2).damage == seawall::Damage::none; });
  promote(2, 2);
  until([&] { return serves(2); });
  for (std::uint64_t lba = 0; lba < 12; ++lba) {
    const Answer answer = read_block(lba);
    ASSERT_EQ(answer.status, ClientStatus::ok);
    EXPECT_EQ(block_of(answer), 100 + lba);
  }
}

TEST_F(Unknown, P145_F06_a_winner_fetches_before_it_serves) {
  begin();
  const auto found = unfolded(0);
  ASSERT_GE(found.size(), 2u);
  attachment_->stop();
  until([&] { return attachment_->open() == 0; });
  kill(0);
  rot(0, Lsn{found[1].head.first_lsn});
  restart(0);
  EXPECT_EQ(facts(0).damage, seawall::Damage::unknown_records);
  promote(2, 0);
  until([&] { return serves(0); });
  EXPECT_EQ(facts(0).damage, seawall::Damage::none);
}

TEST_F(Unknown, P161_P186_what_nobody_has_is_lost_and_only_its_block) {
  begin();
  const auto found = unfolded(1);
  ASSERT_GE(found.size(), 3u);
  const Lsn lsn{found[found.size() - 2].head.first_lsn};  // wrote block 10
  for (int i = 0; i < count; ++i) {
    until([&] { return host(i)->status().marks.written == host(0)->status().marks.written; });
  }
  attachment_->stop();
  until([&] { return attachment_->open() == 0; });
  for (int i = 0; i < count; ++i) kill(i);
  for (int i = 0; i < count; ++i) rot(i, lsn);
  start(0);
  start(1);
  settle();
  until([&] { return host(1) != nullptr && host(1)->state() == VolumeHost::State::open; });
  until([&] { return host(0) != nullptr && host(0)->state() == VolumeHost::State::open; });
  promote(2, 0);
  pass(3000);
  EXPECT_FALSE(serves(0)) << "the third may have it";
  restart(2);
  node(2).host.on_control(current_);
  until([&] { return serves(0) && in_sync(0, 1) && in_sync(0, 2); });
  until([&] {
    return facts(0).damage == seawall::Damage::none && facts(1).damage == seawall::Damage::none &&
           facts(2).damage == seawall::Damage::none;
  });
  attach_again();
  EXPECT_EQ(read_block(10).status, ClientStatus::io_error);
  EXPECT_EQ(read_block(11).status, ClientStatus::ok);
  // It is folded and stays unreadable, over restarts as well, until it is written again.
  write_all(9, 3);
  until([&] { return host(0)->status().marks.applied >= lsn || (write_all(9, 4), false); });
  EXPECT_EQ(read_block(10).status, ClientStatus::io_error);
  kill(1);
  restart(1);
  node(1).host.on_control(current_);
  until([&] { return in_sync(0, 1); });
  ASSERT_EQ(wait(write(10, 1, 0x55)).status, ClientStatus::ok);
  const Answer healed = read_block(10);
  ASSERT_EQ(healed.status, ClientStatus::ok);
  EXPECT_EQ(block_of(healed), 0x55);
}

// Seed 3310: it could not be stored by anybody who had not had it, and those behind it in one read
// of the log came with the bytes of their neighbours.
TEST_F(Unknown, P161_W08_a_lost_record_travels_with_its_crcs_to_who_was_away) {
  begin();
  kill(2);
  const auto found = unfolded(1);
  ASSERT_GE(found.size(), 4u);
  const Lsn lsn{found[found.size() - 3].head.first_lsn};  // wrote block 9
  until([&] { return host(1)->status().marks.written == host(0)->status().marks.written; });
  attachment_->stop();
  until([&] { return attachment_->open() == 0; });
  for (int i = 0; i < 2; ++i) kill(i);
  for (int i = 0; i < 2; ++i) rot(i, lsn);
  for (int i = 0; i < count; ++i) restart(i);
  promote(2, 0);
  until([&] { return serves(0) && in_sync(0, 1) && in_sync(0, 2); });
  EXPECT_EQ(facts(2).marks.written, facts(0).marks.written);
  EXPECT_EQ(facts(2).chain, facts(0).chain);
  EXPECT_EQ(facts(2).damage, seawall::Damage::none);
  kill(2);
  restart(2);  // what it stored opens
  EXPECT_EQ(facts(2).damage, seawall::Damage::none);
  node(2).host.on_control(current_);
  until([&] { return in_sync(0, 2); });
  promote(3, 2);
  until([&] { return serves(2); });
  attach_again();
  EXPECT_EQ(read_block(9).status, ClientStatus::io_error);
  for (const std::uint64_t lba : {8, 10, 11}) EXPECT_EQ(block_of(read_block(lba)), 100 + lba);
  ASSERT_EQ(wait(write(9, 1, 0x42)).status, ClientStatus::ok);
  EXPECT_EQ(block_of(read_block(9)), 0x42);
}

TEST_F(Unknown, P186_the_word_of_an_operator_ends_the_waiting_for_one_that_is_away) {
  begin();
  EXPECT_EQ(host(0)->accept_loss(), 0u) << "nothing is missing";
  const auto found = unfolded(1);
  ASSERT_GE(found.size(), 3u);
  const Lsn lsn{found[found.size() - 2].head.first_lsn};  // wrote block 10
  attachment_->stop();
  until([&] { return attachment_->open() == 0; });
  for (int i = 0; i < count; ++i) kill(i);
  rot(0, lsn);
  rot(1, lsn);
  restart(0);
  restart(1);
  promote(2, 0);
  pass(3000);
  EXPECT_FALSE(serves(0)) << "the third may have it";
  EXPECT_EQ(host(1)->accept_loss(), std::nullopt) << "a replica has no say";
  EXPECT_EQ(host(0)->accept_loss(), 1u);
  until([&] { return serves(0) && in_sync(0, 1); });
  attach_again();
  EXPECT_EQ(read_block(10).status, ClientStatus::io_error);
  EXPECT_EQ(read_block(11).status, ClientStatus::ok);
  ASSERT_EQ(wait(write(10, 1, 0x42)).status, ClientStatus::ok);
  EXPECT_EQ(block_of(read_block(10)), 0x42);
}

TEST_F(Unknown, P103_a_stream_goes_on_with_a_record_from_elsewhere) {
  begin();
  kill(2);
  write_all(20, 60);
  auto found = batches(0);
  const Lsn away = Lsn{batches(2).back().head.first_lsn};
  std::erase_if(found, [&](const Place& p) {
    return Lsn{p.head.first_lsn} <= away.next() || p.head.payload_blocks == 0;
  });
  ASSERT_FALSE(found.empty());
  disk(0).flip_bit(found[0].file, found[0].offset + found[0].head.header_blocks * 4096ull + 5, 1);
  restart(2);
  node(2).host.on_control(current_);
  until([&] { return in_sync(0, 2); });
  EXPECT_TRUE(host(0)->store()->unknown().empty());
  promote(2, 2);
  until([&] { return serves(2); });
  expect_all(20, 60);
}

TEST_F(Unknown, F07_F10_a_bad_block_of_the_base_is_repaired_from_who_counts) {
  begin();
  const Lsn wanted = host(0)->status().marks.written;
  for (std::uint8_t round = 0; host(0)->status().marks.applied < wanted; ++round) {
    for (std::uint64_t lba = 100; lba < 160; ++lba) {
      ASSERT_EQ(wait(write(lba, 1, round)).status, ClientStatus::ok);
    }
    ASSERT_EQ(wait(flush()).status, ClientStatus::ok);
    pass(700);
  }
  until([&] {
    return host(1)->status().marks.applied >= wanted && host(2)->status().marks.applied >= wanted;
  });
  const auto good = disk(0).peek("base", 7 * 4096, 4096);
  disk(0).flip_bit("base", 7 * 4096 + 40, 0);
  ASSERT_EQ(read_block(7).status, ClientStatus::ok);
  EXPECT_EQ(disk(0).peek("base", 7 * 4096, 4096), good) << "found, but not repaired";
  // Two of three: the third wins.
  disk(0).flip_bit("base", 7 * 4096 + 40, 0);
  disk(1).flip_bit("base", 7 * 4096 + 41, 0);
  const Answer third = read_block(7);
  ASSERT_EQ(third.status, ClientStatus::ok);
  EXPECT_EQ(block_of(third), 8);
  // On all: an error for that block alone.
  disk(0).flip_bit("base", 7 * 4096 + 40, 0);
  disk(2).flip_bit("base", 7 * 4096 + 42, 0);
  EXPECT_EQ(read_block(7).status, ClientStatus::io_error);
  EXPECT_EQ(read_block(6).status, ClientStatus::ok);
  EXPECT_EQ(read_block(8).status, ClientStatus::ok);
  EXPECT_TRUE(serves(0));
  ASSERT_EQ(wait(write(7, 1, 0x21)).status, ClientStatus::ok);
  EXPECT_EQ(read_block(7).status, ClientStatus::ok);
  // A sector that cannot be read is a bad block as well.
  wal::MemDisk::Fault fault;
  fault.kind = wal::Op::Kind::read;
  fault.file = "base";
  disk(0).inject(fault);
  EXPECT_EQ(read_block(5).status, ClientStatus::ok);
}

TEST_F(Unknown, W08_a_segment_header_that_rotted_is_read_from_its_first_batch) {
  begin();
  MAYBE(unfolded(2).empty());
  kill(2);
  const Lsn end = Lsn{batches(2).back().head.first_lsn};
  int flipped = 0;
  for (const Place& place : batches(2)) {
    if (place.offset != 4096) continue;
    disk(2).flip_bit(place.file, 21, 5);
    ++flipped;
  }
  ASSERT_GE(flipped, 1);
  restart(2);
  EXPECT_EQ(facts(2).damage, seawall::Damage::none);
  EXPECT_EQ(facts(2).marks.written, end);
  EXPECT_FALSE(facts(2).floor.has_value());
  kill(2);
  restart(2);
  EXPECT_EQ(facts(2).marks.written, end);
}

TEST(ReopenPlan, P143_pauses_grow_and_a_budget_ends_them) {
  runtime::ReopenPlan plan;
  Instant now{1000};
  Duration last{0};
  const Error error = make_error(Errc::io_error, "the disk said no");
  for (std::uint32_t i = 1; i <= rule_of(FailureKind::store_failed).retries; ++i) {
    plan.failed(now, error);
    ASSERT_TRUE(plan.due().has_value()) << i;
    const Duration pause = *plan.due() - now;
    EXPECT_GE(pause, last);
    EXPECT_LE(pause, rule_of(FailureKind::store_failed).pause_max);
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

TEST(ReopenPlan, P127_what_was_left_alone_is_tried_again_by_a_word_with_a_fresh_budget) {
  runtime::ReopenPlan plan;
  const Error error = make_error(Errc::io_error, "the disk said no");
  plan.failed(Instant{1000}, error);
  EXPECT_FALSE(plan.try_anew(Instant{1001}));  // it is tried anyway; the budget stays spent
  EXPECT_EQ(plan.failures(), 1u);
  while (!plan.spent()) plan.failed(Instant{2000}, error);
  EXPECT_FALSE(plan.due().has_value());
  EXPECT_TRUE(plan.try_anew(Instant{3000}));
  EXPECT_EQ(plan.due(), Instant{3000});
  EXPECT_FALSE(plan.spent());
  plan.begun();
  plan.failed(Instant{3001}, error);
  EXPECT_FALSE(plan.spent());
  EXPECT_EQ(*plan.due() - Instant{3001}, rule_of(FailureKind::store_failed).pause);
}

TEST(ReopenPlan, P143_good_minutes_reset_the_budget_and_a_foreign_disk_is_left_alone) {
  runtime::ReopenPlan plan;
  Instant now{1000};
  for (std::uint32_t i = 0; i < 3 * rule_of(FailureKind::store_failed).retries; ++i) {
    plan.opened(now);
    now = now + forget_after;
    plan.failed(now, make_error(Errc::io_error, "again"));
    ASSERT_EQ(plan.failures(), 1u);
    ASSERT_EQ(*plan.due() - now, rule_of(FailureKind::store_failed).pause);
  }
  plan.failed(now, make_error(Errc::wrong_incarnation, "foreign"));
  EXPECT_TRUE(plan.spent());
}

}  // namespace
}  // namespace seawall::testing
