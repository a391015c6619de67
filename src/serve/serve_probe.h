// What serving counts: requests, bytes by source, cache outcomes, latencies. Any thread; every series is looked up
// once.
#pragma once

#include <array>

#include "shoal/http/server.h"
#include "shoal/mirror/mirror.h"
#include "shoal/obs/metrics.h"

namespace shoal::serve {

enum class Subject { manifest, blob, page, other, upload };
// What a request changes: an upload session, a finished blob, a mounted one, a manifest; or what it removes.
enum class PushKind { session, blob, mount, manifest, remove };

class ServeProbe {
 public:
  explicit ServeProbe(obs::Metrics& metrics);
  void answered(Subject subject, int status, const http::ExchangeEnd& end);
  void pushed(PushKind kind, int status);
  void received(std::uint64_t bytes);
  void taken(std::uint64_t bytes) { taken_.add(bytes); }
  [[nodiscard]] std::uint64_t taken() const { return taken_.value(); }
  void came_from(Subject subject, mirror::Provenance::Kind kind, const mirror::BytesFrom& bytes);

 private:
  static constexpr std::size_t kSubjects = 5;
  static constexpr std::size_t kKinds = 5;
  static constexpr std::size_t kPushes = 5;
  static constexpr std::size_t kPushOutcomes = 4;
  std::array<std::array<obs::Counter*, 5>, kSubjects> requests_;  // by status class
  std::array<std::array<obs::Counter*, kKinds>, kSubjects> outcomes_;
  std::array<obs::Counter*, 3> bytes_;  // disk, upstream, neighbours
  std::array<obs::Histogram*, kSubjects> first_byte_;
  std::array<obs::Histogram*, kSubjects> total_;
  std::array<std::array<obs::Counter*, kPushOutcomes>, kPushes> pushes_;
  obs::Counter& cut_;
  obs::Counter& received_;
  obs::Counter& taken_;
};

}  // namespace shoal::serve
