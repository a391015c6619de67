// When and in which order things are measured. Pure; times are arguments.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace shoal::bench {

using Time = std::chrono::steady_clock::time_point;

// An open loop: requests are due at a fixed rate whether or not earlier ones were answered, and each is measured from
// when it was due. A server (or this client) that stops for a second so counts for all that were due in it, not for
// one request ("coordinated omission").
class OpenLoop {
 public:
  OpenLoop(Time begin, double per_second, std::chrono::nanoseconds length);
  [[nodiscard]] std::uint64_t total() const { return total_; }
  [[nodiscard]] Time due(std::uint64_t index) const;

 private:
  Time begin_;
  double gap_ns_;
  std::uint64_t total_;
};

struct Slot {
  unsigned round;
  unsigned target;
};
// Every target once in each round, each round beginning with the next one (AB, BA, AB; ABC, BCA, CAB), so that neither
// a drift of the machine nor being first favours one.
[[nodiscard]] std::vector<Slot> interleave(unsigned rounds, unsigned targets);

}  // namespace shoal::bench
