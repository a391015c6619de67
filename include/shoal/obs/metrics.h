// Counters, gauges, histograms, and their Prometheus text. Cheap on any thread: relaxed atomics, striped per thread.
// Names appear only in *_probe.cc files. Metrics live as long as their Metrics object; references stay valid.
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shoal/base/unique_function.h"

namespace shoal::obs {

using Labels = std::vector<std::pair<std::string, std::string>>;

class Counter {
 public:
  void add(std::uint64_t n = 1);
  [[nodiscard]] std::uint64_t value() const;

 private:
  static constexpr unsigned kStripes = 8;
  struct alignas(64) Cell {
    std::atomic<std::uint64_t> n{0};
  };
  Cell cells_[kStripes];
};

class Gauge {
 public:
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  void add(double delta) { value_.fetch_add(delta, std::memory_order_relaxed); }
  [[nodiscard]] double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);  // upper bounds, ascending; +Inf is added
  void observe(double value);
  struct Snapshot {
    std::vector<double> bounds;
    std::vector<std::uint64_t> cumulative;  // bounds.size() + 1
    double sum = 0;
  };
  [[nodiscard]] Snapshot snapshot() const;

 private:
  std::vector<double> bounds_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;
  std::atomic<double> sum_{0};
};

[[nodiscard]] std::vector<double> latency_bounds();  // seconds: 0.5 ms ... 60 s

class Metrics {
 public:
  // Returns the existing one when name and labels are known. At most 10,000 series: beyond, one shared overflow series
  // with the label overflow="true" counts on.
  Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, std::vector<double> bounds,
                       const Labels& labels = {});
  // Runs before each scrape, to set gauges that are read rather than counted.
  void on_scrape(base::UniqueFunction<void()> update);
  [[nodiscard]] std::string prometheus_text();  // text format 0.0.4

 private:
  template <class M>
  struct Family;
  struct Series;
  struct State;
  std::shared_ptr<State> state();
  std::mutex mutex_;
  std::shared_ptr<State> state_;
};

[[nodiscard]] std::string next_request_id();  // 16 hex digits, unique in this process's life and likely across

}  // namespace shoal::obs
