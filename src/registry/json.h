// JSON from strangers: parsed without exceptions and within bounds on depth and number of values, so that a small
// hostile body cannot grow into a large tree.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace shoal::registry {

inline constexpr int kMaxJsonDepth = 64;
inline constexpr std::size_t kMaxJsonValues = 500'000;  // a 4 MiB index holds about 130,000

// nullopt: not JSON, or beyond the bounds.
[[nodiscard]] std::optional<nlohmann::json> parse_json(std::string_view text);

// The member of an object, if it is there and of that type; null pointer, "" or nullopt otherwise.
[[nodiscard]] const nlohmann::json* array_member(const nlohmann::json& object, const char* name);
[[nodiscard]] const nlohmann::json* object_member(const nlohmann::json& object, const char* name);
[[nodiscard]] std::string_view string_member(const nlohmann::json& object, const char* name);
[[nodiscard]] std::optional<std::uint64_t> size_member(const nlohmann::json& object, const char* name);

// Invalid UTF-8 becomes U+FFFD; never throws on content.
[[nodiscard]] std::string dump_json(const nlohmann::json& value);

}  // namespace shoal::registry
