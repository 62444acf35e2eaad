#include "tests/log/rig.h"
#include "wal/recovery.h"
#include "wal/segment.h"

namespace seawall::wal {
namespace {

// Where batch after batch lies, found in the files as the opening finds it.
struct Found {
  std::string file;
  std::uint32_t block = 0;
  DiskBatch head{};
};

std::vector<Found> batches_of(const MemDisk& disk) {
  std::vector<Found> found;
  for (int slot = 0; slot < 16; ++slot) {
    const std::string name = "log/" + std::to_string(slot);
    for (std::uint32_t block = 1; block < 16; ++block) {
      const auto bytes = disk.peek(name, block * 4096, (16 - block) * 4096);
      BatchView view;
      if (!BatchView::open(bytes, test_incarnation, nullptr, block, view)) continue;
      found.push_back(Found{name, block, view.head()});
    }
  }
  std::sort(found.begin(), found.end(),
            [](const Found& a, const Found& b) { return a.head.first_lsn < b.head.first_lsn; });
  return found;
}

// `count` batches of one record of two blocks, all flushed but the last `unflushed`.
void fill(Rig& rig, int count, int unflushed = 0) {
  for (int i = 0; i < count; ++i) {
    ASSERT_TRUE(rig.write(static_cast<std::uint64_t>(i * 2 % 400), 2));
    rig.run();
    if (i == count - unflushed - 1) rig.flush();
  }
}

TEST(WalOpening, TheTableDecidesEachCase) {
  PlaceFacts place;
  place.lsn = Lsn(10);
  place.durable = Lsn(5);
  place.written = Lsn(7);
  place.seen = Lsn(0);
  EXPECT_EQ(classify(place), Case::B2);
  place.readable = false;
  EXPECT_EQ(classify(place), Case::C) << "unreadable is not absent";
  place.power_loss = true;
  EXPECT_EQ(classify(place), Case::B);
  place.durable = Lsn(10);
  EXPECT_EQ(classify(place), Case::E);
  place.seen = Lsn(12);
  EXPECT_EQ(classify(place), Case::C);
  place.segment_missing = true;
  EXPECT_EQ(classify(place), Case::F);
  EXPECT_EQ(decision_of(Case::C), Decision::unknown);
  EXPECT_EQ(decision_of(Case::E), Decision::regressed);
  EXPECT_EQ(decision_of(Case::B2), Decision::end_of_log);
}

TEST(WalOpening, F28_an_opening_says_what_it_found_and_who_was_there_before) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  const Opening first = rig.store->opening();
  EXPECT_EQ(first.start, ProcessStart(rig.start));
  EXPECT_EQ(first.before, ProcessStart{}) << "nobody had opened it";
  EXPECT_GT(first.generation, first.found) << "an opening is a change of the super block";
  fill(rig, 5);
  EXPECT_EQ(rig.store->opening().end, Lsn(0)) << "as it was found";
  const auto copy = rig.disk->clone();
  rig.store->write_super(SuperUpdate{.promised = Epoch(3)}, 1);
  rig.run();
  const std::uint64_t told = rig.store->opening().generation;
  EXPECT_GT(told, first.generation);
  Prng prng(1);
  rig.kill(prng);
  ASSERT_TRUE(rig.open().has_value());
  const Opening second = rig.store->opening();
  EXPECT_EQ(second.before, first.start);
  EXPECT_EQ(second.found, told) << "at least what was told";
  EXPECT_EQ(second.end, Lsn(5));
  rig.store.reset();
  rig.disk = copy->clone();
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_LT(rig.store->opening().found, told) << "a copy is older than what was told";
  EXPECT_EQ(rig.store->opening().before, first.start);
}

TEST(WalOpening, W06_torn_tail_keeps_the_acknowledged_prefix) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  fill(rig, 9);
  const auto before = rig.disk->clone();
  ASSERT_TRUE(rig.write(300, 3));
  rig.run();
  const auto after = rig.disk->clone();
  const Found last = batches_of(*after).back();
  ASSERT_EQ(last.head.first_lsn, 10u);
  const std::size_t sectors = 4 * 8;
  Prng prng(6);
  for (std::uint64_t draw = 0; draw < 300; ++draw) {
    SCOPED_TRACE(draw);
    // Every length in sectors, then drawn subsets.
    std::uint64_t subset = draw < sectors ? (1ull << draw) - 1 : prng.next() & 0xffffffffull;
    rig.store.reset();
    rig.disk = before->clone();
    for (std::size_t i = 0; i < sectors; ++i) {
      if ((subset >> i & 1) == 0) continue;
      const std::uint64_t at = last.block * 4096 + i * 512;
      rig.disk->poke(last.file, at, after->peek(last.file, at, 512));
    }
    if (draw % 2 == 1) ++rig.boot;
    ASSERT_TRUE(rig.open().has_value());
    const bool whole = subset == 0xffffffffull;
    ASSERT_EQ(rig.store->facts().marks.written, Lsn(whole ? 10 : 9));
    ASSERT_EQ(rig.store->facts().damage, Damage::none);
    rig.expect_content(rig.store->facts().marks.written);
    // The next append overwrites safely: other content under the same lsn.
    rig.generation = draw + 1;
    ASSERT_TRUE(rig.write(200, 1));
    rig.flush();
    rig.store.reset();
    Prng crash(draw);
    rig.disk->power_loss(crash);
    ASSERT_TRUE(rig.open().has_value());
    ASSERT_EQ(rig.store->facts().marks.written, rig.last());
    rig.expect_content(rig.last());
    // Back to the model at lsn 9 for the next draw.
    rig.forget_beyond(Lsn(9));
    ASSERT_FALSE(HasFailure());
  }
}

TEST(WalOpening, W07_garbage_zeroes_and_recycled_leftovers_after_the_tail_are_not_accepted) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  Prng prng(7);
  // Several laps of the ring: every file is full of old, once valid batches.
  for (int round = 0; round < 60; ++round) {
    fill(rig, 7);
    rig.settle_stable();
    rig.store->request_checkpoint();
    rig.run();
  }
  fill(rig, 3);
  const Lsn end = rig.last();
  for (int kind = 0; kind < 3; ++kind) {
    rig.store.reset();
    rig.disk->crash_process(prng);
    const Found last = batches_of(*rig.disk).back();
    std::vector<std::byte> behind((16 - last.block - 3) * 4096);
    if (kind > 0) {
      for (std::byte& byte : behind) byte = static_cast<std::byte>(kind == 1 ? prng.next() : 0);
      rig.disk->poke(last.file, (last.block + 3) * 4096, behind);
    }
    ASSERT_TRUE(rig.open().has_value());
    EXPECT_EQ(rig.store->facts().marks.written, end);
    EXPECT_EQ(rig.store->facts().damage, Damage::none);
    rig.expect_content(end);
  }
}

TEST(WalOpening, W08_a_damaged_payload_below_durable_is_unknown_and_never_cut) {
  for (const bool power : {false, true}) {
    Rig rig;
    ASSERT_TRUE(rig.open().has_value());
    fill(rig, 20);
    rig.close();
    const Found bad = batches_of(*rig.disk)[8];
    rig.disk->flip_bit(bad.file, (bad.block + 1) * 4096 + 17, 3);
    if (power) ++rig.boot;
    const std::uint64_t hash_before = rig.disk->clone()->content_hash();
    ASSERT_TRUE(rig.open().has_value());
    EXPECT_NE(hash_before, 0u);
    EXPECT_EQ(rig.store->facts().marks.written, Lsn(20));
    EXPECT_EQ(rig.store->facts().damage, Damage::unknown_records);
    EXPECT_FALSE(rig.store->facts().floor.has_value());
    AlignedBuffer block(4096);
    EXPECT_EQ(rig.read_block(16, block.data()), Errc::corrupt);
    EXPECT_EQ(rig.read_block(17, block.data()), Errc::ok);
    EXPECT_EQ(rig.read_block(18, block.data()), Errc::ok);
    // The base never gets what is unknown.
    rig.store->set_fold_limit(Lsn(20));
    rig.store->request_checkpoint();
    rig.run();
    EXPECT_EQ(rig.store->facts().marks.applied, Lsn(8));
    EXPECT_EQ(rig.sink.failures, 0);
  }
}

TEST(WalOpening, W08_every_byte_of_a_header_in_the_middle_is_found_and_nothing_is_cut) {
  for (const bool power : {false, true}) {
    for (std::uint64_t at = 0; at < 160; at += 1) {
      SCOPED_TRACE(at);
      Rig rig;
      ASSERT_TRUE(rig.open().has_value());
      fill(rig, 12);
      rig.close();
      const Found bad = batches_of(*rig.disk)[5];
      rig.disk->flip_bit(bad.file, bad.block * 4096 + at, static_cast<unsigned>(at % 8));
      if (power) ++rig.boot;
      const std::size_t left = batches_of(*rig.disk).size();
      ASSERT_TRUE(rig.open().has_value());
      const ReplicaFacts& facts = rig.store->facts();
      ASSERT_EQ(facts.marks.written, Lsn(5));
      ASSERT_EQ(facts.damage, Damage::regressed);
      ASSERT_TRUE(facts.floor.has_value());
      EXPECT_EQ(*facts.floor, (Floor{Term(1), Lsn(12)}));
      EXPECT_EQ(batches_of(*rig.disk).size(), left) << "nothing was cut";
      EXPECT_FALSE(rig.write(1)) << "nothing is appended to a broken chain";
      rig.expect_content(Lsn(5));
    }
  }
}

TEST(WalOpening, W19_a_read_error_is_never_taken_for_absence) {
  for (int which : {3, 19}) {  // middle, tail
    for (int part : {0, 1}) {  // header, payload
      SCOPED_TRACE(which * 10 + part);
      Rig rig;
      ASSERT_TRUE(rig.open().has_value());
      fill(rig, 20);
      const Found bad = batches_of(*rig.disk)[static_cast<std::size_t>(which)];
      Prng prng(1);
      rig.kill(prng);
      rig.disk->inject({.kind = Op::Kind::read,
                        .sticky = true,
                        .file = bad.file,
                        .offset = (bad.block + static_cast<std::uint64_t>(part)) * 4096,
                        .length = 4096});
      ASSERT_TRUE(rig.open().has_value());
      const ReplicaFacts& facts = rig.store->facts();
      EXPECT_NE(facts.damage, Damage::none);
      if (part == 1) {
        EXPECT_EQ(facts.damage, Damage::unknown_records);
        EXPECT_EQ(facts.marks.written, Lsn(20));
      } else {
        EXPECT_EQ(facts.damage, Damage::regressed);
        ASSERT_TRUE(facts.floor.has_value());
        EXPECT_GE(facts.floor->lsn, Lsn(20));
      }
      // The medium recovers: everything is still there.
      rig.store.reset();
      rig.disk->clear_faults();
      ASSERT_TRUE(rig.open().has_value());
      EXPECT_EQ(rig.store->facts().marks.written, Lsn(20));
      EXPECT_EQ(rig.store->facts().damage, Damage::none);
    }
  }
}

TEST(WalOpening, W20_a_log_shorter_than_the_super_block_proves_is_regressed) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  fill(rig, 12);
  rig.close();  // stores durable = 12
  const auto found = batches_of(*rig.disk);
  const std::vector<std::byte> zeroes(4096);
  for (std::size_t i = 9; i < 12; ++i) {
    rig.disk->poke(found[i].file, found[i].block * 4096, zeroes);
  }
  ++rig.boot;
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().damage, Damage::regressed);
  EXPECT_EQ(rig.store->facts().marks.written, Lsn(9));
  ASSERT_TRUE(rig.store->facts().floor.has_value());
  EXPECT_EQ(rig.store->facts().floor->lsn, Lsn(12));
  // A rewind to what is left makes it usable; the floor stays.
  rig.store->quiesce();
  ASSERT_TRUE(rig.store->rewind_blocking(Lsn(9)).has_value());
  EXPECT_EQ(rig.store->facts().damage, Damage::none);
  EXPECT_TRUE(rig.store->facts().floor.has_value());
  rig.forget_beyond(Lsn(9));
  fill(rig, 2);
  rig.close();
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().damage, Damage::none);
  rig.expect_content(Lsn(11));
}

TEST(WalOpening, W29_a_foreign_directory_or_a_newer_format_is_refused_and_nothing_is_touched) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  fill(rig, 5);
  rig.close();
  const std::uint64_t before = rig.disk->content_hash();
  TestSink sink;
  OpenOptions options = rig.open_options();
  options.incarnation = Incarnation{9, 9};
  auto opened = Store::open_blocking(*rig.disk, options, sink);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Errc::wrong_incarnation);
  options = rig.open_options();
  options.replica = ReplicaId(8);
  opened = Store::open_blocking(*rig.disk, options, sink);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Errc::wrong_incarnation);
  EXPECT_EQ(rig.disk->content_hash(), before);

  // A segment of another volume, copied in.
  AlignedBuffer block(4096);
  encode_segment(SegmentHeader{{2, 1ull << 33}, Lsn(6), 0, Term(1)}, Incarnation{5, 5},
                 block.span());
  rig.disk->poke("log/3", 0, block.span());
  const std::uint64_t foreign = rig.disk->content_hash();
  const Status refused = rig.open();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::wrong_incarnation);
  EXPECT_EQ(rig.disk->content_hash(), foreign);

  // A super block of a later version: both slots, with a good CRC.
  const auto clone = rig.disk->clone();
  auto slot = clone->peek("super", 0, super_slot_bytes);
  DiskSuper super;
  std::memcpy(&super, slot.data(), sizeof super);
  super.version = 2;
  super.crc = 0;
  std::memcpy(slot.data(), &super, sizeof super);
  super.crc = crc32c(slot);
  std::memcpy(slot.data(), &super, sizeof super);
  clone->poke("super", 0, slot);
  rig.disk = clone->clone();
  const Status newer = rig.open();
  ASSERT_FALSE(newer.has_value());
  EXPECT_EQ(newer.error().code, Errc::unknown_version);
  EXPECT_EQ(newer.error().a, 2u);
}

TEST(WalOpening, W31_after_a_power_loss_a_torn_batch_ends_the_log_and_below_durable_it_is_unknown) {
  for (const bool flushed : {false, true}) {
    Rig rig;
    ASSERT_TRUE(rig.open().has_value());
    fill(rig, 10, flushed ? 0 : 4);
    if (flushed) fill(rig, 1);  // its header carries durable = 10
    rig.store.reset();
    const auto found = batches_of(*rig.disk);
    Prng prng(3);
    rig.disk->crash_process(prng);
    // Batch 7 torn, 8 and later whole.
    const std::vector<std::byte> garbage(512, std::byte{0x55});
    rig.disk->poke(found[7].file, found[7].block * 4096 + 4096 + 1024, garbage);
    ++rig.boot;
    ASSERT_TRUE(rig.open().has_value());
    if (flushed) {
      EXPECT_EQ(rig.store->facts().damage, Damage::unknown_records);
      EXPECT_EQ(rig.store->facts().marks.written, Lsn(11));
    } else {
      EXPECT_EQ(rig.store->facts().damage, Damage::none);
      EXPECT_EQ(rig.store->facts().marks.written, Lsn(7));
      EXPECT_FALSE(rig.store->facts().intact);
      rig.expect_content(Lsn(7));
    }
  }
}

TEST(WalOpening, W39_the_second_of_two_batches_in_flight_landing_alone_is_the_end_of_the_log) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  fill(rig, 6);
  ASSERT_TRUE(rig.write(100, 2));
  rig.pump();
  ASSERT_TRUE(rig.write(110, 2));
  rig.pump();
  ASSERT_EQ(rig.disk->pending(), 2u);
  rig.disk->complete_at(1);
  EXPECT_EQ(rig.sink.written, Lsn(6)) << "not before the one ahead of it";
  Prng prng(39);
  rig.disk->crash_process([](const std::string&, std::uint64_t) { return MemDisk::Fate::lost; },
                          prng);
  rig.store.reset();
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().marks.written, Lsn(6));
  EXPECT_EQ(rig.store->facts().damage, Damage::none);
  EXPECT_TRUE(rig.store->facts().intact);
  rig.expect_content(Lsn(6));
  // The old second batch must not come back behind a new first one.
  rig.generation = 1;
  ASSERT_TRUE(rig.write(100, 2));
  rig.run();
  rig.kill(prng);
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().marks.written, Lsn(7));
  rig.expect_content(Lsn(7));
}

TEST(WalOpening, W40_a_lost_segment_header_ends_the_log_and_old_segments_are_not_read) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  fill(rig, 4);
  for (int i = 0; i < 8; ++i) {  // rolls over twice, nothing flushed
    ASSERT_TRUE(rig.write(static_cast<std::uint64_t>(i * 4), 4));
    rig.run();
  }
  const auto found = batches_of(*rig.disk);
  std::string lost;
  for (const Found& batch : found) {
    if (batch.head.number == 2) lost = batch.file;
  }
  ASSERT_FALSE(lost.empty());
  ASSERT_GE(found.back().head.number, 3u);
  rig.store.reset();
  Prng prng(40);
  rig.disk->crash_process(prng);
  rig.disk->poke(lost, 0, std::vector<std::byte>(4096));
  ++rig.boot;
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().damage, Damage::none);
  EXPECT_GE(rig.store->facts().marks.written, Lsn(4));
  EXPECT_LT(rig.store->facts().marks.written, Lsn(12));
  const Lsn end = rig.store->facts().marks.written;
  rig.expect_content(end);
  rig.kill(prng);
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().marks.written, end);
}

TEST(WalOpening, W35_an_opening_that_dies_before_its_barrier_is_still_not_intact) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  fill(rig, 5, 2);
  Prng prng(35);
  rig.lose_power(prng);
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_FALSE(rig.store->facts().intact);
  rig.kill(prng);
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_FALSE(rig.store->facts().intact);
  rig.close();  // a clean stop proves nothing either
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_FALSE(rig.store->facts().intact);
  SuperUpdate update;
  update.intact = true;
  rig.store->write_super(update, 1);
  rig.run();
  EXPECT_TRUE(rig.store->facts().intact);
}

TEST(WalOpening, W36_many_elections_without_a_commit_open_and_serve) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  fill(rig, 3);
  for (int i = 0; i < 250; ++i) {
    ASSERT_TRUE(rig.start_term());
    rig.run();
    if (i % 50 == 0) {
      rig.close();
      ASSERT_TRUE(rig.open().has_value());
      EXPECT_EQ(rig.store->facts().last_term, rig.term);
    }
    if (i % 64 == 63) {
      rig.flush();
      rig.settle_stable();
      rig.store->request_checkpoint();
      rig.run();
    }
  }
  rig.close();
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->facts().last_term, rig.term);
  EXPECT_EQ(rig.store->facts().terms.back().term, rig.term);
  EXPECT_GE(rig.store->facts().terms.size(), 64u);
  rig.expect_content(rig.last());
}

TEST(WalOpening, W38_a_power_loss_inside_a_super_block_change_leaves_a_valid_slot) {
  for (std::uint64_t stop = 1; stop <= 5; ++stop) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      SCOPED_TRACE(stop * 100 + seed);
      Rig rig;
      ASSERT_TRUE(rig.open().has_value());
      std::uint64_t acked = 0;
      Prng prng(seed);
      for (int twice = 0; twice < 2; ++twice) {
        SuperUpdate update;
        update.promised = Epoch(acked + 5);
        rig.disk->stop_after(stop);
        rig.store->write_super(update, 1);
        rig.run();
        if (!rig.sink.tokens.empty()) acked += 5;
        rig.lose_power(prng);
        ASSERT_TRUE(rig.open().has_value());
        EXPECT_GE(rig.store->facts().promised.value(), acked);
        acked = rig.store->facts().promised.value();
      }
    }
  }
}

TEST(WalOpening, W38_nobody_is_told_before_both_slots_are_flushed) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  SuperUpdate update;
  update.promised = Epoch(5);
  rig.store->write_super(update, 1);
  rig.pump();
  for (int step = 0; step < 4; ++step) {
    EXPECT_TRUE(rig.sink.tokens.empty());
    ASSERT_TRUE(rig.disk->run_one());
  }
  EXPECT_EQ(rig.sink.tokens.size(), 1u);
  // Either slot alone carries the change.
  rig.store.reset();
  Prng prng(1);
  for (std::uint64_t slot = 0; slot < 2; ++slot) {
    rig.disk->crash_process(prng);
    rig.disk->poke("super", slot * super_slot_bytes, std::vector<std::byte>(4096));
    ASSERT_TRUE(rig.open().has_value());
    EXPECT_EQ(rig.store->facts().promised, Epoch(5));
    rig.store.reset();
  }
}

TEST(WalOpening, W03_creation_that_a_crash_ended_leaves_nothing_and_can_be_done_again) {
  CreateOptions options;
  options.incarnation = test_incarnation;
  options.replica = test_replica;
  options.geometry.size = BlockCount(512);
  options.geometry.log_bytes = 1 << 20;
  for (std::uint64_t stop = 1; stop < 90; ++stop) {
    MemDisk disk;
    Prng prng(stop);
    disk.stop_after(stop);
    const bool created = Store::create_blocking(disk, options).has_value();
    disk.power_loss(prng);
    const Status again = Store::create_blocking(disk, options);
    EXPECT_EQ(again.has_value(), !created) << stop;
    if (!again) {
      EXPECT_EQ(again.error().code, Errc::already_exists);
    }
  }
}

}  // namespace
}  // namespace seawall::wal
