// One cache under one trace: the space rules of the store, a policy for who leaves.
#pragma once

#include <cstdint>

#include "policy.h"

namespace shoal::sim {

struct Score {
  double byte_hits = 0;       // share of the bytes asked for that came from the cache
  std::uint64_t fetches = 0;  // requests to upstream
};

// `next` as next_uses() answers it.
[[nodiscard]] Score run(const Trace& trace, const std::vector<std::size_t>& next, Policy& policy,
                        std::uint64_t max_size);
[[nodiscard]] std::vector<std::size_t> next_uses(const Trace& trace);

}  // namespace shoal::sim
