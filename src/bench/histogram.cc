#include "histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace shoal::bench {
namespace {

constexpr unsigned kBits = 10;  // 2^10 buckets for each doubling

// Below 2^11 a bucket for each value; from there on the leading 11 bits name it.
std::size_t bucket_of(std::uint64_t value) {
  const unsigned width = static_cast<unsigned>(std::bit_width(value));
  if (width <= kBits + 1) return value;
  const unsigned shift = width - (kBits + 1);
  return (std::size_t{shift} << kBits) + (value >> shift);
}

std::uint64_t highest_in(std::size_t bucket) {
  if (bucket < std::size_t{2} << kBits) return bucket;
  const auto shift = static_cast<unsigned>((bucket >> kBits) - 1);
  const auto leading = bucket - (std::size_t{shift} << kBits);
  return (static_cast<std::uint64_t>(leading) << shift) + ((std::uint64_t{1} << shift) - 1);
}

}  // namespace

void Histogram::record(std::uint64_t value) {
  const auto bucket = bucket_of(value);
  if (bucket >= counts_.size()) counts_.resize(bucket + 1);
  ++counts_[bucket];
  ++count_;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value);
}

void Histogram::add(const Histogram& other) {
  if (other.counts_.size() > counts_.size()) counts_.resize(other.counts_.size());
  for (std::size_t i = 0; i < other.counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

double Histogram::mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

std::uint64_t Histogram::percentile(double percent) const {
  if (count_ == 0) return 0;
  const double share = std::clamp(percent, 0.0, 100.0) / 100;
  // The tolerance: 99.9 % of 1,000 is 999, not 1,000 because of the last bit.
  const auto wanted =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_) - 1e-6)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= wanted) return std::clamp(highest_in(i), min_, max_);
  }
  return max_;
}

std::vector<Histogram::Point> Histogram::curve(unsigned steps) const {
  std::vector<Point> points;
  if (count_ == 0) return points;
  const double least = 100.0 / static_cast<double>(count_);
  for (unsigned i = 0;; ++i) {
    const double beyond = 100.0 * std::exp2(-static_cast<double>(i) / std::max(1U, steps));
    if (beyond < least) break;
    points.push_back({100 - beyond, percentile(100 - beyond)});
  }
  points.push_back({100, max_});
  return points;
}

}  // namespace shoal::bench
