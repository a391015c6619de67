// Metrics of the scrubber.
#pragma once

#include "shoal/obs/metrics.h"
#include "shoal/store/store.h"

namespace shoal::app {

class ScrubProbe {
 public:
  explicit ScrubProbe(obs::Metrics& metrics);
  void stepped(const store::ScrubReport& report);

 private:
  obs::Counter& blobs_;
  obs::Counter& bytes_;
  obs::Counter& damaged_;
  obs::Counter& passes_;
};

}  // namespace shoal::app
