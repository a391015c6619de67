#include "schedule.h"

#include <cmath>

namespace shoal::bench {

OpenLoop::OpenLoop(Time begin, double per_second, std::chrono::nanoseconds length)
    : begin_(begin),
      gap_ns_(1e9 / per_second),
      total_(static_cast<std::uint64_t>(std::llround(static_cast<double>(length.count()) / gap_ns_))) {}

// From the beginning each time: gaps added up would drift.
Time OpenLoop::due(std::uint64_t index) const {
  return begin_ + std::chrono::nanoseconds(std::llround(gap_ns_ * static_cast<double>(index)));
}

std::vector<Slot> interleave(unsigned rounds, unsigned targets) {
  std::vector<Slot> slots;
  for (unsigned round = 0; round < rounds; ++round) {
    for (unsigned i = 0; i < targets; ++i) slots.push_back({round, (round + i) % targets});
  }
  return slots;
}

}  // namespace shoal::bench
