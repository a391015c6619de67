#include "interval.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace shoal::bench {
namespace {

TEST(BenchInterval, QuantilesAreThoseOfTheTables) {
  EXPECT_NEAR(student_95(1), 12.706, 0.001);
  EXPECT_NEAR(student_95(4), 2.776, 0.001);
  EXPECT_NEAR(student_95(30), 2.042, 0.001);
  EXPECT_NEAR(student_95(40), 2.021, 0.003);
  EXPECT_NEAR(student_95(120), 1.980, 0.003);
  EXPECT_NEAR(student_95(100'000), 1.960, 0.001);
}

TEST(BenchInterval, ComparesByPairs) {
  // Each round is twice as slow for both as the one before: in pairs that does not matter.
  const std::vector<double> a{100, 200, 400, 800}, b{150, 300, 600, 1200};
  const auto ratio = compare(a, b);
  ASSERT_TRUE(ratio);
  EXPECT_NEAR(ratio->ratio, 1.5, 1e-12);
  EXPECT_NEAR(ratio->low, 1.5, 1e-9);
  EXPECT_NEAR(ratio->high, 1.5, 1e-9);
  EXPECT_EQ(ratio->pairs, 4U);
  EXPECT_FALSE(ratio->undecided());
}

TEST(BenchInterval, AKnownCase) {
  // Logarithms 0.1, 0.2, 0.3: mean 0.2, deviation 0.1, t(2) = 4.303.
  const std::vector<double> a{1, 1, 1}, b{std::exp(0.1), std::exp(0.2), std::exp(0.3)};
  const auto ratio = compare(a, b);
  ASSERT_TRUE(ratio);
  EXPECT_NEAR(std::log(ratio->ratio), 0.2, 1e-9);
  EXPECT_NEAR(std::log(ratio->high), 0.2 + 4.303 * 0.1 / std::sqrt(3), 1e-6);
  EXPECT_NEAR(std::log(ratio->low), 0.2 - 4.303 * 0.1 / std::sqrt(3), 1e-6);
  EXPECT_TRUE(ratio->undecided());
}

TEST(BenchInterval, OnePairIsNoInterval) {
  const std::vector<double> one{1}, none, some{1, 0, 2}, other{2, 3, -1};
  EXPECT_FALSE(compare(one, one));
  EXPECT_FALSE(compare(none, none));
  EXPECT_FALSE(compare(some, other));  // only the first pair can be compared
}

TEST(BenchInterval, HoldsTheTruthInNineteenOfTwenty) {
  std::mt19937_64 random(11);
  std::normal_distribution<double> noise(0, 0.2);
  int held = 0;
  constexpr int kTrials = 4000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> a, b;
    for (int i = 0; i < 5; ++i) {
      const double load = std::exp(noise(random) * 3);  // of the machine, for both
      a.push_back(load * std::exp(noise(random)));
      b.push_back(load * 1.25 * std::exp(noise(random)));
    }
    const auto ratio = compare(a, b);
    if (ratio->low <= 1.25 && ratio->high >= 1.25) ++held;
  }
  EXPECT_NEAR(static_cast<double>(held) / kTrials, 0.95, 0.012);
}

}  // namespace
}  // namespace shoal::bench
