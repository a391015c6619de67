// URLs as the client sees them. Values; any thread. http and https only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shoal::fetch {

struct Origin {  // lower-case; IPv6 without brackets; the default port filled in
  std::string scheme;
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const Origin&, const Origin&) = default;
};

// nullopt: not an absolute http or https URL.
[[nodiscard]] std::optional<Origin> origin_of(std::string_view url);
// Without query, fragment and userinfo: fit for logs.
[[nodiscard]] std::string printable_url(std::string_view url);
// A Location header's target, seen from `base`. nullopt: not http or https, or broken.
[[nodiscard]] std::optional<std::string> resolve_url(std::string_view base, std::string_view location);
// For a query value: everything but RFC 3986 unreserved characters is escaped.
[[nodiscard]] std::string escape_query(std::string_view value);

}  // namespace shoal::fetch
