// YAML text to nodes; the only user of yaml-cpp. Its exceptions end here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node.h"
#include "shoal/config/reader.h"

namespace shoal::config::detail {

inline constexpr std::size_t kMaxFileBytes = 1 << 20;
inline constexpr std::size_t kMaxDepth = 16;
inline constexpr std::size_t kMaxKeys = 10'000;    // of one map
inline constexpr std::size_t kMaxNodes = 100'000;  // aliases count as often as they are used

// Nullopt, with a problem added, when the text is not one YAML document within the bounds. Duplicate keys are problems
// of their own. `source` must outlive the nodes.
[[nodiscard]] std::optional<Node> parse_yaml(std::string_view text, const std::string& source,
                                             std::vector<Problem>& problems);

}  // namespace shoal::config::detail
