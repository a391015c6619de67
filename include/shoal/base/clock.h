// Clock: the only source of time. Read it at the edge of a module and pass `now` on as a value.
#pragma once

#include <chrono>

namespace shoal::base {

using WallTime = std::chrono::system_clock::time_point;    // for records that outlive the process
using SteadyTime = std::chrono::steady_clock::time_point;  // for waits and durations

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual WallTime wall_now() const = 0;      // any thread
  [[nodiscard]] virtual SteadyTime steady_now() const = 0;  // any thread
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall_now() const override { return std::chrono::system_clock::now(); }
  [[nodiscard]] SteadyTime steady_now() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace shoal::base
