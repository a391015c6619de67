#include "shoal/config/value.h"

#include <array>
#include <utility>

#include "shoal/base/format.h"

namespace shoal::config {
namespace {

constexpr std::uint64_t kMaxSize = INT64_MAX;
constexpr std::uint64_t kMaxMilliseconds = 36500ULL * 24 * 3600 * 1000;

using Unit = std::pair<std::string_view, std::uint64_t>;
constexpr std::array<Unit, 9> kSizes = {{{"TiB", 1ULL << 40},
                                         {"GiB", 1ULL << 30},
                                         {"MiB", 1ULL << 20},
                                         {"KiB", 1ULL << 10},
                                         {"TB", 1'000'000'000'000},
                                         {"GB", 1'000'000'000},
                                         {"MB", 1'000'000},
                                         {"KB", 1'000},
                                         {"B", 1}}};
constexpr std::array<Unit, 5> kTimes = {{{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

// Leading digits; nullopt if there are none or the number passes `limit`.
std::optional<std::uint64_t> take_number(std::string_view& text, std::uint64_t limit) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
  std::uint64_t value = 0;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    const auto digit = static_cast<std::uint64_t>(text[0] - '0');
    if (value > (limit - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
    text.remove_prefix(1);
  }
  return value;
}

std::string_view take_letters(std::string_view& text) {
  std::size_t count = 0;
  while (count < text.size() && !(text[count] >= '0' && text[count] <= '9')) ++count;
  const std::string_view letters = text.substr(0, count);
  text.remove_prefix(count);
  return letters;
}

template <std::size_t N>
std::optional<std::uint64_t> factor_of(const std::array<Unit, N>& units, std::string_view name) {
  for (const auto& [unit, factor] : units) {
    if (unit == name) return factor;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto number = take_number(text, kMaxSize);
  if (!number) return std::nullopt;
  if (text.empty()) return number;
  if (text[0] == ' ') text.remove_prefix(1);
  const auto factor = factor_of(kSizes, text);
  if (!factor || *number > kMaxSize / *factor) return std::nullopt;
  return *number * *factor;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  if (text == "0") return std::chrono::milliseconds(0);
  if (text.empty()) return std::nullopt;
  std::uint64_t total = 0;
  std::uint64_t smaller_than = UINT64_MAX;  // "1h30m", but not "30m1h" or "1m1m"
  while (!text.empty()) {
    const auto number = take_number(text, kMaxMilliseconds);
    const auto factor = factor_of(kTimes, take_letters(text));
    if (!number || !factor || *factor >= smaller_than) return std::nullopt;
    smaller_than = *factor;
    if (*number > (kMaxMilliseconds - total) / *factor) return std::nullopt;
    total += *number * *factor;
  }
  return std::chrono::milliseconds(total);
}

std::optional<unsigned> parse_percent(std::string_view text) {
  if (!text.empty() && text.back() == '%') text.remove_suffix(1);
  const auto number = take_number(text, 100);
  if (!number || !text.empty()) return std::nullopt;
  return static_cast<unsigned>(*number);
}

std::string format_size(std::uint64_t bytes) {
  for (const auto& [unit, factor] : kSizes) {
    const bool binary = unit.size() == 3;
    if (binary && bytes != 0 && bytes % factor == 0) return base::format("{}{}", bytes / factor, unit);
  }
  return base::format("{}", bytes);
}

std::string format_duration(std::chrono::milliseconds time) {
  const auto count = static_cast<std::uint64_t>(time.count());
  if (count == 0) return "0s";
  for (const auto& [unit, factor] : kTimes) {
    if (count % factor == 0) return base::format("{}{}", count / factor, unit);
  }
  return base::format("{}ms", count);
}

}  // namespace shoal::config
