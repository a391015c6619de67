// UpstreamState: what the loops share about one upstream: options, health of its URLs, rate-limit budget, tokens,
// learned challenges, and the queue for blob fetches. Any thread; the mutex is held for look-ups only, never over I/O.
// Lives as long as the last Registry made from it; the app keeps it for metrics, reload and persistence.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/upstream/upstream.h"

namespace shoal::upstream {

struct UrlHealth {
  std::string url;  // as configured
  Health health;
};

struct UpstreamCounts {  // since start; for metrics
  std::uint64_t requests = 0;
  std::uint64_t token_requests = 0;
  std::uint64_t failures = 0;  // calls that ended with a Failure other than not_found
  std::uint64_t status_2xx = 0, status_3xx = 0, status_4xx = 0, status_429 = 0, status_5xx = 0, no_answer = 0;
  std::uint64_t body_bytes = 0;       // of blobs
  std::uint64_t running_fetches = 0;  // blob GETs now
  std::uint64_t waiting_fetches = 0;  // queued behind max_fetches
};

class UpstreamState : public std::enable_shared_from_this<UpstreamState> {
 public:
  virtual ~UpstreamState() = default;

  [[nodiscard]] virtual std::shared_ptr<const UpstreamOptions> options() const = 0;
  // A reload: calls that start from now on use these. Tokens and challenges are forgotten when credentials, URLs or
  // trust changed; health stays for the URLs that stay.
  virtual void set_options(UpstreamOptions options) = 0;

  [[nodiscard]] virtual Health health() const = 0;  // of the upstream: open only when every URL is
  [[nodiscard]] virtual std::vector<UrlHealth> url_health() const = 0;
  [[nodiscard]] virtual UpstreamCounts counts() const = 0;

  // One line of text per URL, for the index; unknown or damaged lines are ignored by load_health().
  [[nodiscard]] virtual std::string save_health() const = 0;
  virtual void load_health(std::string_view saved) = 0;
};

// Lets go of a state that nobody else holds. Its token requests, which nobody waits for any more, end on their loop.
void drop_state(std::shared_ptr<UpstreamState> state);

}  // namespace shoal::upstream
