// Who may talk to the admin API: keeps out web pages open in a browser on this machine. Pure.
//
// DNS rebinding makes a page's own name point at 127.0.0.1, so the Host header still holds that name: only IP
// addresses, localhost and configured names are accepted. A cross-site form cannot set a header: what changes something
// needs `X-Shoal: 1`.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shoal/http/server.h"

namespace shoal::admin {

[[nodiscard]] bool host_allowed(std::string_view host, std::span<const std::string> allowed);

// The refusal, or nullopt to go on.
[[nodiscard]] std::optional<http::Response> refuse_stranger(const http::Request& request,
                                                            std::span<const std::string> allowed_hosts);

}  // namespace shoal::admin
