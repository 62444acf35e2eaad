#include "tests/log/rig.h"
#include "wal/index.h"
#include "wal/layout.h"
#include "wal/map_cache.h"

namespace seawall::wal {
namespace {

void fold(Rig& rig) {
  rig.flush();
  rig.settle_stable();
  rig.store->request_checkpoint();
  rig.run();
}

void expect_blocks(Rig& rig, std::uint64_t from, std::uint64_t step, std::uint64_t count) {
  AlignedBuffer block(4096);
  std::vector<std::byte> wanted(4096);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t lba = from + i * step;
    ASSERT_EQ(rig.read_block(lba, block.data()), Errc::ok) << lba;
    fill_block(wanted.data(), rig.expected(rig.last(), lba));
    ASSERT_EQ(std::memcmp(block.data(), wanted.data(), 4096), 0) << lba;
  }
}

TEST(WalBreadth, AFoldOverMorePagesThanTheCacheHolds) {
  Rig rig(1 << 17, 16 << 20, 16 * 1024);
  ASSERT_TRUE(rig.open().has_value());
  for (std::uint64_t i = 0; i < 900; ++i) {
    ASSERT_TRUE(rig.write(i * 131));
    if (i % 50 == 49) rig.run();
  }
  fold(rig);
  EXPECT_EQ(rig.store->folded().lsn, rig.last());
  EXPECT_EQ(rig.sink.failures, 0);
  EXPECT_EQ(rig.store->extents_mapped(), 900u);
  expect_blocks(rig, 0, 131, 900);
  ASSERT_TRUE(rig.discard(131 * 100, 131 * 500));
  ASSERT_TRUE(rig.write(131 * 200));
  fold(rig);
  expect_blocks(rig, 0, 131, 900);
  EXPECT_EQ(rig.store->extents_mapped(), 401u);
  rig.close();
  ASSERT_TRUE(rig.open().has_value());
  EXPECT_EQ(rig.store->extents_mapped(), 401u);
  expect_blocks(rig, 0, 131, 900);
}

TEST(WalBreadth, W25_discard_of_whole_part_and_unmapped_extents_of_every_size) {
  for (std::uint32_t extent = 16 * 1024; extent <= 256 * 1024; extent *= 2) {
    SCOPED_TRACE(extent);
    Rig rig(1024, 4 << 20, extent);
    ASSERT_TRUE(rig.open().has_value());
    const std::uint64_t blocks = extent / 4096;
    for (std::uint64_t i = 0; i < 4 * blocks; i += 4) ASSERT_TRUE(rig.write(i, 4));
    fold(rig);
    EXPECT_EQ(rig.store->extents_mapped(), 4u);
    ASSERT_TRUE(rig.discard(0, blocks));               // a whole one
    ASSERT_TRUE(rig.discard(blocks + 1, blocks / 2));  // a part
    ASSERT_TRUE(rig.discard(5 * blocks, blocks));      // unmapped space
    ASSERT_TRUE(rig.discard(2 * blocks, 1));           // one block, written again
    ASSERT_TRUE(rig.write(2 * blocks, 1));
    fold(rig);
    EXPECT_EQ(rig.store->extents_mapped(), 3u);
    rig.expect_content(rig.last());
    rig.close();
    ASSERT_TRUE(rig.open().has_value());
    rig.expect_content(rig.last());
  }
}

TEST(WalBreadth, W13_batching_changes_neither_chain_nor_content) {
  std::uint64_t chain = 0;
  for (int per_batch = 1; per_batch <= 64; per_batch *= 2) {
    Rig rig(512, 4 << 20);
    ASSERT_TRUE(rig.open().has_value());
    Prng prng(13);
    for (int i = 0; i < 128; ++i) {
      ASSERT_TRUE(rig.write_any(prng));
      if (i % per_batch == per_batch - 1) rig.run();
    }
    rig.run();
    if (chain == 0) chain = rig.store->facts().chain;
    EXPECT_EQ(rig.store->facts().chain, chain);
    rig.expect_content(rig.last());
  }
}

TEST(WalBreadth, W14_one_stream_makes_equal_chains_and_equal_bases) {
  Rig first;
  Rig second;
  ASSERT_TRUE(first.open().has_value());
  ASSERT_TRUE(second.open().has_value());
  Prng a(14);
  Prng b(14);
  Prng order(99);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(first.write_any(a));
      ASSERT_TRUE(second.write_any(b));
      if (order.coin()) first.run();
      if (order.coin()) second.run();
    }
    fold(first);
    fold(second);
    EXPECT_EQ(first.store->facts().chain, second.store->facts().chain);
    EXPECT_EQ(first.store->folded().chain, second.store->folded().chain);
    const std::size_t bytes = 512 * 4096;
    EXPECT_EQ(first.disk->peek("base", 0, bytes), second.disk->peek("base", 0, bytes));
  }
}

TEST(WalBreadth, W16_no_wrap_near_2_to_32_and_2_to_63) {
  for (const std::uint64_t start : {(1ull << 32) - 20, (1ull << 63) - 20}) {
    Rig rig;
    ASSERT_TRUE(rig.open().has_value());
    RebuildMarker marker;
    marker.cut = Lsn(start);
    rig.store->quiesce();
    ASSERT_TRUE(
        rig.store
            ->prepare_rebuild_blocking(marker, {}, Term(start), start, {}, {}, false)
            .has_value());
    // The rig counts from zero, so these records are made here.
    std::uint64_t chain = start;
    AlignedBuffer payload(4096);
    const std::uint32_t crc = crc32c_block(payload.data());
    for (std::uint64_t i = 1; i <= 40; ++i) {
      RecordHeader header;
      header.lsn = Lsn(start + i);
      header.term = Term(start + i / 10);
      header.lba = Lba(i);
      header.blocks = BlockCount(1);
      header.payload_digest = digest_crcs({&crc, 1});
      header.chain = chain_next(chain, header);
      chain = header.chain;
      ASSERT_TRUE(rig.store->append(header, payload.span(), {&crc, 1}));
      rig.run();
    }
    rig.store->flush();
    rig.run();
    EXPECT_EQ(rig.sink.durable, Lsn(start + 40));
    rig.store.reset();
    Prng prng(1);
    rig.disk->power_loss(prng);
    TestSink sink;
    OpenOptions options = rig.open_options();
    options.boot = {2, 2};
    auto opened = Store::open_blocking(*rig.disk, options, sink);
    ASSERT_TRUE(opened.has_value());
    EXPECT_EQ((*opened)->facts().marks.written, Lsn(start + 40));
    EXPECT_EQ((*opened)->facts().chain, chain);
    EXPECT_EQ((*opened)->facts().damage, Damage::base_untrusted)
        << "its marker is there";
  }
}

TEST(WalBreadth, W27_geometries_beyond_the_limits_are_refused_before_any_file) {
  struct Case {
    std::uint64_t blocks, log;
    std::uint32_t extent;
  };
  for (const Case& bad :
       {Case{0, 1 << 20, 65536}, Case{(1ull << 34) + 1, 0, 65536}, Case{512, 1 << 19, 65536},
        Case{512, 2ull << 30, 65536}, Case{512, 1 << 20, 8192}, Case{512, 1 << 20, 65537}}) {
    MemDisk disk;
    CreateOptions options;
    options.incarnation = test_incarnation;
    options.geometry = Geometry{BlockCount(bad.blocks), bad.log, bad.extent};
    const Status created = Store::create_blocking(disk, options);
    ASSERT_FALSE(created.has_value());
    EXPECT_EQ(created.error().code, Errc::invalid_argument);
    EXPECT_EQ(disk.changes(), 0u);
  }
}

TEST(WalBreadth, W32_a_flush_behind_plain_writes_covers_them_all) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Rig rig;
    ASSERT_TRUE(rig.open().has_value());
    Prng prng(seed);
    Lsn durable;
    for (int i = 0; i < 60; ++i) {
      MAYBE(rig.write(prng.below(400), prng.range(1, 4)));  // the queue may be full
      if (prng.below(4) == 0) rig.store->flush();
      rig.run_in_any_order(prng, 3);
      durable = rig.sink.durable;
    }
    rig.disk->power_loss_all_lost();
    rig.store.reset();
    ++rig.boot;
    ASSERT_TRUE(rig.open().has_value());
    EXPECT_GE(rig.store->facts().marks.written, durable);
    EXPECT_EQ(rig.store->facts().damage, Damage::none);
    rig.expect_content(rig.store->facts().marks.written);
  }
}

TEST(WalBreadth, W47_a_full_log_still_takes_term_starts_and_goes_on_when_it_may_fold) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  rig.store->pin(1, Lsn(1));  // a stalled peer
  while (rig.write(7, 4)) rig.run();
  EXPECT_EQ(rig.sink.fill, 100);
  for (int election = 0; election < 2; ++election) {
    ASSERT_TRUE(rig.start_term());
    rig.run();
    EXPECT_FALSE(rig.write(9, 4));
  }
  const int before = rig.sink.space_events;
  fold(rig);
  EXPECT_EQ(rig.store->facts().marks.applied, rig.last());
  EXPECT_FALSE(rig.write(9, 4)) << "the pin holds the log";
  rig.store->unpin(1);
  rig.run();
  EXPECT_GT(rig.sink.space_events, before);
  EXPECT_TRUE(rig.write(9, 4));
  rig.run();
  rig.expect_content(rig.last());
}

TEST(WalIndex, EqualsABlockMapUnderAnyOverlaps) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Prng prng(seed);
    Index index(4096);
    std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> model;  // lba: lsn, place
    std::uint64_t folded = 0;
    for (std::uint64_t lsn = 1; lsn < 400; ++lsn) {
      Index::Range range;
      range.lba = prng.below(200);
      range.blocks = static_cast<std::uint32_t>(prng.range(1, 30));
      range.lsn = Lsn(lsn);
      range.place = prng.below(4) == 0 ? Index::no_place : static_cast<std::uint32_t>(lsn * 100);
      index.insert(range);
      for (std::uint64_t i = 0; i < range.blocks; ++i) {
        model[range.lba + i] = {lsn,
                                range.place == Index::no_place ? Index::no_place : range.place + i};
      }
      if (lsn % 90 == 0) {
        folded = lsn - 40;
        std::uint64_t cursor = 0;
        while (!index.sweep(cursor, Lsn(folded), 3)) {
        }
        std::erase_if(model, [&](const auto& item) { return item.second.first <= folded; });
      }
      for (std::uint64_t lba = 0; lba < 235; ++lba) {
        Index::Range hit;
        const bool found = index.find(lba, hit);
        const auto next = model.lower_bound(lba);
        ASSERT_EQ(found, next != model.end());
        if (!found) continue;
        ASSERT_EQ(hit.lba, next->first);
        ASSERT_EQ(hit.lsn.value(), next->second.first);
        ASSERT_EQ(hit.place, next->second.second);
      }
    }
  }
}

TEST(WalMap, OfTwoSlotsTheNewestCommittedCountsAndATornOneDoesNot) {
  const auto sealed = [](std::uint64_t generation) {
    std::vector<std::byte> page(page_bytes);
    for (std::size_t i = 0; i < sectors_per_page; ++i) {
      DiskSector head{};
      head.magic = entry_magic;
      head.version = format_version;
      head.sector = static_cast<std::uint16_t>(i);
      head.page = 3;
      head.generation = generation;
      std::memcpy(page.data() + i * sector_bytes, &head, sizeof head);
      head.crc = crc32c({page.data() + i * sector_bytes, sector_bytes});
      std::memcpy(page.data() + i * sector_bytes, &head, sizeof head);
    }
    return page;
  };
  const auto both = [](std::vector<std::byte> a, const std::vector<std::byte>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  const std::uint64_t aborted[] = {6};
  const Generations generations{.committed = 8, .floor = 1, .open = 0, .aborted = aborted};
  const std::vector<std::byte> absent(page_bytes);
  EXPECT_EQ(choose_slot(both(absent, absent), 3, entry_magic, generations).slot, -1);
  EXPECT_EQ(choose_slot(both(sealed(5), sealed(7)), 3, entry_magic, generations).slot, 1);
  EXPECT_EQ(choose_slot(both(sealed(5), sealed(9)), 3, entry_magic, generations).slot, 0)
      << "not committed";
  EXPECT_EQ(choose_slot(both(sealed(6), sealed(5)), 3, entry_magic, generations).slot, 1)
      << "aborted";
  // Torn: a crash mixed generation 9 into the older slot.
  auto torn = sealed(5);
  const auto newer = sealed(9);
  std::copy_n(newer.begin(), 3 * sector_bytes, torn.begin());
  PageChoice choice = choose_slot(both(torn, sealed(7)), 3, entry_magic, generations);
  EXPECT_EQ(choice.slot, 1);
  EXPECT_EQ(choice.bad_sectors, 0);
  // Rot in the current one: that sector is bad, and the older slot is not taken.
  auto rotten = sealed(7);
  rotten[2 * sector_bytes + 100] ^= std::byte{1};
  choice = choose_slot(both(sealed(5), rotten), 3, entry_magic, generations);
  EXPECT_EQ(choice.slot, 1);
  EXPECT_EQ(choice.bad_sectors, 1u << 2);
  // The first write of a slot was torn, so that no sector of it verifies: the other slot.
  std::vector<std::byte> first(page_bytes);
  std::copy_n(newer.begin(), 20, first.begin());
  for (const auto& other : {absent, sealed(5)}) {
    const int right = other == absent ? -1 : 1;
    choice = choose_slot(both(first, other), 3, entry_magic, generations);
    EXPECT_EQ(choice.slot, right);
    EXPECT_EQ(choice.bad_sectors, 0);
    choice = choose_slot(both(other, first), 3, entry_magic, generations);
    EXPECT_EQ(choice.slot, right < 0 ? -1 : 0);
    EXPECT_EQ(choice.bad_sectors, 0);
  }
  // Not one sector verifies, and none is empty: it may have been the newest.
  std::vector<std::byte> garbage(page_bytes, std::byte{0x77});
  choice = choose_slot(both(sealed(5), garbage), 3, entry_magic, generations);
  EXPECT_EQ(choice.bad_sectors, 0xff);
  choice = choose_slot(both(garbage, sealed(5)), 3, entry_magic, generations);
  EXPECT_EQ(choice.bad_sectors, 0xff);
}

}  // namespace
}  // namespace seawall::wal
