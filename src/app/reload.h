// What a new configuration changes: a pure comparison of two loaded ones.
#pragma once

#include <string_view>
#include <vector>

#include "shoal/app/settings.h"

namespace shoal::app {

[[nodiscard]] bool needs_restart(std::string_view key);

struct Changes {
  std::vector<std::string> applicable;     // keys, sorted
  std::vector<std::string> needs_restart;  // keys, sorted
};
// By effective value; credentials by content, as "upstreams.<name>.credentials".
[[nodiscard]] Changes compare(const LoadedSettings& running, const LoadedSettings& next);

// `next`, with the running values of keys that wait for a restart: what is in force after the reload.
[[nodiscard]] std::vector<config::Setting> values_in_force(const std::vector<config::Setting>& running,
                                                           const std::vector<config::Setting>& next);

}  // namespace shoal::app
