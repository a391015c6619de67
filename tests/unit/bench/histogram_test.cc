#include "histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace shoal::bench {
namespace {

TEST(BenchHistogram, AnEmptyOneHasNoValues) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.min(), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  EXPECT_EQ(histogram.percentile(50), 0U);
  EXPECT_TRUE(histogram.curve(4).empty());
}

TEST(BenchHistogram, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 1000; ++value) histogram.record(value);
  EXPECT_EQ(histogram.percentile(0), 1U);
  EXPECT_EQ(histogram.percentile(50), 500U);
  EXPECT_EQ(histogram.percentile(99), 990U);
  EXPECT_EQ(histogram.percentile(99.9), 999U);
  EXPECT_EQ(histogram.percentile(100), 1000U);
  EXPECT_DOUBLE_EQ(histogram.mean(), 500.5);
}

TEST(BenchHistogram, EveryMagnitudeIsWithinATenthOfAPercentAndNeverTooLow) {
  std::mt19937_64 random(7);
  for (unsigned bits = 1; bits <= 64; ++bits) {
    for (int i = 0; i < 20; ++i) {
      const std::uint64_t value = (random() | (std::uint64_t{1} << 63)) >> (64 - bits);
      Histogram histogram;
      histogram.record(value);
      histogram.record(~std::uint64_t{0});  // so that max() does not hide the bucket
      const auto read = histogram.percentile(50);
      EXPECT_GE(read, value);
      EXPECT_LE(static_cast<double>(read - value), static_cast<double>(value) * 0.001) << value;
    }
  }
}

TEST(BenchHistogram, PercentilesAgreeWithSortedSamples) {
  std::mt19937_64 random(3);
  std::lognormal_distribution<double> times(13, 1.5);
  std::vector<std::uint64_t> samples;
  Histogram histogram;
  for (int i = 0; i < 20'000; ++i) {
    samples.push_back(static_cast<std::uint64_t>(times(random)));
    histogram.record(samples.back());
  }
  std::sort(samples.begin(), samples.end());
  for (const double percent : {1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 99.99}) {
    const auto exact = samples[static_cast<std::size_t>(std::ceil(percent / 100 * 20'000 - 1e-6)) - 1];
    const auto read = histogram.percentile(percent);
    EXPECT_GE(read, exact) << percent;
    EXPECT_LE(static_cast<double>(read), static_cast<double>(exact) * 1.001) << percent;
  }
}

TEST(BenchHistogram, AddingIsAsIfAllHadBeenRecordedInOne) {
  Histogram a, b, both;
  for (std::uint64_t i = 1; i < 3000; i += 3) {
    a.record(i * i);
    both.record(i * i);
    b.record(i << 20);
    both.record(i << 20);
  }
  a.add(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.min(), both.min());
  EXPECT_EQ(a.max(), both.max());
  EXPECT_DOUBLE_EQ(a.mean(), both.mean());
  for (double percent = 0; percent <= 100; percent += 0.5) EXPECT_EQ(a.percentile(percent), both.percentile(percent));
}

TEST(BenchHistogram, TheCurveRisesAndEndsWithTheMaximum) {
  Histogram histogram;
  for (std::uint64_t i = 0; i < 10'000; ++i) histogram.record(i * 1000);
  const auto curve = histogram.curve(4);
  ASSERT_GT(curve.size(), 40U);  // 4 for each halving, log2(10,000) halvings
  for (std::size_t i = 1; i < curve.size(); ++i) {
    EXPECT_LT(curve[i - 1].percent, curve[i].percent);
    EXPECT_LE(curve[i - 1].value, curve[i].value);
  }
  EXPECT_EQ(curve.front().percent, 0);
  EXPECT_EQ(curve.back().percent, 100);
  EXPECT_EQ(curve.back().value, histogram.max());
}

}  // namespace
}  // namespace shoal::bench
