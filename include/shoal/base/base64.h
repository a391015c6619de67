// RFC 4648 section 4, with padding. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace shoal::base {

[[nodiscard]] std::string base64(std::string_view bytes);
// The padding may be missing; bits that say nothing must be zero. nullopt: it is none.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace shoal::base
