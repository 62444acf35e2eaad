// RequestTables and a dumb twin that remembers every record.
#include "engine/base/request_table.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "engine/base/prng.h"

namespace seawall {
namespace {

RecordHeader record(std::uint64_t lsn, std::uint64_t attachment, std::uint64_t request,
                    std::uint64_t low_mark, std::uint64_t other = 0) {
  RecordHeader header;
  header.lsn = Lsn{lsn};
  header.attachment = AttachmentId{attachment};
  header.request = RequestNumber{request};
  header.low_mark = RequestNumber{low_mark};
  header.argument = other;
  return header;
}

TEST(RequestTables, Control_records_change_nothing) {
  RequestTables tables;
  tables.fold(record(1, 0, 0, 0));
  EXPECT_EQ(tables.size(), 0u);
}

TEST(RequestTables, P180_the_first_record_of_a_request_is_its_record) {
  RequestTables tables;
  tables.fold(record(1, 3, 7, 1));
  tables.fold(record(2, 3, 7, 1));
  EXPECT_EQ(tables.find(AttachmentId{3})->find(RequestNumber{7}), Lsn{1});
}

TEST(RequestTables, P180_a_low_mark_drops_what_is_finished_and_never_goes_back) {
  RequestTables tables;
  for (std::uint64_t i = 1; i <= 9; ++i) tables.fold(record(i, 3, i, 1));
  tables.fold(record(10, 3, 10, 6));
  tables.fold(record(11, 3, 11, 2));
  const RequestTable& row = *tables.find(AttachmentId{3});
  EXPECT_EQ(row.low_mark, RequestNumber{6});
  EXPECT_EQ(row.entries.size(), 6u);
  EXPECT_FALSE(row.find(RequestNumber{5}));
  tables.fold(record(12, 3, 4, 6));  // below the mark: nothing
  EXPECT_FALSE(row.find(RequestNumber{4}));
}

TEST(RequestTables, P180_a_living_generation_stays_while_others_come_and_go) {
  RequestTables tables;
  tables.fold(record(1, 5, 1, 1, 6));
  for (std::uint64_t other = 6; other < 40; ++other) {
    tables.fold(record(other, other, 1, 1, 5));
    EXPECT_EQ(tables.find(AttachmentId{5})->find(RequestNumber{1}), Lsn{1});
    EXPECT_LE(tables.size(), limits::attachments_max);
  }
  tables.fold(record(50, 40, 1, 1));  // 5 is detached by now
  EXPECT_EQ(tables.find(AttachmentId{5}), nullptr);
}

TEST(RequestTables, Overflow_refuses_what_it_forgets) {
  RequestTables tables;
  const std::uint64_t more = limits::request_table_max + 5;
  for (std::uint64_t i = 1; i <= more; ++i) tables.fold(record(i, 1, i, 1));
  const RequestTable& row = *tables.find(AttachmentId{1});
  EXPECT_EQ(row.entries.size(), limits::request_table_max);
  EXPECT_EQ(row.low_mark, RequestNumber{6}) << "a resend of what was forgotten is refused";
  EXPECT_TRUE(well_formed(tables));
}

TEST(RequestTables, The_digest_tells_every_difference) {
  RequestTables tables;
  tables.fold(record(1, 3, 7, 1));
  std::set<std::uint64_t> digests{RequestTables{}.digest(), tables.digest()};
  RequestTables other = tables;
  other.row(AttachmentId{3}).raise_low_mark(RequestNumber{2});
  EXPECT_TRUE(digests.insert(other.digest()).second);
  other.fold(record(2, 3, 8, 1));
  EXPECT_TRUE(digests.insert(other.digest()).second);
  other.cut(Lsn{1});
  EXPECT_FALSE(digests.insert(other.digest()).second);
  other.row(AttachmentId{9});
  EXPECT_TRUE(digests.insert(other.digest()).second);
}

// Twin: of every attachment that the last record allows, all requests at or above the greatest low
// mark, with the first lsn of each; a rewind forgets records beyond it.
TEST(RequestTables, P180_tables_are_what_all_records_say) {
  Prng prng(1);
  for (int round = 0; round < 300; ++round) {
    RequestTables tables;
    std::map<std::uint64_t, std::map<std::uint64_t, std::uint64_t>> twin;  // id, request, lsn
    std::map<std::uint64_t, std::uint64_t> low, next;
    std::uint64_t a = 1, b = 2, lsn = 0;
    for (int i = 0; i < 400; ++i) {
      if (prng.below(60) == 0) (prng.coin() ? a : b) = std::max(a, b) + 1;
      if (prng.below(50) == 0 && lsn > 0) {
        const std::uint64_t upto = lsn - prng.below(std::min<std::uint64_t>(lsn, 20));
        tables.cut(Lsn{upto});
        for (auto& [id, requests] : twin) {
          std::erase_if(requests, [&](const auto& entry) { return entry.second > upto; });
        }
        lsn = upto;
      }
      const std::uint64_t id = prng.coin() ? a : b;
      std::uint64_t& n = next[id];
      n = std::max<std::uint64_t>(n, 1);
      low[id] = std::max(low[id], n > 100 ? n - 100 + prng.below(90) : 1);
      const std::uint64_t request = std::max(low[id], n - prng.below(3));
      n = std::max(n, request) + 1;
      tables.fold(record(++lsn, id, request, low[id], id == a ? b : a));
      std::erase_if(twin, [&](const auto& row) { return row.first != a && row.first != b; });
      twin[id].try_emplace(request, lsn);
      std::erase_if(twin[id], [&](const auto& entry) { return entry.first < low[id]; });
    }
    ASSERT_TRUE(well_formed(tables));
    for (const auto& [id, requests] : twin) {
      const RequestTable* row = tables.find(AttachmentId{id});
      ASSERT_NE(row, nullptr);
      ASSERT_EQ(row->entries.size(), requests.size()) << "round " << round;
      for (const auto& [request, at] : requests) {
        ASSERT_EQ(row->find(RequestNumber{request}), Lsn{at});
      }
    }
  }
}

}  // namespace
}  // namespace seawall
