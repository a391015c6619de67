#include "shoal/obs/metrics.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace shoal::obs {
namespace {

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, TextListsEveryKindWithHelpAndType) {
  Metrics metrics;
  metrics.counter("shoal_requests_total", "Requests answered.", {{"code", "200"}}).add(3);
  metrics.gauge("shoal_bytes", "Bytes kept.").set(1.5);
  auto& histogram = metrics.histogram("shoal_seconds", "Time taken.", {0.1, 1});
  histogram.observe(0.1);
  histogram.observe(0.5);
  histogram.observe(7);
  const auto text = metrics.prometheus_text();
  EXPECT_TRUE(has_line(text, "# HELP shoal_requests_total Requests answered."));
  EXPECT_TRUE(has_line(text, "# TYPE shoal_requests_total counter"));
  EXPECT_TRUE(has_line(text, "shoal_requests_total{code=\"200\"} 3"));
  EXPECT_TRUE(has_line(text, "shoal_bytes 1.5"));
  EXPECT_TRUE(has_line(text, "# TYPE shoal_seconds histogram"));
  EXPECT_TRUE(has_line(text, "shoal_seconds_bucket{le=\"0.1\"} 1")) << text;
  EXPECT_TRUE(has_line(text, "shoal_seconds_bucket{le=\"1\"} 2"));
  EXPECT_TRUE(has_line(text, "shoal_seconds_bucket{le=\"+Inf\"} 3"));
  EXPECT_TRUE(has_line(text, "shoal_seconds_count 3"));
  EXPECT_TRUE(has_line(text, "shoal_seconds_sum 7.6"));
}

TEST(Metrics, LabelValuesAreEscaped) {
  Metrics metrics;
  metrics.counter("shoal_x_total", "X.", {{"name", "a\"b\\c\nd"}}).add();
  EXPECT_TRUE(has_line(metrics.prometheus_text(), R"(shoal_x_total{name="a\"b\\c\nd"} 1)"));
}

TEST(Metrics, SameNameAndLabelsAreTheSameMetricInAnyOrder) {
  Metrics metrics;
  auto& one = metrics.counter("c", "C.", {{"a", "1"}, {"b", "2"}});
  auto& two = metrics.counter("c", "C.", {{"b", "2"}, {"a", "1"}});
  EXPECT_EQ(&one, &two);
}

TEST(Metrics, CountersSumOverThreads) {
  Counter counter;
  std::vector<std::thread> threads;
  for (int t = 0; t < 12; ++t) {
    threads.emplace_back([&counter] {
      for (int i = 0; i < 1000; ++i) counter.add();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 12'000U);
}

TEST(Metrics, ScrapeUpdatesRunFirstAndMayMakeMetrics) {
  Metrics metrics;
  metrics.on_scrape([&metrics] { metrics.gauge("g", "G.").set(4); });
  EXPECT_TRUE(has_line(metrics.prometheus_text(), "g 4"));
}

TEST(Metrics, BeyondTenThousandSeriesOneOverflowSeriesCounts) {
  Metrics metrics;
  for (int i = 0; i < 10'050; ++i) metrics.counter("c", "C.", {{"i", std::to_string(i)}}).add();
  const auto text = metrics.prometheus_text();
  EXPECT_TRUE(has_line(text, "c{overflow=\"true\"} 50"));
  EXPECT_EQ(text.find("i=\"10000\""), std::string::npos);
}

TEST(RequestId, IsSixteenHexDigitsAndNew) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto id = next_request_id();
    EXPECT_EQ(id.size(), 16U);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_TRUE(seen.insert(id).second);
  }
}

}  // namespace
}  // namespace shoal::obs
