#include "serve_probe.h"

#include <algorithm>

#include "shoal/serve/handler.h"

namespace shoal::serve {
namespace {

constexpr const char* kSubjectNames[] = {"manifest", "blob", "page", "other", "upload"};
constexpr const char* kKindNames[] = {"hit", "revalidated", "stale", "miss", "collapsed"};
constexpr const char* kSources[] = {"disk", "upstream", "neighbours"};
constexpr const char* kPushNames[] = {"session", "blob", "mount", "manifest", "remove"};
constexpr const char* kPushOutcomeNames[] = {"done", "refused", "failed", "left"};
constexpr const char* kClasses[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};

}  // namespace

ServeProbe::ServeProbe(obs::Metrics& m)
    : cut_(m.counter("shoal_responses_cut_total", "Answers that ended before their last byte")),
      received_(m.counter("shoal_received_bytes_total", "Body bytes taken from clients")),
      taken_(m.counter("shoal_taken_bytes_total",
                       "Bytes of blobs that clients on other machines took; p2p.upload_rate keeps room for them")) {
  for (std::size_t k = 0; k < kPushes; ++k) {
    for (std::size_t o = 0; o < kPushOutcomes; ++o) {
      pushes_[k][o] = &m.counter("shoal_pushes_total", "Requests that change hosted repositories",
                                 {{"kind", kPushNames[k]}, {"outcome", kPushOutcomeNames[o]}});
    }
  }
  for (std::size_t s = 0; s < kSubjects; ++s) {
    for (std::size_t c = 0; c < 5; ++c) {
      requests_[s][c] = &m.counter("shoal_requests_total", "Requests answered",
                                   {{"object", kSubjectNames[s]}, {"status", kClasses[c]}});
    }
    for (std::size_t k = 0; k < kKinds; ++k) {
      outcomes_[s][k] = &m.counter("shoal_cache_outcomes_total", "Where answers came from",
                                   {{"object", kSubjectNames[s]}, {"outcome", kKindNames[k]}});
    }
    first_byte_[s] = &m.histogram("shoal_first_byte_seconds", "From a request's last header to its answer's first byte",
                                  obs::latency_bounds(), {{"object", kSubjectNames[s]}});
    total_[s] = &m.histogram("shoal_request_seconds", "From a request's last header to its answer's last byte",
                             obs::latency_bounds(), {{"object", kSubjectNames[s]}});
  }
  for (std::size_t s = 0; s < bytes_.size(); ++s) {
    bytes_[s] = &m.counter("shoal_sent_bytes_total", "Body bytes sent to clients, by where they came from",
                           {{"source", kSources[s]}});
  }
}

void ServeProbe::answered(Subject subject, int status, const http::ExchangeEnd& end) {
  const auto s = static_cast<std::size_t>(subject);
  requests_[s][static_cast<std::size_t>(std::clamp(status / 100, 1, 5) - 1)]->add();
  if (end.first_byte.count() > 0) first_byte_[s]->observe(std::chrono::duration<double>(end.first_byte).count());
  total_[s]->observe(std::chrono::duration<double>(end.total).count());
  if (!end.complete) cut_.add();
}

void ServeProbe::pushed(PushKind kind, int status) {
  const std::size_t outcome = status == 499 ? 3 : status >= 500 ? 2 : status >= 400 ? 1 : 0;
  pushes_[static_cast<std::size_t>(kind)][outcome]->add();
}

void ServeProbe::received(std::uint64_t bytes) { received_.add(bytes); }

void ServeProbe::came_from(Subject subject, mirror::Provenance::Kind kind, const mirror::BytesFrom& bytes) {
  outcomes_[static_cast<std::size_t>(subject)][static_cast<std::size_t>(kind)]->add();
  bytes_[0]->add(bytes.disk);
  bytes_[1]->add(bytes.upstream);
  bytes_[2]->add(bytes.neighbours);
}

std::uint64_t taken_by_clients(const ServeProbe& probe) { return probe.taken(); }

std::shared_ptr<ServeProbe> make_probe(obs::Metrics& metrics) { return std::make_shared<ServeProbe>(metrics); }

}  // namespace shoal::serve
