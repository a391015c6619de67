// Histogram: values in buckets of constant relative width (HDR histogram): 1,024 for each doubling, so that a value
// read from it is at most 0.1 % above the one recorded, from 1 to 2^64-1. Counts, never samples: adding two is exact,
// and a long run takes no more memory than a short one (at most 450 KiB). A value; one thread.
#pragma once

#include <cstdint>
#include <vector>

namespace shoal::bench {

class Histogram {
 public:
  void record(std::uint64_t value);
  void add(const Histogram& other);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t min() const { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] double mean() const;  // of the values as recorded, not of the buckets
  // The least value that at least so many percent of those recorded are not above, up to the bucket's width; 0 when
  // there is none. 100 is max().
  [[nodiscard]] std::uint64_t percentile(double percent) const;

  struct Point {
    double percent;
    std::uint64_t value;
  };
  // The distribution for a plot whose axis is the distance to 100 %: `steps` points for each halving of it, as far as
  // the count can tell, and the maximum.
  [[nodiscard]] std::vector<Point> curve(unsigned steps) const;

 private:
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0, min_ = ~std::uint64_t{0}, max_ = 0;
  double sum_ = 0;
};

}  // namespace shoal::bench
