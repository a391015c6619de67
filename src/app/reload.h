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

// What is in force after a reload to `next`: all of it, but what needs a restart as it runs. `waiting`: what that will
// be after a restart.
struct InForce {
  LoadedSettings loaded;
  std::vector<config::Setting> waiting;
};
[[nodiscard]] InForce in_force(const LoadedSettings& running, LoadedSettings next);

}  // namespace shoal::app
