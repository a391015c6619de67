// What a receiver's answer means, and how long to wait then. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "shoal/notify/notify.h"

namespace shoal::notify {

enum class Verdict {
  delivered,  // 2xx
  later,      // nobody there, too busy, or broken between us: the whole queue waits
  refused,    // it answers, but not to these events: tried some more, then a dead letter
  never,      // it says that the body is wrong: a dead letter
};
[[nodiscard]] Verdict judge(int status);

// Of the `failures`th failure in a row: backoff, doubled each time up to max_backoff, three quarters to five quarters
// of that by `random`; not before Retry-After, of which an hour at most is believed.
[[nodiscard]] std::chrono::milliseconds next_delay(const EndpointOptions& options, unsigned failures,
                                                   std::optional<std::chrono::seconds> retry_after,
                                                   std::uint32_t random);

}  // namespace shoal::notify
