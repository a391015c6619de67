// What notifications count. Any thread.
#pragma once

#include <chrono>
#include <string>

#include "shoal/obs/metrics.h"

namespace shoal::notify {

// Of one endpoint.
class EndpointProbe {
 public:
  EndpointProbe(obs::Metrics& metrics, const std::string& endpoint);
  void delivered(std::uint64_t events, std::chrono::milliseconds took);
  void failed() { failed_.add(); }
  void buried(std::uint64_t events) { buried_.add(events); }
  void dropped(std::uint64_t events) { dropped_.add(events); }
  void holds(std::uint64_t pending, std::uint64_t bytes, std::uint64_t dead_letters);

 private:
  obs::Counter& delivered_;
  obs::Counter& failed_;
  obs::Counter& buried_;
  obs::Counter& dropped_;
  obs::Gauge& pending_;
  obs::Gauge& pending_bytes_;
  obs::Gauge& dead_letters_;
  obs::Histogram& seconds_;
};

class IntakeProbe {
 public:
  explicit IntakeProbe(obs::Metrics& metrics);
  void lost() { lost_.add(); }
  [[nodiscard]] std::uint64_t lost_count() const { return lost_.value(); }

 private:
  obs::Counter& lost_;
};

}  // namespace shoal::notify
