// What the mirror counts. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "shoal/mirror/origins.h"
#include "shoal/obs/metrics.h"

namespace shoal::mirror {

class MirrorProbe {
 public:
  explicit MirrorProbe(obs::Metrics& metrics);

  void fill_started(std::string_view registry);
  void fill_resumed(std::uint64_t kept);
  void fill_joined();
  void fill_published(std::uint64_t bytes, std::chrono::milliseconds took);
  void fill_passed_through();
  // Whole and as its digest says. `sent`: by upstream, for this fill, used or not.
  void fill_verified(const BytesFrom& from, std::uint64_t sent);
  void fill_failed(std::string_view why);
  void fill_retried(std::string_view registry, std::string_view why);
  void blob_was_corrupt(std::string_view registry);
  void site_turn(std::string_view role);  // fetcher, follower, fall-back
  void site_was_corrupt();
  void upstream_bytes(std::size_t n) { upstream_bytes_.add(n); }
  void fills_running(std::ptrdiff_t delta) { fills_running_.add(static_cast<double>(delta)); }
  void manifest_fetched(std::string_view registry);
  void tag_checked(std::string_view registry, std::string_view outcome);
  void joined_flight() { joined_flights_.add(); }
  void stale_served(std::string_view registry);

 private:
  obs::Metrics& metrics_;
  obs::Counter& upstream_bytes_;
  obs::Counter& joined_fills_;
  obs::Counter& joined_flights_;
  obs::Counter& resumed_fills_;
  obs::Counter& resumed_bytes_;
  obs::Counter& published_;
  obs::Counter& published_bytes_;
  obs::Counter& passed_through_;
  obs::Gauge& fills_running_;
  obs::Histogram& fill_seconds_;
  obs::Histogram& copies_;
  obs::Counter& from_upstream_;
  obs::Counter& from_neighbours_;
  obs::Counter& from_swarm_;
  obs::Counter& from_disk_;
};

}  // namespace shoal::mirror
