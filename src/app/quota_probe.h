// Metrics of the quotas.
#pragma once

#include <string>

#include "shoal/obs/metrics.h"

namespace shoal::app {

class QuotaProbe {
 public:
  explicit QuotaProbe(obs::Metrics& metrics) : metrics_(metrics) {}
  void limited(const std::string& pattern, std::uint64_t bytes);
  void measured(const std::string& pattern, std::uint64_t bytes);
  void gone(const std::string& pattern);  // no longer configured: both are 0, for a series does not go

 private:
  obs::Metrics& metrics_;
};

}  // namespace shoal::app
