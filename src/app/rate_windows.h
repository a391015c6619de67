// "mon-fri 08:00-18:00 upload=10MiB download=20MiB": hours, and the rates that hold in them.
#pragma once

#include <initializer_list>
#include <map>
#include <string>

#include "shoal/base/time_window.h"
#include "shoal/config/reader.h"

namespace shoal::app {

struct RateWindow {
  base::TimeWindow when;
  std::map<std::string, std::uint64_t, std::less<>> rates;  // bytes a second; at least one
};
// The key `windows`, in its order. `names`: of the rates it may set, each `least` bytes a second or 0.
[[nodiscard]] std::vector<RateWindow> read_windows(config::Section& section,
                                                   std::initializer_list<std::string_view> names, std::uint64_t least);

}  // namespace shoal::app
