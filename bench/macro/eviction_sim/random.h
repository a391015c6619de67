// Random figures that do not depend on the standard library's choice of distributions.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>
#include <vector>

namespace shoal::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  double unit() { return (static_cast<double>(engine_() >> 11) + 0.5) * 0x1p-53; }  // within (0, 1)
  std::uint32_t below(std::size_t n) {
    return std::min(static_cast<std::uint32_t>(unit() * static_cast<double>(n)), static_cast<std::uint32_t>(n - 1));
  }
  std::uint32_t between(std::uint32_t low, std::uint32_t high) { return low + below(high - low + 1); }
  bool chance(double p) { return unit() < p; }
  double exponential(double mean) { return -mean * std::log(unit()); }
  double log_normal(double median, double sigma) {
    const double radius = std::sqrt(-2 * std::log(unit()));
    return median * std::exp(sigma * radius * std::cos(2 * std::numbers::pi * unit()));
  }

 private:
  std::mt19937_64 engine_;
};

// Ranks 0.. with probability proportional to 1/(rank+1)^alpha.
class Zipf {
 public:
  Zipf(std::size_t n, double alpha) : sums_(n) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sums_[i] = sum += std::pow(static_cast<double>(i + 1), -alpha);
  }
  std::uint32_t operator()(Random& random) const {
    const double at = random.unit() * sums_.back();
    return static_cast<std::uint32_t>(std::lower_bound(sums_.begin(), sums_.end(), at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

}  // namespace shoal::sim
