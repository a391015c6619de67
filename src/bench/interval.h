// How two targets compare: the ratio of what was measured in pairs, with the interval that holds the true one in 95 of
// 100 cases. Pure.
#pragma once

#include <optional>
#include <span>

namespace shoal::bench {

struct Ratio {
  double ratio = 1;  // geometric mean of b/a over the pairs
  double low = 1, high = 1;
  unsigned pairs = 0;
  // Neither faster nor slower can be told.
  [[nodiscard]] bool undecided() const { return low <= 1 && high >= 1; }
};

// Student's t over the logarithms of b[i]/a[i]: a round that was slow for both (somebody else's load) does not count
// against either. Pairs with a value that is not positive are left out; fewer than two pairs: nullopt.
[[nodiscard]] std::optional<Ratio> compare(std::span<const double> a, std::span<const double> b);

// The two-sided 95 % quantile of Student's t.
[[nodiscard]] double student_95(unsigned degrees_of_freedom);

}  // namespace shoal::bench
