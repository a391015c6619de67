// Request targets and authorities, as pure functions. RFC 9112 section 3.2, RFC 9110 section 7.2.
#pragma once

#include <optional>
#include <string_view>

namespace shoal::http {

struct TargetParts {
  std::string_view target;     // origin form, or "*"; "/" where the absolute form had no path
  std::string_view authority;  // of an absolute form; empty otherwise
  bool needs_slash = false;    // absolute form with a query but no path: put "/" before `target`
};

// Origin form ("/v2/"), absolute form ("http://host/v2/") and "*"; nothing else (CONNECT's authority form).
[[nodiscard]] std::optional<TargetParts> split_target(std::string_view target);

// What a Host header may hold: host, IPv4, [IPv6], optional port; or nothing.
[[nodiscard]] bool valid_host(std::string_view host);

}  // namespace shoal::http
