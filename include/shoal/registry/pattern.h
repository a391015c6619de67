// Doublestar patterns over repository names and tags, as Harbor's rules and our own write them. Pure; any thread.
#pragma once

#include <string_view>

#include "shoal/base/result.h"

namespace shoal::registry {

// "*" and "?" within a path segment, "**" across them, [abc], {a,b}. At most 1,024 bytes of pattern; time is bounded by
// pattern times text. A malformed pattern matches nothing.
[[nodiscard]] bool matches(std::string_view pattern, std::string_view text);
[[nodiscard]] base::Result<void> check_pattern(std::string_view pattern);

}  // namespace shoal::registry
