// The request tables of a store: of the super block as of `applied`, and the log folded on top.
#include "tests/log/rig.h"
#include "wal/super.h"

namespace seawall::wal {
namespace {

// The truth: the fold of every header of the model up to `lsn`.
RequestTables truth(const Rig& rig, Lsn lsn) {
  RequestTables tables;
  for (Lsn at{1}; at <= lsn; at = at.next()) tables.fold(rig.header(at));
  return tables;
}

// A record of one of two clients; its low mark trails its request by what is open.
bool write_of(Rig& rig, Prng& prng, std::uint64_t attachment, std::uint64_t request,
              std::uint64_t low_mark, std::uint64_t other = 0) {
  RecordHeader header = rig.make(RecordKind::write, prng.below(400), prng.range(1, 2));
  header.attachment = AttachmentId(attachment);
  header.request = RequestNumber(request);
  header.low_mark = RequestNumber(low_mark);
  header.argument = other;
  return rig.append(header);
}

void fold_all(Rig& rig) {
  rig.flush();
  rig.settle_stable();
  rig.store->request_checkpoint();
  rig.run();
}

TEST(WalRequests, P180_a_request_is_known_after_its_record_was_folded_and_trimmed) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  Prng prng(180);
  ASSERT_TRUE(write_of(rig, prng, 1, 7, 7, 2));
  for (std::uint64_t i = 1; i <= 400; ++i) {
    ASSERT_TRUE(write_of(rig, prng, 2, i, i > 4 ? i - 4 : 1, 1));
    if (i % 20 == 0) fold_all(rig);
  }
  fold_all(rig);
  ASSERT_GT(rig.store->facts().marks.trimmed, Lsn(100));
  rig.close();
  ASSERT_TRUE(rig.open().has_value());
  const RequestTable* row = rig.store->requests().find(AttachmentId(1));
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->find(RequestNumber(7)), Lsn(1));
  EXPECT_EQ(rig.store->requests(), truth(rig, rig.last()));
}

TEST(WalRequests, P180_all_of_the_retained_log_is_folded_on_top) {
  Rig rig(512, 16 << 20);
  ASSERT_TRUE(rig.open().has_value());
  Prng prng(181);
  for (std::uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(write_of(rig, prng, 5, i, 1, 6));
  fold_all(rig);
  for (std::uint64_t i = 4; i <= 50; ++i) ASSERT_TRUE(write_of(rig, prng, 5, i, 2, 6));
  for (std::uint64_t i = 1; i <= 900; ++i) {  // more than a few hundred headers
    ASSERT_TRUE(write_of(rig, prng, 6, i, i, 5));
    rig.run();
  }
  ASSERT_EQ(rig.store->facts().marks.applied, Lsn(3));
  rig.kill(prng);
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_GT(rig.store->facts().marks.written, Lsn(900));
  const RequestTables expected = truth(rig, rig.store->facts().marks.written);
  EXPECT_EQ(rig.store->requests(), expected);
  ASSERT_NE(expected.find(AttachmentId(5)), nullptr);
  EXPECT_EQ(expected.find(AttachmentId(5))->entries.size(), 49u);
}

// Crashes and power losses at random moments, checkpoints half-way included: whatever log a store
// comes back with, its tables are the fold of exactly that history.
TEST(WalRequests, P180_tables_are_the_fold_of_the_log_after_every_crash) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Prng prng(seed);
    Rig rig;
    ASSERT_TRUE(rig.open().has_value());
    std::uint64_t request[2] = {1, 1};
    std::uint64_t first = 1;
    for (int life = 0; life < 6; ++life) {
      for (int i = 0; i < 60; ++i) {
        const std::uint64_t who = prng.below(2);
        std::uint64_t& next = request[who];
        const std::uint64_t low = next > 8 ? next - prng.below(8) : 1;
        if (!write_of(rig, prng, first + who, next, low, first + 1 - who)) break;
        ++next;
        if (prng.below(25) == 0) ++first, request[0] = request[1] = 1;  // a generation has ended
        if (prng.below(4) == 0) rig.run_in_any_order(prng, 6);
        if (prng.below(12) == 0) rig.store->flush();
        if (prng.below(12) == 0) rig.settle_stable(), rig.store->request_checkpoint();
      }
      prng.coin() ? rig.kill(prng) : rig.lose_power(prng);
      ASSERT_TRUE(rig.open().has_value());
      ASSERT_EQ(rig.store->requests(), truth(rig, rig.last())) << "seed " << seed;
    }
  }
}

TEST(WalRequests, P180_a_rebuild_stores_the_tables_of_its_cut_with_its_marker) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  Prng prng(182);
  for (std::uint64_t i = 1; i <= 30; ++i) ASSERT_TRUE(write_of(rig, prng, 1, i, 1));
  fold_all(rig);
  const RequestTables tables = truth(rig, rig.last());
  const FoldedPoint cut = rig.store->folded();
  const TermTable terms = rig.store->facts().terms;
  rig.close();

  Rig target;
  ASSERT_TRUE(target.open().has_value());
  ASSERT_TRUE(write_of(target, prng, 9, 1, 1));
  target.flush();
  RebuildMarker marker{SessionId{Epoch(2), 1}, cut.lsn, Lsn(0)};
  target.store->quiesce();
  target.run();
  ASSERT_TRUE(target.store
                  ->prepare_rebuild_blocking(marker, {}, cut.term, cut.chain, terms, tables, false)
                  .has_value());
  EXPECT_EQ(target.store->requests(), tables);
  target.forget_beyond(Lsn(0));
  target.kill(prng);
  target.keep_model = true;
  ASSERT_TRUE(target.open().has_value());
  EXPECT_TRUE(target.store->facts().marker.has_value());
  EXPECT_EQ(target.store->requests(), tables);
}

TEST(WalRequests, A_super_block_with_more_rows_than_it_has_room_for_is_not_valid) {
  DiskSuper super{};
  super.segment_count = 4;
  super.segment_bytes = limits::segment_bytes_min;
  super.extent_bytes = 64 * 1024;
  AlignedBuffer slot(super_slot_bytes);
  DiskSuper back{};
  RequestTables full;
  for (std::uint64_t id = 1; id <= limits::attachments_max; ++id) {
    for (std::uint64_t i = 1; i <= limits::request_table_max; ++i) {
      full.row(AttachmentId(id)).insert(RequestNumber(i), Lsn(i));
    }
  }
  set_requests(super, full);
  encode_super(super, slot.span());
  ASSERT_EQ(decode_super(slot.span(), back), SlotState::valid);
  EXPECT_EQ(requests_of(back), full);
  super.attachment_count = limits::attachments_max + 1;
  encode_super(super, slot.span());
  EXPECT_EQ(decode_super(slot.span(), back), SlotState::bad);
}

}  // namespace
}  // namespace seawall::wal
