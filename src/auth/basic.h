// The credentials of an Authorization header (RFC 7617). Pure.
#pragma once

#include <string>
#include <string_view>

#include "shoal/base/result.h"

namespace shoal::auth {

struct BasicCredentials {
  std::string user;
  std::string password;
  [[nodiscard]] bool none() const { return user.empty() && password.empty(); }
};

// "" and `Basic :` are no credentials. ErrorKind::invalid: another scheme, bad base64, no colon, longer than 4 KiB; the
// message does not repeat the header.
[[nodiscard]] base::Result<BasicCredentials> parse_basic(std::string_view authorization);

}  // namespace shoal::auth
