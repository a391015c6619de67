#include "certificate_watch.h"

#include <algorithm>
#include <ctime>

#include "node_probe.h"
#include "shoal/obs/log.h"

namespace shoal::app {
namespace {

std::string utc(base::WallTime at) {
  const auto seconds = std::chrono::system_clock::to_time_t(at);
  std::tm parts{};
  (void)::gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts)};
}

}  // namespace

void CertificateWatch::watch(const tls::ServerContext& context, base::WallTime now) {
  if (expires_ != context.expires()) {
    obs::info(obs::Category::app, "the TLS certificate in force is good until {}", utc(context.expires()));
    expires_ = context.expires();
    warn_at_ = std::max(now, expires_ - kWarnBefore);
    probe_certificate(metrics_, expires_);
  }
  warn_if_due(now);
}

void CertificateWatch::warn_if_due(base::WallTime now) {
  if (now < warn_at_) return;
  warn_at_ = now + kWarnEvery;
  obs::warn(obs::Category::app, "the TLS certificate {} {}: put a new one in its place and send SIGHUP",
            now < expires_ ? "expires at" : "has expired at", utc(expires_));
}

}  // namespace shoal::app
