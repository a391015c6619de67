// How many bytes a second a node exchanges with its neighbours, by the time of the week. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "shoal/base/time_window.h"

namespace shoal::p2p {

struct Rates {
  std::uint64_t upload = 0;  // bytes a second; 0: no limit
  std::uint64_t download = 0;
  friend bool operator==(const Rates&, const Rates&) = default;
};

struct RatePlan {
  struct Window {
    base::TimeWindow when;
    std::optional<std::uint64_t> upload;  // absent: as at other times
    std::optional<std::uint64_t> download;
  };
  Rates otherwise;
  std::vector<Window> windows;  // the first that holds counts
  [[nodiscard]] Rates at(base::LocalTime time) const;
};

}  // namespace shoal::p2p
