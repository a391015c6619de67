#include "basic.h"

#include "shoal/base/base64.h"

namespace shoal::auth {
namespace {

constexpr std::size_t kMaxHeader = 4096;

bool is_basic(std::string_view scheme) {
  constexpr std::string_view kBasic = "basic";
  if (scheme.size() != kBasic.size()) return false;
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    if ((scheme[i] | 0x20) != kBasic[i]) return false;
  }
  return true;
}

}  // namespace

base::Result<BasicCredentials> parse_basic(std::string_view authorization) {
  const auto bad = [](const char* what) { return base::Error(base::ErrorKind::invalid, what); };
  if (authorization.empty()) return BasicCredentials{};
  if (authorization.size() > kMaxHeader) return bad("the Authorization header is too long");
  const auto space = authorization.find(' ');
  if (!is_basic(authorization.substr(0, space))) return bad("only Basic authorization is understood");
  if (space == std::string_view::npos) return bad("the Authorization header has no credentials");
  auto text = authorization.substr(space);
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  const auto pair = base::from_base64(text);
  if (!pair) return bad("the credentials are not base64");
  const auto colon = pair->find(':');
  if (colon == std::string::npos) return bad("the credentials have no colon");
  return BasicCredentials{pair->substr(0, colon), pair->substr(colon + 1)};
}

}  // namespace shoal::auth
