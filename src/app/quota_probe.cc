#include "quota_probe.h"

namespace shoal::app {

void QuotaProbe::limited(const std::string& pattern, std::uint64_t bytes) {
  metrics_.gauge("shoal_quota_limit_bytes", "Bytes that the repositories of the quota may hold.", {{"quota", pattern}})
      .set(static_cast<double>(bytes));
}

void QuotaProbe::measured(const std::string& pattern, std::uint64_t bytes) {
  metrics_.gauge("shoal_quota_used_bytes", "Bytes that they held when they were last measured.", {{"quota", pattern}})
      .set(static_cast<double>(bytes));
}

void QuotaProbe::gone(const std::string& pattern) {
  limited(pattern, 0);
  measured(pattern, 0);
}

}  // namespace shoal::app
