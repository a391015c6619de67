// Small header helpers.
#pragma once

#include <string>
#include <string_view>

#include "shoal/fetch/client.h"

namespace shoal::upstream {

[[nodiscard]] inline bool same_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

// All of that name, joined with ", " (RFC 9110 5.3).
[[nodiscard]] inline std::string joined_headers(const fetch::ResponseHead& head, std::string_view name) {
  std::string out;
  for (const auto& [key, value] : head.headers) {
    if (!same_ignoring_case(key, name)) continue;
    if (!out.empty()) out += ", ";
    out += value;
  }
  return out;
}

// Registries send "application/json; charset=utf-8".
[[nodiscard]] inline std::string_view bare_type(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return type;
}

}  // namespace shoal::upstream
