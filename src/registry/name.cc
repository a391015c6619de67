#include "shoal/registry/name.h"

#include <algorithm>

#include "text.h"

namespace shoal::registry {
namespace {

bool lower_alnum(char c) { return is_lower(c) || is_digit(c); }

// Where the component that starts at `at` ends: [a-z0-9]+ joined by ".", "_", "__" or a run of "-". npos: not one.
std::size_t component_end(std::string_view name, std::size_t at) {
  if (at >= name.size() || !lower_alnum(name[at])) return std::string_view::npos;
  while (at < name.size() && name[at] != '/') {
    if (lower_alnum(name[at])) {
      ++at;
      continue;
    }
    const std::size_t start = at;
    const char separator = name[at];
    if (separator != '.' && separator != '_' && separator != '-') return std::string_view::npos;
    while (at < name.size() && name[at] == separator) ++at;
    const std::size_t longest = separator == '.' ? 1 : separator == '_' ? 2 : name.size();
    if (at - start > longest || at >= name.size() || !lower_alnum(name[at])) return std::string_view::npos;
  }
  return at;
}

bool valid_port(std::string_view port) {
  if (port.empty() || port.size() > 5) return false;
  unsigned value = 0;
  for (const char c : port) {
    if (!is_digit(c)) return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value > 0 && value <= 65535;
}

bool valid_dns_name(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  std::size_t label = 0;
  for (std::size_t i = 0; i <= host.size(); ++i) {
    if (i == host.size() || host[i] == '.') {
      if (label == 0 || label > 63 || host[i - 1] == '-') return false;
      label = 0;
    } else if (lower_alnum(host[i]) || (host[i] == '-' && label > 0)) {
      ++label;
    } else {
      return false;
    }
  }
  return true;
}

// Inside the brackets; loose on purpose: the resolver decides, this only keeps other characters out.
bool valid_ip6(std::string_view address) {
  return address.size() >= 2 && address.size() <= 45 && address.find(':') != std::string_view::npos &&
         std::all_of(address.begin(), address.end(),
                     [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || c == ':' || c == '.'; });
}

}  // namespace

bool valid_repository(std::string_view name) {
  if (name.empty() || name.size() > kMaxRepositoryBytes) return false;
  for (std::size_t at = 0;; ++at) {
    at = component_end(name, at);
    if (at == std::string_view::npos) return false;
    if (at == name.size()) return true;
  }
}

bool valid_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > 128 || tag[0] == '.' || tag[0] == '-') return false;
  return std::all_of(tag.begin(), tag.end(),
                     [](char c) { return is_alpha(c) || is_digit(c) || c == '_' || c == '.' || c == '-'; });
}

bool valid_registry_host(std::string_view host) {
  if (!host.empty() && host[0] == '[') {
    const std::size_t close = host.find(']');
    if (close == std::string_view::npos || !valid_ip6(host.substr(1, close - 1))) return false;
    const std::string_view rest = host.substr(close + 1);
    return rest.empty() || (rest[0] == ':' && valid_port(rest.substr(1)));
  }
  const std::size_t colon = host.find(':');
  const std::string_view name = host.substr(0, colon);
  if (!valid_dns_name(name)) return false;
  if (colon != std::string_view::npos) return valid_port(host.substr(colon + 1));
  return name == "localhost" || name.find('.') != std::string_view::npos;
}

std::string to_string(const Reference& reference) {
  if (const auto* tag = std::get_if<Tag>(&reference)) return *tag;
  return std::get<base::Digest>(reference).to_string();
}

}  // namespace shoal::registry
