// Pacer: holds a flow of bytes to a rate. It says how long to wait; waiting is the caller's. Any thread; all who share
// one share the rate.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

#include "shoal/base/clock.h"

namespace shoal::base {

class Pacer {
 public:
  // `bytes` have passed: how long the next ones are to wait. `rate`: bytes a second, 0 for no limit.
  [[nodiscard]] std::chrono::milliseconds passed(std::uint64_t bytes, std::uint64_t rate, SteadyTime now);

 private:
  std::mutex mutex_;
  SteadyTime due_{};  // when what has passed would have, at the rate
};

}  // namespace shoal::base
