// Sizes, times and percentages as people write them. Pure; the same grammar in the file, the environment and flags.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shoal::config {

// "512KiB", "10MiB", "50GiB", "1TiB", "100B", "64" (bytes); "KB", "MB", "GB", "TB" are powers of 1,000.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
// "500ms", "15s", "10m", "2h", "7d", "1h30m", "0"; anything else needs its unit. At most 100 years.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// "95" or "95%", 0 to 100.
[[nodiscard]] std::optional<unsigned> parse_percent(std::string_view text);

// In the largest unit that is exact: 10485760 is "10MiB", 90000 ms is "90s".
[[nodiscard]] std::string format_size(std::uint64_t bytes);
[[nodiscard]] std::string format_duration(std::chrono::milliseconds time);

}  // namespace shoal::config
