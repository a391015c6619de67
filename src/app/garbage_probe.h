// Metrics of the garbage collector.
#pragma once

#include <chrono>

#include "shoal/obs/metrics.h"
#include "shoal/store/hosted.h"

namespace shoal::app {

class GarbageProbe {
 public:
  explicit GarbageProbe(obs::Metrics& metrics);
  void began();
  void failed();
  void done(const store::GcReport& report, std::chrono::duration<double> took);  // not for a dry run
  void looked();                                                                 // a dry run ended

 private:
  obs::Gauge& running_;
  obs::Gauge& seconds_;
  obs::Counter& rounds_;
  obs::Counter& failures_;
  obs::Counter& blobs_;
  obs::Counter& manifests_;
  obs::Counter& bytes_;
};

}  // namespace shoal::app
