#include "notify_probe.h"

namespace shoal::notify {

EndpointProbe::EndpointProbe(obs::Metrics& m, const std::string& endpoint)
    : delivered_(
          m.counter("shoal_notifications_delivered_total", "Events a receiver has taken", {{"endpoint", endpoint}})),
      failed_(m.counter("shoal_notifications_failed_requests_total", "Requests to receivers that failed",
                        {{"endpoint", endpoint}})),
      buried_(
          m.counter("shoal_notifications_dead_total", "Events given up: now dead letters", {{"endpoint", endpoint}})),
      dropped_(m.counter("shoal_notifications_dropped_total",
                         "Events never taken into the queue: it was full, or could not be written",
                         {{"endpoint", endpoint}})),
      pending_(m.gauge("shoal_notifications_pending", "Events that wait for delivery", {{"endpoint", endpoint}})),
      pending_bytes_(
          m.gauge("shoal_notifications_pending_bytes", "Bytes of the events that wait", {{"endpoint", endpoint}})),
      dead_letters_(m.gauge("shoal_notifications_dead_letters", "Dead letters kept", {{"endpoint", endpoint}})),
      seconds_(m.histogram("shoal_notifications_request_seconds", "How long receivers take to answer",
                           obs::latency_bounds(), {{"endpoint", endpoint}})) {}

void EndpointProbe::delivered(std::uint64_t events, std::chrono::milliseconds took) {
  delivered_.add(events);
  seconds_.observe(std::chrono::duration<double>(took).count());
}

void EndpointProbe::holds(std::uint64_t pending, std::uint64_t bytes, std::uint64_t dead_letters) {
  pending_.set(static_cast<double>(pending));
  pending_bytes_.set(static_cast<double>(bytes));
  dead_letters_.set(static_cast<double>(dead_letters));
}

IntakeProbe::IntakeProbe(obs::Metrics& m)
    : lost_(m.counter("shoal_notifications_lost_total",
                      "Events lost before they reached a queue: the disk did not keep up")) {}

}  // namespace shoal::notify
