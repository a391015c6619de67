#include "shoal/p2p/rates.h"

#include <algorithm>

namespace shoal::p2p {

Rates RatePlan::at(base::LocalTime time) const {
  const auto holds = [time](const Window& window) { return window.when.contains(time); };
  const auto window = std::find_if(windows.begin(), windows.end(), holds);
  if (window == windows.end()) return otherwise;
  return {window->upload.value_or(otherwise.upload), window->download.value_or(otherwise.download)};
}

}  // namespace shoal::p2p
