// StallMeter: has a body been too slow over the last stall_timeout? A value; time comes as ticks, kSlots of them to one
// stall_timeout. A tick in which the reader had paused the transfer does not count. Notices a dead transfer within
// stall_timeout and one tick.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

namespace shoal::fetch {

class StallMeter {
 public:
  static constexpr unsigned kSlots = 8;

  StallMeter(std::chrono::milliseconds stall_timeout, std::uint64_t min_bytes_per_second)
      : floor_(std::max<std::uint64_t>(
            1, min_bytes_per_second * static_cast<std::uint64_t>(std::max<std::int64_t>(stall_timeout.count(), 0)) /
                   1000)),
        tick_(std::max(stall_timeout / kSlots, std::chrono::milliseconds(1))) {}

  [[nodiscard]] std::chrono::milliseconds tick_length() const { return tick_; }
  void add(std::uint64_t bytes) { slots_[at_] += bytes; }
  void paused() { excused_ = true; }

  // One tick has passed. True: stalled.
  [[nodiscard]] bool tick(bool paused_now) {
    if (paused_now || excused_) {
      excused_ = paused_now;
      return false;
    }
    ++full_;
    std::uint64_t sum = 0;
    for (const std::uint64_t slot : slots_) sum += slot;
    if (full_ >= kSlots && sum < floor_) return true;
    at_ = (at_ + 1) % kSlots;
    slots_[at_] = 0;
    return false;
  }
  // In the window, for the message.
  [[nodiscard]] std::uint64_t recent_bytes() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t slot : slots_) sum += slot;
    return sum;
  }

 private:
  std::uint64_t floor_;
  std::chrono::milliseconds tick_;
  std::array<std::uint64_t, kSlots> slots_{};
  unsigned at_ = 0;
  std::uint64_t full_ = 0;
  bool excused_ = false;
};

}  // namespace shoal::fetch
