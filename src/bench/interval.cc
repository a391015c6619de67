#include "interval.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace shoal::bench {

double student_95(unsigned degrees_of_freedom) {
  static constexpr double kTable[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                      2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                                      2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
  if (degrees_of_freedom == 0) return kTable[0];
  if (degrees_of_freedom <= std::size(kTable)) return kTable[degrees_of_freedom - 1];
  return 1.960 + 2.4 / degrees_of_freedom;  // within 0.002 of the true value from 31 on
}

std::optional<Ratio> compare(std::span<const double> a, std::span<const double> b) {
  std::vector<double> logs;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] > 0 && b[i] > 0) logs.push_back(std::log(b[i] / a[i]));
  }
  if (logs.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(logs.size());
  double mean = 0, squares = 0;
  for (const double value : logs) mean += value / n;
  for (const double value : logs) squares += (value - mean) * (value - mean);
  const double error = std::sqrt(squares / (n - 1) / n);
  const double reach = student_95(static_cast<unsigned>(logs.size() - 1)) * error;
  return Ratio{std::exp(mean), std::exp(mean - reach), std::exp(mean + reach), static_cast<unsigned>(logs.size())};
}

}  // namespace shoal::bench
