#include "guard.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>

#include "reply.h"

namespace shoal::admin {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

bool is_ip(const std::string& text) {
  unsigned char raw[16];
  return ::inet_pton(AF_INET, text.c_str(), raw) == 1 || ::inet_pton(AF_INET6, text.c_str(), raw) == 1;
}

}  // namespace

bool host_allowed(std::string_view host, std::span<const std::string> allowed) {
  std::string name;
  if (host.starts_with('[')) {
    const auto end = host.find(']');
    if (end == std::string_view::npos) return false;
    name = host.substr(1, end - 1);
    return is_ip(name);
  }
  name = lower(host.substr(0, host.find(':')));
  if (name == "localhost" || is_ip(name)) return true;
  return std::any_of(allowed.begin(), allowed.end(),
                     [&name](const std::string& known) { return lower(known) == name; });
}

std::optional<http::Response> refuse_stranger(const http::Request& request,
                                              std::span<const std::string> allowed_hosts) {
  if (!host_allowed(request.host, allowed_hosts)) {
    return error_reply(403, "DENIED",
                       "this Host is not known to the admin API: use an IP address or localhost, or add the name to "
                       "admin.hosts");
  }
  const bool reads = request.method == http::Method::get || request.method == http::Method::head;
  if (!reads && request.headers.get("X-Shoal") != "1") {
    return error_reply(403, "DENIED", "a request that changes something needs the header X-Shoal: 1");
  }
  return std::nullopt;
}

}  // namespace shoal::admin
