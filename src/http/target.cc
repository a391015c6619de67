#include "target.h"

#include <algorithm>

#include "text.h"

namespace shoal::http {

std::optional<TargetParts> split_target(std::string_view target) {
  if (target == "*" || target.starts_with('/')) return TargetParts{target, {}, false};
  const auto scheme = target.find("://");
  if (scheme == std::string_view::npos) return std::nullopt;
  if (!same_token(target.substr(0, scheme), "http") && !same_token(target.substr(0, scheme), "https")) {
    return std::nullopt;
  }
  const auto rest = target.substr(scheme + 3);
  const auto end = std::min(rest.find_first_of("/?#"), rest.size());
  const auto authority = rest.substr(0, end);
  if (authority.empty() || !valid_host(authority)) return std::nullopt;  // also refuses user@host
  const auto path = rest.substr(end);
  if (path.empty()) return TargetParts{"/", authority, false};
  return TargetParts{path, authority, path.front() != '/'};
}

bool valid_host(std::string_view host) {
  return host.size() <= 512 && std::all_of(host.begin(), host.end(), [](char c) {
           return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
                  std::string_view(".-_:[]%~").find(c) != std::string_view::npos;
         });
}

}  // namespace shoal::http
