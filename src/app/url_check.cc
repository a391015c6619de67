#include "url_check.h"

#include <algorithm>

namespace shoal::app {
namespace {

std::string_view authority_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  const auto rest = url.substr(scheme + 3);
  return rest.substr(0, rest.find_first_of("/?#"));
}

bool is_port(std::string_view port) {
  if (port.empty() || port.size() > 5) return false;
  unsigned value = 0;
  for (const char c : port) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value >= 1 && value <= 65535;
}

bool is_host(std::string_view host) {
  if (host.starts_with('[')) return host.size() > 3 && host.ends_with(']');
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  });
}

}  // namespace

std::string url_fault(std::string_view url, Userinfo userinfo) {
  if (!url.starts_with("http://") && !url.starts_with("https://")) return "must begin with http:// or https://";
  if (std::any_of(url.begin(), url.end(), [](char c) { return c <= ' ' || c >= 0x7f; })) {
    return "holds a blank, a control byte or a character outside ASCII";
  }
  if (url.find_first_of("?#") != std::string_view::npos) return "must have no query and no fragment";
  auto authority = authority_of(url);
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    if (userinfo == Userinfo::refused) return "must not hold credentials: use username and password_file";
    authority.remove_prefix(at + 1);
  }
  const auto bracket = authority.rfind(']');
  const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (!is_host(authority.substr(0, colon))) return "has no host that makes sense";
  if (colon != std::string_view::npos && !is_port(authority.substr(colon + 1)))
    return "has a port that is not 1 to 65535";
  return {};
}

}  // namespace shoal::app
