#include "cli/latency.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "engine/base/check.h"

namespace seawall::cli {

// Values below 64 have a bucket each; above, each power of two has 64.
std::size_t LatencyHistogram::bucket_of(std::uint64_t value) {
  constexpr std::uint64_t kLinear = 1U << kSubBits;
  if (value < kLinear) return value;
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
  return ((shift + 1ULL) << kSubBits) + ((value >> shift) & (kLinear - 1));
}

std::uint64_t LatencyHistogram::upper_bound_of(std::size_t bucket) {
  constexpr std::uint64_t kLinear = 1U << kSubBits;
  if (bucket < kLinear) return bucket;
  const auto shift = static_cast<unsigned>((bucket >> kSubBits) - 1);
  const std::uint64_t low = (kLinear + (bucket & (kLinear - 1))) << shift;
  return low + ((1ULL << shift) - 1);
}

void LatencyHistogram::add(std::uint64_t nanoseconds) {
  ++counts_[bucket_of(nanoseconds)];
  ++count_;
  min_ = std::min(min_, nanoseconds);
  max_ = std::max(max_, nanoseconds);
  sum_ += static_cast<double>(nanoseconds);
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

double LatencyHistogram::mean() const {
  return count_ == 0 ? 0.0 : sum_ / static_cast<double>(count_);
}

std::uint64_t LatencyHistogram::percentile(double share) const {
  CHECK(share > 0);
  CHECK(share <= 1);
  if (count_ == 0) return 0;
  const auto rank = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= std::max<std::uint64_t>(rank, 1)) return std::min(upper_bound_of(i), max_);
  }
  return max_;
}

}  // namespace seawall::cli
