// Latencies of many requests in little memory: a histogram of logarithmic buckets, each at most 1.6
// % wide. Units: nanoseconds. Thread: one. Never allocates after construction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace seawall::cli {

class LatencyHistogram {
 public:
  void add(std::uint64_t nanoseconds);
  void merge(const LatencyHistogram& other);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t min() const { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] double mean() const;
  // The latency that at most 1 - share of the requests exceeded; 0 when there are none. Never above
  // max.
  [[nodiscard]] std::uint64_t percentile(double share) const;

 private:
  static constexpr unsigned kSubBits = 6;
  static constexpr std::size_t kBuckets = (64 - kSubBits) << kSubBits;
  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t upper_bound_of(std::size_t bucket);

  std::array<std::uint64_t, kBuckets + (1U << kSubBits)> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t min_ = UINT64_MAX;
  std::uint64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace seawall::cli
