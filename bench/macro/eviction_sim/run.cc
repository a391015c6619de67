#include "run.h"

namespace shoal::sim {

std::vector<std::size_t> next_uses(const Trace& trace) {
  std::vector<std::size_t> next(trace.requests.size()), seen(trace.sizes.size(), trace.requests.size());
  for (std::size_t i = trace.requests.size(); i-- > 0;) {
    auto& last = seen[trace.requests[i].blob];
    next[i] = last;
    last = i;
  }
  return next;
}

// StoreOptions' watermarks, for all: what differs is who leaves, not how much room there is.
Score run(const Trace& trace, const std::vector<std::size_t>& next, Policy& policy, std::uint64_t max_size) {
  const auto high = max_size / 100 * 95, low = max_size / 100 * 90;
  std::vector<bool> cached(trace.sizes.size());
  std::uint64_t used = 0, asked = 0, fetched = 0;
  Score score;
  for (std::size_t i = 0; i < trace.requests.size(); ++i) {
    const auto [at, blob] = trace.requests[i];
    const auto size = trace.sizes[blob];
    const Moment now{at, next[i]};
    asked += size;
    if (cached[blob]) {
      policy.hit(blob, now);
      continue;
    }
    ++score.fetches;
    fetched += size;
    if (size > max_size) continue;  // streams through
    if (used + size > high) {
      const auto target = low > size ? low - size : 0;
      while (used > target) {
        for (const auto gone : policy.evict(used - target, now)) {
          used -= trace.sizes[gone];
          cached[gone] = false;
        }
      }
    }
    policy.insert(blob, now);
    cached[blob] = true;
    used += size;
  }
  score.byte_hits = 1 - static_cast<double>(fetched) / static_cast<double>(asked);
  return score;
}

}  // namespace shoal::sim
