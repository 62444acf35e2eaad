#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "cli/latency.h"
#include "cli/workload.h"
#include "engine/base/prng.h"

namespace seawall::cli {
namespace {

constexpr std::size_t kBlock = 4096;

TEST(CliLatency, percentiles_are_within_a_bucket_of_the_sorted_truth) {
  Prng prng(7);
  LatencyHistogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(prng.below(1ULL << (1 + prng.below(40))));
    histogram.add(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double share : {0.001, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank =
        static_cast<std::size_t>(share * static_cast<double>(values.size()) + 0.999999);
    const std::uint64_t exact = values[std::max<std::size_t>(rank, 1) - 1];
    const std::uint64_t got = histogram.percentile(share);
    EXPECT_GE(got, exact) << share;
    EXPECT_LE(got, exact + exact / 60 + 1) << share;
  }
  EXPECT_EQ(histogram.count(), values.size());
  EXPECT_EQ(histogram.min(), values.front());
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(CliLatency, extremes_fit_and_an_empty_histogram_is_zero) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.percentile(0.99), 0U);
  EXPECT_EQ(histogram.min(), 0U);
  histogram.add(0);
  histogram.add(UINT64_MAX);
  EXPECT_EQ(histogram.percentile(0.5), 0U);
  EXPECT_EQ(histogram.percentile(1.0), UINT64_MAX);
}

TEST(CliLatency, a_merge_counts_both) {
  LatencyHistogram a;
  LatencyHistogram b;
  a.add(10);
  b.add(30);
  a.merge(b);
  EXPECT_EQ(a.count(), 2U);
  EXPECT_EQ(a.min(), 10U);
  EXPECT_EQ(a.max(), 30U);
  EXPECT_DOUBLE_EQ(a.mean(), 20.0);
}

WorkloadOptions options(Access access, std::uint64_t region, std::uint64_t request) {
  WorkloadOptions out;
  out.access = access;
  out.region_blocks = region;
  out.request_blocks = request;
  out.verify = true;
  out.seed = 42;
  return out;
}

TEST(CliWorkload, the_same_seed_asks_the_same) {
  Workload a(options(Access::random_mixed, 64, 1));
  Workload b(options(Access::random_mixed, 64, 1));
  for (int i = 0; i < 40; ++i) {
    const auto x = a.next();
    const auto y = b.next();
    ASSERT_EQ(x.has_value(), y.has_value());
    if (x) {
      EXPECT_EQ(x->block, y->block);
      EXPECT_EQ(x->write, y->write);
    }
  }
}

TEST(CliWorkload, open_requests_never_overlap_and_a_full_region_answers_nothing) {
  Workload work(options(Access::write, 8, 2));
  std::set<std::uint64_t> blocks;
  for (int i = 0; i < 4; ++i) {
    const auto item = work.next();
    ASSERT_TRUE(item.has_value());
    EXPECT_EQ(item->block % 2, 0U);
    EXPECT_TRUE(blocks.insert(item->block).second);
  }
  EXPECT_FALSE(work.next().has_value());
}

TEST(CliWorkload, what_was_written_is_what_must_be_read) {
  Workload work(options(Access::random_write, 16, 2));
  const auto item = work.next();
  ASSERT_TRUE(item.has_value());
  std::vector<std::byte> data(2 * kBlock);
  work.fill(*item, data);
  EXPECT_EQ(work.complete(*item, true, {}), "");
  const auto read = work.next_read_back();
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->block, item->block);
  EXPECT_EQ(work.complete(*read, true, data), "");
  EXPECT_EQ(work.blocks_verified(), 2U);
  EXPECT_FALSE(work.next_read_back().has_value());
}

TEST(CliWorkload, one_changed_byte_an_old_write_or_another_block_is_found) {
  const auto outcome = [](const std::function<void(std::vector<std::byte>&, const Workload&,
                                                   const WorkItem&)>& harm) {
    Workload work(options(Access::random_write, 16, 1));
    const WorkItem item = *work.next();
    std::vector<std::byte> data(kBlock);
    work.fill(item, data);
    work.complete(item, true, {});
    harm(data, work, item);
    return work.complete(*work.next_read_back(), true, data);
  };
  EXPECT_EQ(outcome([](auto&, auto&, auto&) {}), "");
  EXPECT_NE(outcome([](auto& data, auto&, auto&) { data[4000] ^= std::byte{1}; }), "");
  EXPECT_NE(
      outcome([](auto& data, auto&, auto&) { std::fill(data.begin(), data.end(), std::byte{}); }),
      "");
  EXPECT_NE(outcome([](auto& data, const Workload& work, WorkItem item) {
              item.sequence -= 1;
              work.fill(item, data);
            }),
            "");
  EXPECT_NE(outcome([](auto& data, const Workload& work, WorkItem item) {
              item.block += 1;
              work.fill(item, data);
            }),
            "");
}

TEST(CliWorkload, a_failed_write_leaves_its_blocks_open) {
  Workload work(options(Access::random_write, 4, 1));
  const WorkItem item = *work.next();
  work.complete(item, false, {});
  std::vector<std::byte> anything(kBlock, std::byte{7});
  EXPECT_EQ(work.complete(*work.next_read_back(), true, anything), "");
  EXPECT_EQ(work.blocks_verified(), 0U);
}

TEST(CliWorkload, access_names_are_those_of_fio) {
  EXPECT_EQ(parse_access("randwrite"), Access::random_write);
  EXPECT_EQ(parse_access("read"), Access::read);
  EXPECT_EQ(parse_access("randrw"), Access::random_mixed);
  EXPECT_EQ(parse_access("trim"), std::nullopt);
}

}  // namespace
}  // namespace seawall::cli
