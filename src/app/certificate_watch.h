// CertificateWatch: says until when the server's certificate is good, and warns in time. Main thread.
#pragma once

#include <chrono>

#include "shoal/base/clock.h"
#include "shoal/obs/metrics.h"
#include "shoal/tls/tls.h"

namespace shoal::app {

class CertificateWatch {
 public:
  static constexpr std::chrono::hours kWarnBefore{14 * 24};
  static constexpr std::chrono::hours kWarnEvery{24};

  explicit CertificateWatch(obs::Metrics& metrics) : metrics_(metrics) {}
  void watch(const tls::ServerContext& context, base::WallTime now);  // the one in force from now on
  void warn_if_due(base::WallTime now);

 private:
  obs::Metrics& metrics_;
  base::WallTime expires_ = base::WallTime::max();
  base::WallTime warn_at_ = base::WallTime::max();
};

}  // namespace shoal::app
