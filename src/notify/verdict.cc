#include "verdict.h"

#include <algorithm>

namespace shoal::notify {

Verdict judge(int status) {
  if (status >= 200 && status < 300) return Verdict::delivered;
  switch (status) {
    case 400:
    case 413:
    case 415:
    case 422: return Verdict::never;
    case 408:
    case 425:
    case 429:
    case 502:
    case 503:
    case 504: return Verdict::later;
    default: return Verdict::refused;  // 3xx too: where it leads is for the operator to write down
  }
}

std::chrono::milliseconds next_delay(const EndpointOptions& options, unsigned failures,
                                     std::optional<std::chrono::seconds> retry_after, std::uint32_t random) {
  constexpr std::chrono::seconds kMostBelieved{3600};
  auto delay = options.backoff;
  for (unsigned i = 1; i < failures && delay < options.max_backoff; ++i) delay *= 2;
  delay = std::min(delay, options.max_backoff);
  delay = delay * (750 + static_cast<std::int64_t>(random % 501)) / 1000;
  if (retry_after) delay = std::max<std::chrono::milliseconds>(delay, std::min(*retry_after, kMostBelieved));
  return delay;
}

}  // namespace shoal::notify
