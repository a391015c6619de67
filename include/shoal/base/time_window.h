// TimeWindow: hours of a week, on the wall clock of where the node stands. Pure: what the clock shows is passed in, so
// a change of daylight saving time is nothing but another reading (an hour that comes twice is in the window twice).
#pragma once

#include <cstdint>
#include <string_view>

#include "shoal/base/clock.h"
#include "shoal/base/result.h"

namespace shoal::base {

struct LocalTime {
  unsigned weekday = 0;  // 0: Monday
  unsigned minute = 0;   // of the day
};
[[nodiscard]] LocalTime local_time(WallTime now);  // by the time zone of the process

struct TimeWindow {
  std::uint8_t days = 0;  // on which it begins; bit 0: Monday
  unsigned from = 0;      // minute of the day
  unsigned until = 0;     // exclusive; not after `from`: on the next day

  // "mon-fri 08:00-18:00", "sat,sun 00:00-24:00", "daily 22:00-06:00" (to the morning after).
  [[nodiscard]] static Result<TimeWindow> parse(std::string_view text);
  [[nodiscard]] bool contains(LocalTime at) const;
};

}  // namespace shoal::base
