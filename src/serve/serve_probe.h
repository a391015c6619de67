// What serving counts: requests, bytes by source, cache outcomes, latencies. Any thread; every series is looked up
// once.
#pragma once

#include <array>

#include "shoal/http/server.h"
#include "shoal/mirror/mirror.h"
#include "shoal/obs/metrics.h"

namespace shoal::serve {

enum class Subject { manifest, blob, page, other };

class ServeProbe {
 public:
  explicit ServeProbe(obs::Metrics& metrics);
  void answered(Subject subject, int status, const http::ExchangeEnd& end);
  void came_from(Subject subject, mirror::Provenance::Kind kind, std::uint64_t bytes);

 private:
  static constexpr std::size_t kSubjects = 4;
  static constexpr std::size_t kKinds = 5;
  std::array<std::array<obs::Counter*, 5>, kSubjects> requests_;  // by status class
  std::array<std::array<obs::Counter*, kKinds>, kSubjects> outcomes_;
  std::array<obs::Counter*, kKinds> bytes_;
  std::array<obs::Histogram*, kSubjects> first_byte_;
  std::array<obs::Histogram*, kSubjects> total_;
  obs::Counter& cut_;
};

}  // namespace shoal::serve
