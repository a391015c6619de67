#include "shoal/obs/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "stripe.h"

namespace shoal::obs {

void Counter::add(std::uint64_t n) { cells_[stripe() % kStripes].n.fetch_add(n, std::memory_order_relaxed); }

std::uint64_t Counter::value() const {
  std::uint64_t sum = 0;
  for (const auto& cell : cells_) sum += cell.n.load(std::memory_order_relaxed);
  return sum;
}

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(std::make_unique<std::atomic<std::uint64_t>[]>(bounds_.size() + 1)) {}

void Histogram::observe(double value) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  counts_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

Histogram::Snapshot Histogram::snapshot() const {
  Snapshot shot;
  shot.bounds = bounds_;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i <= bounds_.size(); ++i) {
    sum += counts_[i].load(std::memory_order_relaxed);
    shot.cumulative.push_back(sum);
  }
  shot.sum = sum_.load(std::memory_order_relaxed);
  return shot;
}

std::vector<double> latency_bounds() {
  return {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
}

namespace {

constexpr std::size_t kMaxSeries = 10'000;

void fill(prometheus::ClientMetric& out, const Counter& counter) {
  out.counter.value = static_cast<double>(counter.value());
}
void fill(prometheus::ClientMetric& out, const Gauge& gauge) { out.gauge.value = gauge.value(); }
void fill(prometheus::ClientMetric& out, const Histogram& histogram) {
  const auto shot = histogram.snapshot();
  out.histogram.sample_count = shot.cumulative.back();
  out.histogram.sample_sum = shot.sum;
  for (std::size_t i = 0; i < shot.cumulative.size(); ++i) {
    const double bound = i < shot.bounds.size() ? shot.bounds[i] : std::numeric_limits<double>::infinity();
    out.histogram.bucket.push_back({shot.cumulative[i], bound});
  }
}

}  // namespace

template <class M>
struct Metrics::Family {
  std::string help;
  std::map<Labels, std::unique_ptr<M>> series;

  // `total`: the series of all families.
  template <class... Args>
  M& at(Labels labels, std::size_t& total, const Args&... args) {
    std::sort(labels.begin(), labels.end());
    auto found = series.find(labels);
    if (found == series.end()) {
      if (total >= kMaxSeries) labels = {{"overflow", "true"}};
      found = series.try_emplace(std::move(labels)).first;
      if (!found->second) {
        found->second = std::make_unique<M>(args...);
        ++total;
      }
    }
    return *found->second;
  }

  void collect(const std::string& name, prometheus::MetricType type, std::vector<prometheus::MetricFamily>& out) const {
    prometheus::MetricFamily family{name, help, type, {}};
    for (const auto& [labels, metric] : series) {
      auto& entry = family.metric.emplace_back();
      for (const auto& [key, value] : labels) entry.label.push_back({key, value});
      fill(entry, *metric);
    }
    out.push_back(std::move(family));
  }
};

struct Metrics::State {
  std::map<std::string, Family<Counter>, std::less<>> counters;
  std::map<std::string, Family<Gauge>, std::less<>> gauges;
  std::map<std::string, Family<Histogram>, std::less<>> histograms;
  std::size_t series = 0;

  std::mutex scraping;  // taken before Metrics::mutex_; updates may make metrics
  std::vector<base::UniqueFunction<void()>> updates;

  // A name means one kind of metric; two kinds would make the exposition invalid.
  template <class M>
  Family<M>& family(std::map<std::string, Family<M>, std::less<>>& families, std::string_view name,
                    std::string_view help) {
    auto found = families.find(name);
    if (found == families.end()) {
      if (counters.contains(name) || gauges.contains(name) || histograms.contains(name)) std::abort();
      found = families.try_emplace(std::string(name)).first;
      found->second.help = std::string(help);
    }
    return found->second;
  }
};

std::shared_ptr<Metrics::State> Metrics::state() {
  if (!state_) state_ = std::make_shared<State>();
  return state_;
}

Counter& Metrics::counter(std::string_view name, std::string_view help, const Labels& labels) {
  const std::lock_guard lock(mutex_);
  auto& s = *state();
  return s.family(s.counters, name, help).at(labels, s.series);
}

Gauge& Metrics::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  const std::lock_guard lock(mutex_);
  auto& s = *state();
  return s.family(s.gauges, name, help).at(labels, s.series);
}

Histogram& Metrics::histogram(std::string_view name, std::string_view help, std::vector<double> bounds,
                              const Labels& labels) {
  const std::lock_guard lock(mutex_);
  auto& s = *state();
  return s.family(s.histograms, name, help).at(labels, s.series, bounds);
}

void Metrics::on_scrape(base::UniqueFunction<void()> update) {
  std::shared_ptr<State> s;
  {
    const std::lock_guard lock(mutex_);
    s = state();
  }
  const std::lock_guard lock(s->scraping);
  s->updates.push_back(std::move(update));
}

std::string Metrics::prometheus_text() {
  std::shared_ptr<State> s;
  {
    const std::lock_guard lock(mutex_);
    s = state();
  }
  const std::lock_guard scrape(s->scraping);
  for (auto& update : s->updates) update();
  std::vector<prometheus::MetricFamily> families;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, family] : s->counters) family.collect(name, prometheus::MetricType::Counter, families);
    for (const auto& [name, family] : s->gauges) family.collect(name, prometheus::MetricType::Gauge, families);
    for (const auto& [name, family] : s->histograms) {
      family.collect(name, prometheus::MetricType::Histogram, families);
    }
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace shoal::obs
